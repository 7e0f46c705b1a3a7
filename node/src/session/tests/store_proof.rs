//! Stores that take a condition and pay no heed to it, or show later what was done, are known before anything is stored.

use std::{sync::Arc, time::Duration};

use object_store::PutMode;
use roost_model::{causes, ids::NodeId};

use super::{
    dice::Dice,
    faulty_store::{FaultyStore, Flaw},
};
use crate::session::{SessionError, SnapshotStore, Unfit, objects::Objects};

fn bucket(store: &FaultyStore) -> Objects {
    Objects::in_store(Arc::new(store.clone()), Duration::from_secs(30)).that_must_prove_itself()
}

fn node() -> NodeId {
    NodeId::new("n1").unwrap()
}

#[tokio::test]
async fn what_a_store_does_not_keep_is_named_before_anything_is_stored() {
    for (flaw, unfit) in [
        (Flaw::IgnoresIfNoneMatch, Unfit::PutsOver),
        (Flaw::KnowsNoIfNoneMatch, Unfit::NoPutIfAbsent),
        (Flaw::IgnoresIfMatch, Unfit::ReplacesAnother),
        (Flaw::KnowsNoIfMatch, Unfit::NoReplace),
        (Flaw::ListsLater, Unfit::NotListed),
        (Flaw::ReadsLater, Unfit::NotRead),
        (Flaw::RemovesLater, Unfit::NotRemoved),
    ] {
        let store = FaultyStore::new(Dice::new(1));
        store.set_flaw(flaw);
        let objects = bucket(&store);
        let refused = SnapshotStore::of(objects.clone()).prove(&node()).await.unwrap_err();
        assert!(matches!(refused, SessionError::Unfit(found) if found == unfit), "{flaw:?}: {refused}");
        assert!(refused.shows_wrong_store() && !refused.shows_damage());
        let told = causes(&refused).to_string();
        assert!(told.contains("use another server"), "{told}");
        let put = objects.put("t/manifest", Vec::new(), PutMode::Create).await;
        assert!(matches!(put, Err(SessionError::Unproven)), "{flaw:?}: {put:?}");
    }
}

#[tokio::test]
async fn a_store_that_keeps_all_proves_itself_once_for_all_who_share_it_and_nothing_is_left() {
    let store = FaultyStore::new(Dice::new(1));
    let objects = bucket(&store);
    let snapshots = SnapshotStore::of(objects.clone());
    // A crash may have left it.
    objects.put("proofs/n1", b"left".to_vec(), PutMode::Overwrite).await.unwrap();
    snapshots.prove(&node()).await.unwrap();
    objects.put("t/manifest", Vec::new(), PutMode::Create).await.unwrap();
    snapshots.with_own_progress().prove(&node()).await.unwrap();
    assert_eq!(objects.list("proofs").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_store_that_does_not_answer_has_proven_nothing_and_is_not_refused_for_it() {
    let store = FaultyStore::new(Dice::new(1));
    store.set_faults(100);
    let objects = bucket(&store);
    let snapshots = SnapshotStore::of(Objects::in_store(Arc::new(store.clone()), Duration::from_millis(50)));
    let away = snapshots.prove(&node()).await.unwrap_err();
    assert!(matches!(away, SessionError::Store { .. }) && !away.shows_wrong_store(), "{away}");
    let put = objects.put("t/manifest", Vec::new(), PutMode::Create).await;
    assert!(matches!(put, Err(SessionError::Unproven)), "{put:?}");
}

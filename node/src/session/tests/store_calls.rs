//! Calls to the object store that hang, and answers that are lost.

use std::{sync::Arc, time::Duration};

use object_store::PutMode;
use roost_model::ids::Generation;

use super::{LOG, World, dice::Dice, faulty_store::FaultyStore};
use crate::session::{SessionError, SnapshotStore, manifest::Manifest, objects::Objects};

/// Threads of the runtime, of which look-ups of names and everything else on the disk live too.
const THREADS: usize = 80;

#[test]
fn a_store_that_hangs_holds_nobody_up_for_ever_and_leaves_threads_to_others() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(THREADS)
        .enable_all()
        .build()
        .unwrap();
    let store = FaultyStore::new(Dice::new(1));
    let hanging = store.hang();
    let objects = Objects::in_store(Arc::new(store), Duration::from_millis(100));
    runtime.block_on(async {
        let calls = (0..2 * THREADS).map(|_| objects.list("x"));
        for listed in futures::future::join_all(calls).await {
            let error = listed.unwrap_err();
            assert!(matches!(error, SessionError::Store { .. }), "{error}");
        }
        let others = tokio::task::spawn_blocking(|| ());
        tokio::time::timeout(Duration::from_secs(10), others).await.expect("no thread is left").unwrap();
        drop(hanging);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while let Err(error) = objects.list("x").await {
            assert!(tokio::time::Instant::now() < deadline, "it never works again: {error}");
        }
    });
}

#[tokio::test]
async fn a_manifest_that_is_there_already_is_looked_at() {
    let world = World::new();
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    let name = world.snapshots.manifests(world.uid).await.unwrap()[0];
    let manifest = world.snapshots.manifest(&name).await.unwrap();
    world.snapshots.put_manifest(&manifest).await.unwrap();
    let another = Manifest { clean: false, ..manifest };
    let refused = world.snapshots.put_manifest(&another).await;
    assert!(matches!(refused, Err(SessionError::Store { .. })), "{refused:?}");
}

/// A node that is frozen between clearing the pointer and removing the snapshots goes on when the tenant has another owner, and
/// a phone has been linked anew.
#[tokio::test]
async fn whoever_forgets_a_session_removes_nothing_of_a_later_owner() {
    let world = World::new();
    let old = world.used("a", 1, &[(LOG, "old")]).await;
    world.taker(&old, 1).await.take_stopped(true, None).await.unwrap();
    let new = world.used("b", 2, &[(LOG, "new")]).await;
    let taken = world.taker(&new, 2).await.take_stopped(true, None).await.unwrap();
    world.snapshots.forget(world.uid, Generation(1)).await.unwrap();
    world.profile("c").prepare(&world.snapshots, Some(&taken), Generation(3)).await.unwrap();
    assert_eq!(world.snapshots.manifests(world.uid).await.unwrap().len(), 1);
    assert!(world.objects("blobs").iter().all(|blob| blob.parent().unwrap().ends_with("2")));
}

/// What was stored of a save that failed is not stored again by the next one.
#[tokio::test]
async fn an_upload_that_was_interrupted_goes_on_where_it_was() {
    let store = FaultyStore::new(Dice::new(1));
    let objects = Objects::in_store(Arc::new(store.clone()), Duration::from_secs(30));
    let world = World { snapshots: SnapshotStore::of(objects.clone()), ..World::new() };
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let mut taker = world.taker(&here, 1).await;
    // Where the manifest of the first save would be put.
    let manifest = format!("{}/manifests/1-1.json", world.uid);
    objects.put(&manifest, vec![1], PutMode::Create).await.unwrap();
    taker.take_stopped(true, None).await.unwrap_err();
    let stored = objects.list(&format!("{}/blobs", world.uid)).await.unwrap();
    taker.take_stopped(true, None).await.unwrap();
    assert_eq!(objects.list(&format!("{}/blobs", world.uid)).await.unwrap(), stored);
}

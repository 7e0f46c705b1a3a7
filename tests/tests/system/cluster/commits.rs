//! Commits of the registry: all or nothing, under guards.

use std::sync::Arc;

use roost_cluster::registry::{Commit, Guard, MAX_OPS, Op, RegistryError};
use roost_model::ids::{Incarnation, Revision};

use crate::cluster::backend::{Backend, TTL, absent, delete, put};

fn held_by(key: &str, lease: Incarnation) -> Guard {
    Guard::HeldBy { key: key.to_owned(), lease }
}

fn modified_at(key: &str, revision: Revision) -> Guard {
    Guard::ModifiedAt { key: key.to_owned(), revision }
}

pub async fn a_key_is_read_as_it_was_written(on: Arc<Backend>) {
    assert_eq!(on.get("a").await, None);
    let created = on.put("a", "one").await;
    let modified = on.put("a", "two").await;
    assert!(modified > created);
    let entry = on.get("a").await.unwrap();
    assert_eq!((entry.key.as_str(), entry.value.as_slice(), entry.lease), ("a", b"two".as_slice(), None));
    assert_eq!((entry.create_revision, entry.mod_revision), (created, modified));
}

pub async fn a_guard_that_does_not_hold_keeps_everything_from_being_written(on: Arc<Backend>) {
    let created = on.put("a", "one").await;
    let modified = on.put("a", "two").await;
    let (lease, other) =
        (on.registry.grant(TTL * 100).await.unwrap(), on.registry.grant(TTL * 100).await.unwrap());
    on.put_leased("held", lease).await;
    let failing = [
        absent("a"),
        held_by("a", lease),
        held_by("held", other),
        held_by("missing", lease),
        modified_at("a", created),
        modified_at("missing", modified),
    ];
    for guard in failing {
        let answer = on.registry.commit(std::slice::from_ref(&guard), &[put("a", "x"), put("b", "x")]).await;
        assert_eq!(answer.unwrap(), Commit::Refused, "{guard:?}");
    }
    assert_eq!(on.value("a").await.unwrap(), "two");
    assert_eq!(on.get("b").await, None);
}

pub async fn all_guards_have_to_hold(on: Arc<Backend>) {
    let modified = on.put("a", "two").await;
    let lease = on.registry.grant(TTL * 100).await.unwrap();
    on.put_leased("held", lease).await;
    let holding = [absent("b"), held_by("held", lease), modified_at("a", modified)];
    on.commit(&holding, &[put("b", "written"), put("a", "three")]).await;
    // The first of them does not hold any more.
    let answer = on.registry.commit(&holding[..2], &[put("a", "four")]).await.unwrap();
    assert_eq!(answer, Commit::Refused);
    assert_eq!(on.value("a").await.unwrap(), "three");
}

pub async fn a_key_that_was_deleted_and_made_anew_is_another_for_its_guards(on: Arc<Backend>) {
    let (first, second) =
        (on.registry.grant(TTL * 100).await.unwrap(), on.registry.grant(TTL * 100).await.unwrap());
    on.put_leased("leader", first).await;
    on.commit(&[], &[delete("leader")]).await;
    on.put_leased("leader", second).await;
    let answer = on.registry.commit(&[held_by("leader", first)], &[put("a", "late")]).await.unwrap();
    assert_eq!(answer, Commit::Refused);
}

pub async fn a_commit_takes_so_many_operations_and_no_more(on: Arc<Backend>) {
    let ops = |count: usize| -> Vec<Op> { (0..count).map(|n| put(&format!("key-{n}"), "")).collect() };
    let guards = |count: usize| -> Vec<Guard> { (0..count).map(|n| absent(&format!("none-{n}"))).collect() };
    on.commit(&guards(MAX_OPS), &ops(MAX_OPS)).await;
    assert_eq!(on.registry.list("key-").await.unwrap().entries.len(), MAX_OPS);
    for (guards, ops) in [(guards(0), ops(MAX_OPS + 1)), (guards(MAX_OPS + 1), ops(1))] {
        let answer = on.registry.commit(&guards, &ops).await;
        assert!(matches!(answer, Err(RegistryError::Refused { .. })), "{answer:?}");
    }
}

pub async fn a_key_is_written_once_in_a_commit(on: Arc<Backend>) {
    let answer = on.registry.commit(&[], &[put("a", "one"), delete("a")]).await;
    assert!(matches!(answer, Err(RegistryError::Refused { .. })), "{answer:?}");
    assert_eq!(on.get("a").await, None);
}

pub async fn a_put_under_a_lease_that_has_ended_writes_nothing(on: Arc<Backend>) {
    let lease = on.registry.grant(TTL).await.unwrap();
    on.registry.revoke(lease).await.unwrap();
    let leased = Op::Put { key: "nodes/a".to_owned(), value: Vec::new(), lease: Some(lease) };
    let answer = on.registry.commit(&[], &[put("other", ""), leased]).await;
    assert!(matches!(answer, Err(RegistryError::LeaseLost { lease: lost }) if lost == lease), "{answer:?}");
    assert_eq!(on.get("nodes/a").await, None);
    assert_eq!(on.get("other").await, None);
}

pub async fn deleting_what_is_not_there_is_fine(on: Arc<Backend>) {
    on.commit(&[absent("a")], &[delete("a")]).await;
}

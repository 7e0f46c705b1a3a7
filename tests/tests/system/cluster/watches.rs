//! Watches of the registry: every change once and in order.

use std::sync::Arc;

use roost_cluster::registry::{Change, MAX_OPS, Op};

use crate::cluster::backend::{Backend, TTL, delete, next, put, take};

fn summary(changes: &[Change]) -> Vec<String> {
    let one = |change: &Change| match change {
        Change::Put(entry) => format!("{} = {}", entry.key, String::from_utf8_lossy(&entry.value)),
        Change::Delete { key, .. } => format!("{key} is gone"),
    };
    changes.iter().map(one).collect()
}

pub async fn a_watch_sees_the_changes_under_its_prefix_in_order(on: Arc<Backend>) {
    let mut watch = on.registry.watch("nodes/", on.revision().await).await.unwrap();
    on.put("nodes/a", "one").await;
    on.put("leader", "not watched").await;
    on.commit(&[], &[put("nodes/a", "two"), put("nodes/b", "three")]).await;
    let last = on.commit(&[], &[delete("nodes/a")]).await;
    let changes = take(&mut watch, 4).await;
    let expected = ["nodes/a = one", "nodes/a = two", "nodes/b = three", "nodes/a is gone"];
    assert_eq!(summary(&changes), expected);
    assert!(changes.is_sorted_by_key(Change::revision));
    assert_eq!(changes[3].revision(), last);
}

pub async fn a_watch_begins_after_the_revision_it_is_given(on: Arc<Backend>) {
    on.put("a", "before").await;
    let seen = on.revision().await;
    on.put("a", "missed").await;
    let mut watch = on.registry.watch("a", seen).await.unwrap();
    on.put("a", "after").await;
    assert_eq!(summary(&take(&mut watch, 2).await), ["a = missed", "a = after"]);
}

/// Names of nodes begin with those of others.
pub async fn a_key_alone_is_read_and_watched_without_those_that_begin_with_it(on: Arc<Backend>) {
    let before = on.put("assignments/node-10", "another's").await;
    let seen = on.registry.read("assignments/node-1").await.unwrap();
    assert_eq!(seen.entry, None);
    assert!(seen.revision >= before);
    let mut watch = on.registry.watch_key("assignments/node-1", seen.revision).await.unwrap();
    on.put("assignments/node-10", "another's").await;
    on.put("assignments/node-1", "ours").await;
    on.commit(&[], &[delete("assignments/node-10"), delete("assignments/node-1")]).await;
    let expected = ["assignments/node-1 = ours", "assignments/node-1 is gone"];
    assert_eq!(summary(&take(&mut watch, 2).await), expected);
    let written = on.put("assignments/node-1", "again").await;
    let seen = on.registry.read("assignments/node-1").await.unwrap();
    assert_eq!(seen.entry.unwrap().mod_revision, written);
    assert!(seen.revision >= written);
}

pub async fn a_watch_sees_a_lease_end(on: Arc<Backend>) {
    let lease = on.registry.grant(TTL).await.unwrap();
    let written = on.put_leased("nodes/a", lease).await;
    let mut watch = on.registry.watch("nodes/", written).await.unwrap();
    assert_eq!(summary(&take(&mut watch, 1).await), ["nodes/a is gone"]);
}

pub async fn a_watch_from_before_a_compaction_ends(on: Backend) {
    let first = on.put("a", "one").await;
    let mut last = first;
    for n in 0..5 {
        last = on.put("a", &n.to_string()).await;
    }
    on.registry.compact(last).await.unwrap();
    on.registry.compact(last).await.unwrap();
    let mut watch = on.registry.watch("a", first).await.unwrap();
    assert_eq!(next(&mut watch).await, None);
    // Listed again, it can be watched again.
    let listing = on.registry.list("a").await.unwrap();
    assert_eq!(listing.entries.len(), 1);
    let mut watch = on.registry.watch("a", listing.revision).await.unwrap();
    on.put("a", "after").await;
    assert_eq!(summary(&take(&mut watch, 1).await), ["a = after"]);
}

pub async fn a_watch_sees_a_large_commit_whole(on: Arc<Backend>) {
    let mut watch = on.registry.watch("large/", on.revision().await).await.unwrap();
    let value = "x".repeat(10 << 10);
    let ops: Vec<Op> = (0..MAX_OPS).map(|n| put(&format!("large/{n}"), &value)).collect();
    on.commit(&[], &ops).await;
    let changes = take(&mut watch, MAX_OPS).await;
    assert!(
        changes.iter().all(|change| matches!(change, Change::Put(entry) if entry.value.len() == value.len()))
    );
}

//! Listings of the registry: whole, in order, of one revision.

use std::sync::Arc;

use roost_cluster::registry::{MAX_OPS, Op, Update};
use roost_model::ids::Revision;

use crate::cluster::backend::{Backend, delete, put};

async fn write_all(on: &Backend, ops: Vec<Op>) {
    for ops in ops.chunks(MAX_OPS) {
        on.commit(&[], ops).await;
    }
}

pub async fn a_listing_has_what_begins_with_the_prefix_in_order_of_keys(on: Arc<Backend>) {
    for key in ["nodes/b", "leader", "nodes/a", "nodesx", "acks/a", "nodes/a2"] {
        on.put(key, "").await;
    }
    let last = on.revision().await;
    let listing = on.registry.list("nodes/").await.unwrap();
    let keys: Vec<&str> = listing.entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["nodes/a", "nodes/a2", "nodes/b"]);
    assert!(listing.revision >= last);
    assert_eq!(on.registry.list("").await.unwrap().entries.len(), 6);
}

pub async fn a_listing_of_more_keys_than_a_page_is_whole(on: Arc<Backend>) {
    const KEYS: usize = 5_200;
    write_all(&on, (0..KEYS).map(|n| put(&format!("key/{n:05}"), &n.to_string())).collect()).await;
    let listing = on.registry.list("key/").await.unwrap();
    assert_eq!(listing.entries.len(), KEYS);
    for (n, entry) in listing.entries.iter().enumerate() {
        assert_eq!(
            (entry.key.clone(), entry.value.clone()),
            (format!("key/{n:05}"), n.to_string().into_bytes())
        );
        assert!(entry.mod_revision <= listing.revision);
    }
}

pub async fn a_listing_of_more_bytes_than_the_client_takes_at_once_is_whole(on: Arc<Backend>) {
    let value = "x".repeat(100 << 10);
    // Five commits, each below what etcd takes in one.
    for batch in 0..5 {
        let ops: Vec<Op> = (0..10).map(|n| put(&format!("large/{batch}-{n}"), &value)).collect();
        on.commit(&[], &ops).await;
    }
    let listing = on.registry.list("large/").await.unwrap();
    assert_eq!(listing.entries.iter().map(|entry| entry.value.len()).sum::<usize>(), 50 * value.len());
}

fn keys_of(update: &Update) -> Vec<&str> {
    update.keys.iter().map(|(key, _)| key.as_str()).collect()
}

fn written_in(update: &Update) -> Vec<(&str, &[u8])> {
    update.written.iter().map(|entry| (entry.key.as_str(), entry.value.as_slice())).collect()
}

pub async fn a_listing_since_a_revision_has_every_key_and_what_was_written_after(on: Arc<Backend>) {
    on.put("a/old", "1").await;
    let rewritten = on.put("a/rewritten", "1").await;
    on.put("b/elsewhere", "1").await;
    let all = on.registry.list_since("a/", Revision(0)).await.unwrap();
    assert_eq!(written_in(&all), [("a/old", b"1".as_slice()), ("a/rewritten", b"1")]);
    assert!(all.revision > rewritten);

    let second = on.put("a/rewritten", "2").await;
    let new = on.put("a/new", "1").await;
    let update = on.registry.list_since("a/", all.revision).await.unwrap();
    assert_eq!(written_in(&update), [("a/new", b"1".as_slice()), ("a/rewritten", b"2")]);
    let old = all.keys[0].1;
    let expected = [("a/new", new), ("a/old", old), ("a/rewritten", second)];
    assert_eq!(update.keys, expected.map(|(key, revision)| (key.to_owned(), revision)));
    assert_eq!(update.written[1].create_revision, rewritten);

    let nothing = on.registry.list_since("a/", update.revision).await.unwrap();
    assert_eq!((keys_of(&nothing), written_in(&nothing)), (keys_of(&update), vec![]));
}

pub async fn a_listing_since_a_revision_says_what_is_gone_and_what_came_back(on: Arc<Backend>) {
    for key in ["a/gone", "a/replaced"] {
        on.put(key, "1").await;
    }
    let before = on.registry.list_since("a/", Revision(0)).await.unwrap();
    on.commit(&[], &[delete("a/gone"), delete("a/replaced")]).await;
    let gone = on.registry.list_since("a/", before.revision).await.unwrap();
    assert_eq!((keys_of(&gone), written_in(&gone)), (vec![], vec![]));
    assert!(gone.revision > before.revision);

    let again = on.put("a/replaced", "1").await;
    let back = on.registry.list_since("a/", before.revision).await.unwrap();
    assert_eq!(back.keys, [("a/replaced".to_owned(), again)]);
    assert_eq!(back.written[0].create_revision, again);
}

pub async fn a_listing_since_a_revision_is_whole_when_it_is_large(on: Arc<Backend>) {
    const KEYS: usize = 9_000;
    let value = |n: usize| format!("{n}-{}", "x".repeat(1 << 10));
    write_all(&on, (0..KEYS).map(|n| put(&format!("many/{n:05}"), "old")).collect()).await;
    let before = on.revision().await;
    // Every third, and more of them than a page holds.
    let rewritten: Vec<usize> = (0..KEYS).step_by(3).collect();
    write_all(&on, rewritten.iter().map(|&n| put(&format!("many/{n:05}"), &value(n))).collect()).await;
    let update = on.registry.list_since("many/", before).await.unwrap();
    assert_eq!(update.keys.len(), KEYS);
    let found: Vec<(String, Vec<u8>)> =
        update.written.into_iter().map(|entry| (entry.key, entry.value)).collect();
    let expected: Vec<(String, Vec<u8>)> =
        rewritten.iter().map(|&n| (format!("many/{n:05}"), value(n).into_bytes())).collect();
    assert_eq!(found, expected);
}

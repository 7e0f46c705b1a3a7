use std::sync::Arc;

use roost_cluster::registry::{MAX_OPS, Op};

use crate::backend::{Backend, put};

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

//! What the hot path costs, without the disk (this binary's server does not wait for it): each step but the reading
//! one adds one flush of it. Not part of the suite, for it measures the machine:
//! `cargo test --release --test store -- --ignored --nocapture throughput`

use std::time::Instant;

use futures::future::join_all;
use roost_cluster::ledger::Ledger;
use roost_devcluster::Postgres;
use roost_model::ids::Revision;
use roost_store::{DeletionBatch, Fence, PostgresLedger, Store};

use crate::store::support::{Db, answer, message, new_tenant, node, tenant};

const MESSAGES: usize = 5_000;

#[tokio::test]
#[ignore = "a measurement, to be run alone and in release mode"]
async fn one_tenant_takes_a_thousand_messages_a_second() {
    let db = Db::new().await;
    for batch in [1, 10, 50] {
        let fence = db.owned(&format!("batch-{batch}")).await;
        let count = if batch == 1 { MESSAGES / 10 } else { MESSAGES };
        let begun = Instant::now();
        serve(&db.store, &fence, count, batch).await;
        let took = begun.elapsed();
        let rate = count as f64 / took.as_secs_f64();
        let step_ms = took.as_secs_f64() * 1000.0 / (4 * count / batch) as f64;
        println!("batches of {batch:2}: {rate:6.0} messages/s, {step_ms:.2} ms a step");
        assert!(batch < 50 || rate > 1000.0, "{rate:.0} messages/s in batches of {batch}");
    }
}

/// Admits, answers and sends.
async fn serve(store: &Store, fence: &Fence, count: usize, batch: usize) {
    for first in (0..count).step_by(batch) {
        let batch: Vec<_> =
            (first..first + batch).map(|n| message(&format!("m{n}"), &format!("c{}", n % 20))).collect();
        store.admit(fence, &batch).await.unwrap();
        let pending = store.pending_inbound(fence, 0, 100).await.unwrap();
        let completions: Vec<_> = pending.iter().map(answer).collect();
        let queued = store.complete(fence, &completions).await.unwrap();
        let ids: Vec<_> = queued.iter().map(|reply| reply.id).collect();
        store.mark_sent(fence, &ids, &[]).await.unwrap();
    }
}

/// A node's connections: with the disk, for commits that wait for it together are what more of them could gain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, to be run alone and in release mode"]
async fn a_node_with_few_connections_is_as_fast_as_one_with_many() {
    const TENANTS: usize = 20;
    const EACH: usize = 250;
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(dir.path()).await.unwrap();
    let admin = Store::connect(postgres.url(), 2).await.unwrap();
    admin.migrate().await.unwrap();
    let ledger = PostgresLedger::new(admin.clone());
    let term = ledger.begin_term("etcd", Revision(1), "test").await.unwrap();
    for connections in [8, 3, 2, 8, 3, 2] {
        let mut fences = Vec::new();
        for number in 0..TENANTS {
            let id = format!("t{number}");
            admin.create_tenant(new_tenant(&id)).await.unwrap();
            let placed = ledger.place(term, &[(tenant(&id), node("a"))]).await.unwrap();
            fences.extend(placed.into_iter().map(|(tenant, generation)| Fence { tenant, generation }));
        }
        let store = Store::connect(postgres.url(), connections).await.unwrap();
        let begun = Instant::now();
        join_all(fences.iter().map(|fence| serve(&store, fence, EACH, 5))).await;
        let rate = (TENANTS * EACH) as f64 / begun.elapsed().as_secs_f64();
        println!("{connections} connections: {rate:.0} messages/s of {TENANTS} tenants");
        for fence in &fences {
            admin.delete_tenant(&fence.tenant).await.unwrap();
        }
        while admin.delete_next_batch().await.unwrap() != DeletionBatch::Nothing {}
    }
}

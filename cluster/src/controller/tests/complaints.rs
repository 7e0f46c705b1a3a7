//! What the ledger is told of a controller's trouble, and how often.

use std::time::Duration;

use super::{
    outages::{damage, repair},
    test_cluster::{TestCluster, node_id},
};
use crate::{
    keys,
    ledger::{ComplaintKind, MemoryLedger},
    timing::Timing,
};

/// What was written last, after so many writes.
fn written(ledger: &MemoryLedger) -> (Option<ComplaintKind>, usize) {
    let (complaint, writes) = ledger.complaint();
    (complaint.map(|complaint| complaint.kind), writes)
}

#[tokio::test(start_paused = true)]
async fn a_complaint_is_written_when_it_changes_and_taken_back_when_nothing_is_in_the_way() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 6).await;
    cluster.until(async || written(&cluster.ledger) == (None, 1)).await;
    let whole = damage(&cluster, "acks/a").await;
    cluster.until(async || written(&cluster.ledger) == (Some(ComplaintKind::Records), 2)).await;
    assert!(cluster.ledger.complaint().0.unwrap().reason.contains("acks/a"));
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(written(&cluster.ledger).1, 2, "nothing has changed");

    cluster.registry.refuse_puts(Some(keys::ASSIGNMENTS));
    nodes[&node_id("b")].crash().await;
    cluster.until(async || written(&cluster.ledger) == (Some(ComplaintKind::EtcdFull), 3)).await;
    tokio::time::sleep(Timing::default().ttl).await;
    assert_eq!(written(&cluster.ledger).1, 3, "it fails again and again in the same way");
    cluster.registry.refuse_puts(None);
    cluster.until(async || written(&cluster.ledger).0 == Some(ComplaintKind::Records)).await;
    repair(&cluster, whole).await;
    cluster.until(async || written(&cluster.ledger).0.is_none()).await;
    let (_, writes) = written(&cluster.ledger);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(written(&cluster.ledger), (None, writes));
}

#[tokio::test(start_paused = true)]
async fn the_next_leader_takes_back_what_the_last_one_complained_of() {
    let (cluster, first, _nodes) = TestCluster::settled(&["a", "b"], 4).await;
    let whole = damage(&cluster, "acks/a").await;
    cluster.until(async || written(&cluster.ledger).0 == Some(ComplaintKind::Records)).await;
    first.stop().await;
    repair(&cluster, whole).await;
    assert_eq!(written(&cluster.ledger).0, Some(ComplaintKind::Records), "its last word stands");
    let _second = cluster.controller("two");
    cluster.until(async || written(&cluster.ledger).0.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_stands_by_does_not_go_on_complaining_of_what_is_over() {
    let (cluster, _first, _nodes) = TestCluster::settled(&["a"], 1).await;
    let second = cluster.controller("two");
    cluster.ledger.cut_off();
    let complains_of = || second.status.borrow().complaint.as_ref().map(|complaint| complaint.kind);
    cluster.until(async || complains_of() == Some(ComplaintKind::Postgres)).await;
    let since = second.status.borrow().complaint_since;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(second.status.borrow().complaint_since, since, "it is of the same kind");
    cluster.ledger.reconnect();
    cluster.until(async || complains_of().is_none()).await;
    assert!(!second.status.borrow().leading);
}

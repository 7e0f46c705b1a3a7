//! Moves whose next node does not get ready, and tenants that do not come back.

use std::time::Duration;

use roost_model::ids::OperationId;

use super::{
    recorder::Recorder,
    test_cluster::{TestCluster, node_id, tenant},
};
use crate::ledger::{EventKind, OperationEnd, Outcome};

impl TestCluster {
    /// Why it failed.
    async fn failure_of(&self, operation: OperationId) -> String {
        self.until(async || self.ledger.operation_end(operation).is_some()).await;
        match self.ledger.operation_end(operation) {
            Some(OperationEnd::Outcome(Outcome::Failed { reason })) => reason,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_move_to_a_node_that_cannot_prepare_leaves_the_tenant_where_it_runs() {
    for answers in [true, false] {
        let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b"], 6).await;
        let before = cluster.published().await;
        let from = before[&tenant(0)].0.clone();
        let to = if from == node_id("a") { node_id("b") } else { node_id("a") };
        if answers {
            nodes[&to].fail_to_prepare()
        } else {
            nodes[&to].never_prepare(true)
        }
        let started_at = cluster.now();
        let operation = cluster.ledger.start_move(&tenant(0), &to);
        let reason = if answers { "no browser" } else { "not ready within 10s" };
        let expected = format!("{to} did not get ready for it: {reason}");
        assert_eq!(cluster.failure_of(operation).await, expected);
        assert_eq!(cluster.now() - started_at >= Duration::from_secs(10), !answers);
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(cluster.published().await, before, "under the same generation");
        let events = cluster.ledger.events_of(EventKind::PreparationFailed);
        let text = format!("operation 1: {to} did not get ready for t0, which stays on {from}: {reason}");
        assert_eq!(events.iter().map(|event| event.text.clone()).collect::<Vec<_>>(), [text]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rebalance_onto_a_node_that_cannot_prepare_moves_nobody_and_fails_by_name() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b"], 20).await;
    let newcomer = cluster.node("c");
    newcomer.fail_to_prepare();
    cluster.until(async || cluster.ledger.events_of(EventKind::NodeJoined).len() == 1).await;
    let before = cluster.published().await;
    let rebalance = cluster.ledger.start_rebalance(4, 10);
    let reason = cluster.failure_of(rebalance).await;
    assert!(reason.starts_with("c did not get ready for t0, "), "{reason}");
    assert!(reason.ends_with(": no browser"), "{reason}");
    assert_eq!(cluster.published().await, before);
    assert!(cluster.preparing().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_drain_tries_the_next_node() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    nodes[&node_id("b")].fail_to_prepare();
    let recorder = Recorder::start(&cluster).await;
    let drain = cluster.ledger.start_drain(&node_id("a"));
    let waits_for = || cluster.ledger.operation_waits_for(drain).unwrap();
    cluster.until(async || waits_for().starts_with("b did not get ready for t")).await;
    assert!(waits_for().contains(": no browser"), "{}", waits_for());
    cluster.until(async || cluster.ledger.operation_end(drain).is_some()).await;
    assert_eq!(cluster.ledger.operation_end(drain), Some(OperationEnd::Outcome(Outcome::Done)));
    assert!(recorder.moves().iter().all(|(_, prepared)| *prepared));
    assert_eq!(cluster.loads().await.into_values().collect::<Vec<_>>(), [3, 6], "all went to c");
}

#[tokio::test(start_paused = true)]
async fn an_operation_whose_tenants_do_not_come_back_fails_with_their_names() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b"], 4).await;
    cluster.judge.tell_nothing();
    let on_a = cluster.loads().await[&node_id("a")];
    let drain = cluster.ledger.start_drain(&node_id("a"));
    let started_at = cluster.now();
    let waits_for = || cluster.ledger.operation_waits_for(drain).unwrap();
    cluster.until(async || waits_for().starts_with("all are moved; not yet what they were: t")).await;
    let reason = cluster.failure_of(drain).await;
    assert!(reason.starts_with("not what it was within 30s of its move: t"), "{reason}");
    assert_eq!(reason.matches(" on b").count(), on_a);
    assert!(cluster.now() - started_at >= Duration::from_secs(30));
    drop(nodes);
}

//! Operations: drains, rebalances, single moves, and their cancellation.

use std::time::Duration;

use roost_model::ids::OperationId;

use super::{
    node::Traits,
    recorder::Recorder,
    test_cluster::{TestCluster, node_id, tenant},
};
use crate::{
    ledger::{EventKind, Ledger, LedgerRecord, OperationEnd, OperationKind, Outcome, Progress},
    records::Phase,
};

const DONE: Option<OperationEnd> = Some(OperationEnd::Outcome(Outcome::Done));

impl TestCluster {
    async fn until_done(&self, operation: OperationId) {
        self.until(async || self.ledger.operation_end(operation).is_some()).await;
        assert_eq!(self.ledger.operation_end(operation), DONE);
    }

    /// Every tenant is run by its one node, and nothing is on its way.
    async fn is_at_rest(&self, tenants: usize) -> bool {
        let active = |entry: &crate::records::AssignmentEntry| entry.phase == Phase::Active;
        let published = self.published().await;
        self.preparing().await.is_empty()
            && published.len() == tenants
            && published.values().all(|(_, entry)| active(entry))
            && self.judge.browsers() == tenants
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_moves_everything_prepared_and_leaves_the_node_cordoned() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    let on_a = cluster.loads().await[&node_id("a")];
    let recorder = Recorder::start(&cluster).await;
    let drain = cluster.ledger.start_drain(&node_id("a"));
    cluster.until_done(drain).await;
    assert!(cluster.is_at_rest(9).await);
    assert!(!cluster.loads().await.contains_key(&node_id("a")));
    let moves = recorder.moves();
    assert_eq!(moves.len(), on_a);
    assert!(moves.iter().all(|(_, prepared)| *prepared), "{moves:?}");
    let total = u32::try_from(on_a).unwrap();
    assert_eq!(cluster.ledger.operation_progress(drain), Some(Progress { total, done: total }));
    let ended = cluster.ledger.events_of(EventKind::OperationEnded);
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].text, format!("operation 1 is over after {on_a} of {on_a} tenants: Done"));

    for number in 9..15 {
        cluster.ledger.add(&tenant(number), true);
    }
    cluster.until(async || cluster.is_at_rest(15).await).await;
    assert!(!cluster.loads().await.contains_key(&node_id("a")), "it stays cordoned");
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_cancelled_before_anything_was_released_changes_nothing() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    let before = cluster.published().await;
    nodes.values().for_each(|node| node.never_prepare(true));
    let drain = cluster.ledger.start_drain(&node_id("a"));
    cluster.until(async || !cluster.preparing().await.is_empty()).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(cluster.published().await, before, "nothing is released that nobody is ready for");
    assert!(cluster.ledger.cancel_operation(drain));
    cluster.until(async || cluster.preparing().await.is_empty()).await;
    assert_eq!(cluster.published().await, before);
    assert!(cluster.is_at_rest(9).await);
    assert_eq!(cluster.ledger.operation_end(drain), Some(OperationEnd::Cancelled));
    assert_eq!(cluster.ledger.orders().await.unwrap().nodes, [], "the cordon went with the drain");
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_cancelled_at_any_moment_leaves_nothing_half_done() {
    for wait_ms in [1, 8, 12, 17, 23, 31, 44] {
        let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b", "c"], 18).await;
        let drain = cluster.ledger.start_drain(&node_id("a"));
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        cluster.ledger.cancel_operation(drain);
        cluster.until(async || cluster.is_at_rest(18).await).await;
        let at_rest = cluster.published().await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(cluster.published().await, at_rest, "cancelled after {wait_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_urgent_once_its_deadline_has_passed() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    nodes.values().for_each(|node| node.never_prepare(true));
    let started_at = cluster.now();
    let kind = OperationKind::Drain { node: node_id("a"), urgent: false };
    let drain = cluster.ledger.start_operation(kind, Some(Duration::from_secs(20)));
    cluster.until_done(drain).await;
    assert!(cluster.now() - started_at >= Duration::from_secs(20));
    assert!(cluster.is_at_rest(9).await);
    assert!(!cluster.loads().await.contains_key(&node_id("a")));
}

#[tokio::test(start_paused = true)]
async fn an_overdue_drain_leaves_running_whom_nobody_has_room_for_and_says_who_and_why() {
    let traits = Traits { capacity: 4, ..Traits::default() };
    let (cluster, controller, _nodes) = TestCluster::settled_with(&["a", "b"], 6, traits).await;
    let kind = OperationKind::Drain { node: node_id("a"), urgent: true };
    let drain = cluster.ledger.start_operation(kind, None);
    cluster.until(async || cluster.loads().await.get(&node_id("b")) == Some(&4)).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(cluster.is_at_rest(6).await);
    assert_eq!(cluster.ledger.operation_progress(drain), Some(Progress { total: 3, done: 1 }));
    let why = controller.status.borrow().complaint.clone().unwrap().reason;
    let stay = cluster.tenants_on("a").await;
    let stay = format!("{}, {} stay: every node is full", stay[0], stay[1]);
    assert_eq!(why, format!("the drain of a is overdue: {stay}"));
    assert_eq!(cluster.ledger.operation_waits_for(drain), Some(stay), "the operation says it too");
    // Nothing that stays as it is is written again.
    let noted = cluster.ledger.records().len();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(cluster.ledger.records().len(), noted);
    let _room = cluster.node("c");
    cluster.until_done(drain).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_although_its_node_dies() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 12).await;
    nodes.values().for_each(|node| node.never_prepare(true));
    let drain = cluster.ledger.start_drain(&node_id("a"));
    cluster.until(async || !cluster.preparing().await.is_empty()).await;
    nodes[&node_id("a")].crash().await;
    cluster.until_done(drain).await;
    cluster.until(async || cluster.is_at_rest(12).await).await;
}

#[tokio::test(start_paused = true)]
async fn the_node_that_prepares_may_die_too() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 12).await;
    nodes.values().for_each(|node| node.never_prepare(true));
    let drain = cluster.ledger.start_drain(&node_id("a"));
    cluster.until(async || cluster.preparing().await.iter().any(|(node, _)| *node == node_id("b"))).await;
    nodes[&node_id("b")].crash().await;
    nodes[&node_id("c")].never_prepare(false);
    cluster.until_done(drain).await;
    cluster.until(async || cluster.is_at_rest(12).await).await;
    assert_eq!(cluster.loads().await[&node_id("c")], 12);
}

/// The next node dies when the present one has let go: where the tenant came from is kept for as long as it waits.
#[tokio::test(start_paused = true)]
async fn what_a_drain_has_released_is_the_drains_also_when_it_finds_a_place_later() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b"], 2).await;
    let (a, tenant) = (node_id("a"), cluster.tenants_on("a").await[0].clone());
    nodes[&a].keep_browsers(true);
    let drain = cluster.ledger.start_drain(&a);
    cluster.until(async || cluster.published().await[&tenant].1.phase == Phase::Releasing).await;
    nodes[&node_id("b")].crash().await;
    nodes[&a].keep_browsers(false);
    cluster.until(async || cluster.judge.browsers() == 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(cluster.ledger.desired(&tenant).unwrap().node, Some(a));
    let _newcomer = cluster.node("c");
    cluster.until(async || cluster.judge.browsers() == 2).await;
    cluster.until_done(drain).await;
    let placed_by = |record: LedgerRecord| match record {
        LedgerRecord::Placed { tenant: placed, operation, .. } if placed == tenant => Some(operation),
        _ => None,
    };
    let placements: Vec<_> = cluster.ledger.records().into_iter().filter_map(placed_by).collect();
    assert_eq!(placements.last(), Some(&Some(drain)));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_moves_where_it_is_sent_and_stays_there() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b", "c"], 6).await;
    let from = cluster.published().await[&tenant(0)].0.clone();
    let to = if from == node_id("a") { node_id("b") } else { node_id("a") };
    let recorder = Recorder::start(&cluster).await;
    let operation = cluster.ledger.start_move(&tenant(0), &to);
    cluster.until_done(operation).await;
    assert_eq!(recorder.moves(), [(tenant(0), true)]);
    assert_eq!(cluster.ledger.operation_progress(operation), Some(Progress { total: 1, done: 1 }));
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(cluster.published().await[&tenant(0)].0, to);
    // To where it is: nothing is to be done.
    let again = cluster.ledger.start_move(&tenant(0), &to);
    cluster.until_done(again).await;
    assert_eq!(recorder.moves().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_move_that_cannot_be_is_refused_with_a_reason() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b"], 6).await;
    let _small = cluster.node_with("small", Traits { capacity: 0, ..Traits::default() });
    cluster.until(async || cluster.ledger.events_of(EventKind::NodeJoined).len() == 1).await;
    cluster.ledger.cordon(&node_id("b"), true);
    cluster.ledger.set_running(&tenant(1), false);
    let published = cluster.published().await;
    let tenant_move = (2..6).find(|&number| published[&tenant(number)].0 == node_id("a")).unwrap();
    let mut failures = Vec::new();
    for (who, to) in
        [(tenant_move, "small"), (tenant_move, "nowhere"), (tenant_move, "b"), (1, "a"), (99, "a")]
    {
        let operation = cluster.ledger.start_move(&tenant(who), &node_id(to));
        cluster.until(async || cluster.ledger.operation_end(operation).is_some()).await;
        match cluster.ledger.operation_end(operation) {
            Some(OperationEnd::Outcome(Outcome::Failed { reason })) => failures.push(reason),
            other => panic!("{other:?}"),
        }
    }
    let expected = [
        "small is full",
        "nowhere is gone",
        "b is cordoned",
        "the tenant is stopped",
        "the tenant is deleted",
    ];
    assert_eq!(failures, expected);
}

#[tokio::test(start_paused = true)]
async fn a_rebalance_fills_new_nodes_within_its_limits() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b"], 40).await;
    let _new = [cluster.node("c"), cluster.node("d")];
    cluster.until(async || cluster.ledger.events_of(EventKind::NodeJoined).len() == 2).await;
    let recorder = Recorder::start(&cluster).await;
    let rebalance = cluster.ledger.start_rebalance(3, 5);
    cluster.until_done(rebalance).await;
    assert!(cluster.is_at_rest(40).await);
    assert_eq!(cluster.loads().await.into_values().collect::<Vec<_>>(), [10; 4]);
    let (under_way, unavailable) = recorder.busiest();
    assert_eq!((under_way, unavailable), (3, 2));
    assert!(recorder.moves().iter().all(|(_, prepared)| *prepared));
    assert_eq!(cluster.ledger.operation_progress(rebalance), Some(Progress { total: 20, done: 20 }));
}

#[tokio::test(start_paused = true)]
async fn a_calm_cluster_rebalances_itself_when_the_policy_says_so() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b"], 20).await;
    let _new = cluster.node("c");
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(cluster.loads().await.len(), 2, "it is off");
    cluster.ledger.set_auto_rebalance(true);
    cluster.until(async || cluster.loads().await.len() == 3 && cluster.is_at_rest(20).await).await;
    cluster.until(async || cluster.ledger.operation_end(OperationId(1)) == DONE).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(cluster.ledger.events_of(EventKind::OperationStarted).len(), 1, "once is enough");
}

#[tokio::test(start_paused = true)]
async fn a_pinned_tenant_moves_to_its_node() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b"], 6).await;
    let from = cluster.published().await[&tenant(0)].0.clone();
    let to = if from == node_id("a") { node_id("b") } else { node_id("a") };
    let recorder = Recorder::start(&cluster).await;
    cluster.ledger.pin(&tenant(0), Some(&to));
    cluster.until(async || cluster.published().await.get(&tenant(0)).is_some_and(|(on, _)| *on == to)).await;
    cluster.until(async || cluster.is_at_rest(6).await).await;
    assert_eq!(recorder.moves(), [(tenant(0), true)]);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_cannot_go_on_costs_nothing_but_the_timer() {
    let (cluster, mut controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    nodes.values().for_each(|node| node.never_prepare(true));
    cluster.ledger.start_drain(&node_id("a"));
    cluster.until(async || !cluster.preparing().await.is_empty()).await;
    // Until both others have been tried.
    tokio::time::sleep(Duration::from_secs(25)).await;
    let told_before = cluster.ledger.records().len();
    let mut passes = 0;
    let until = tokio::time::Instant::now() + Duration::from_secs(40);
    while tokio::time::timeout_at(until, controller.status.changed()).await.is_ok() {
        passes += 1;
    }
    assert!((7..=10).contains(&passes), "{passes} passes in forty seconds");
    assert_eq!(cluster.ledger.records().len(), told_before);
}

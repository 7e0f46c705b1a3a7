//! Tenants and nodes that come and go.

use std::time::Duration;

use roost_model::ids::{Generation, Term};

use super::{
    node::Traits,
    test_cluster::{TestCluster, node_id, tenant},
};
use crate::{
    controller::context::ROWS_AT_ONCE, keys, ledger::LedgerRecord, records::Phase, registry::Registry,
    timing::Timing,
};

/// What the protocol itself may take from the end of a node's key to the new assignments.
const FAILOVER_BUDGET: Duration = Duration::from_millis(20);

#[tokio::test(start_paused = true)]
async fn tenants_of_a_crashed_node_are_elsewhere_at_once_under_higher_generations() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 6).await;
    let before = cluster.published().await;
    let crashed_at = cluster.now();
    nodes[&node_id("a")].crash().await;
    cluster.until(async || cluster.judge.browsers() == 6).await;
    assert!(cluster.now() - crashed_at <= FAILOVER_BUDGET, "{:?}", cluster.now() - crashed_at);
    for (tenant, (node, entry)) in cluster.published().await {
        let (node_before, entry_before) = &before[&tenant];
        if node_before.as_str() == "a" {
            assert_ne!(node.as_str(), "a");
            assert!(entry.generation > entry_before.generation);
        } else {
            assert_eq!((node_before, entry_before), (&node, &entry), "{tenant} need not have moved");
        }
        let desired = cluster.ledger.desired(&tenant).unwrap();
        assert_eq!((desired.generation, desired.node), (entry.generation, Some(node)));
    }
}

#[tokio::test(start_paused = true)]
async fn tenants_of_a_lost_machine_are_elsewhere_when_its_lease_ends() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 6).await;
    let lost_at = cluster.now();
    nodes[&node_id("b")].kill();
    cluster.until(async || cluster.judge.browsers() == 6).await;
    assert!(cluster.now() - lost_at <= Timing::default().ttl + FAILOVER_BUDGET);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_starts_asks_the_ledger_for_no_more_than_it_does_in_time() {
    let tenants = ROWS_AT_ONCE * 2 + 1;
    let cluster = TestCluster::new();
    let _roomy = cluster.node_with("a", Traits { capacity: 20_000, ..Traits::default() });
    cluster.until(async || cluster.live_nodes().await == 1).await;
    for number in 0..tenants {
        cluster.ledger.add(&tenant(number), true);
    }
    let _controller = cluster.controller("one");
    cluster.until(async || cluster.judge.browsers() == tenants).await;
    let is_placed = |record: &LedgerRecord| matches!(record, LedgerRecord::Placed { .. });
    cluster
        .until(async || cluster.ledger.records().iter().filter(|record| is_placed(record)).count() == tenants)
        .await;
    assert!(cluster.ledger.largest_write() <= ROWS_AT_ONCE, "{} rows", cluster.ledger.largest_write());
}

#[tokio::test(start_paused = true)]
async fn a_new_life_of_a_node_gets_its_tenants_again_under_higher_generations() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a"], 3).await;
    nodes[&node_id("a")].crash().await;
    cluster.until(async || cluster.judge.browsers() == 0).await;
    let again = cluster.node("a");
    cluster.until(async || cluster.judge.browsers() == 3).await;
    assert_ne!(again.incarnation(), nodes[&node_id("a")].incarnation());
    assert_eq!(cluster.generation(&tenant(0)).await, Some(Generation(2)));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_tenant_is_released_and_removed() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b"], 2).await;
    cluster.ledger.set_running(&tenant(0), false);
    cluster.until(async || cluster.generation(&tenant(0)).await.is_none()).await;
    assert_eq!(cluster.judge.browsers(), 1);
    cluster.until(async || cluster.ledger.desired(&tenant(0)).unwrap().node.is_none()).await;
    cluster.ledger.set_running(&tenant(0), true);
    cluster.until(async || cluster.generation(&tenant(0)).await == Some(Generation(2))).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_tenant_is_released_and_removed() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b"], 2).await;
    cluster.ledger.remove(&tenant(0));
    cluster.until(async || cluster.generation(&tenant(0)).await.is_none()).await;
    assert_eq!(cluster.judge.browsers(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_not_let_go_of_is_placed_nowhere_else() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b"], 1).await;
    let (holder, entry) = cluster.published().await.remove(&tenant(0)).unwrap();
    nodes[&holder].keep_browsers(true);
    cluster.ledger.set_running(&tenant(0), false);
    cluster.until(async || cluster.published().await[&tenant(0)].1.phase == Phase::Releasing).await;
    cluster.ledger.set_running(&tenant(0), true);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (still, releasing) = cluster.published().await.remove(&tenant(0)).unwrap();
    assert_eq!((&still, releasing.phase), (&holder, Phase::Releasing));

    nodes[&holder].keep_browsers(false);
    cluster
        .until(async || {
            cluster.published().await.get(&tenant(0)).is_some_and(|(_, now)| now.phase == Phase::Active)
        })
        .await;
    assert!(cluster.generation(&tenant(0)).await > Some(entry.generation));
}

#[tokio::test(start_paused = true)]
async fn a_leaving_node_hands_over_everything() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    nodes[&node_id("c")].leave();
    let handed_over = async || {
        let published = cluster.published().await;
        published.len() == 9 && published.values().all(|(node, _)| node.as_str() != "c")
    };
    cluster.until(handed_over).await;
    cluster.until(async || cluster.judge.browsers() == 9).await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_spec_reaches_the_owner_without_a_move() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b"], 1).await;
    let (node, before) = cluster.published().await.remove(&tenant(0)).unwrap();
    cluster.ledger.set_running(&tenant(0), true);
    let wanted = cluster.ledger.desired(&tenant(0)).unwrap().spec_revision;
    cluster.until(async || cluster.published().await[&tenant(0)].1.spec_revision == wanted).await;
    let (still, after) = cluster.published().await.remove(&tenant(0)).unwrap();
    assert!(after.spec_revision > before.spec_revision);
    assert_eq!((still, after.generation), (node, before.generation));
}

#[tokio::test(start_paused = true)]
async fn tenants_that_find_no_room_are_placed_when_a_node_comes() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&[], 0).await;
    cluster.ledger.add(&tenant(0), true);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(cluster.generation(&tenant(0)).await, None);
    let _node = cluster.node("a");
    cluster.until(async || cluster.judge.browsers() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_nothing_changes() {
    let (cluster, controller, _nodes) = TestCluster::settled(&["a", "b"], 4).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let revision = async || cluster.registry.list(keys::ALL).await.unwrap().revision;
    let before = revision().await;
    let passed_before = controller.status.borrow().last_pass_at;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(revision().await, before);
    assert!(controller.status.borrow().last_pass_at > passed_before);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_whose_row_is_held_keeps_nobody_else_from_a_new_node() {
    let (cluster, controller, nodes) = TestCluster::settled(&["a", "b"], 6).await;
    let of_a: Vec<_> = cluster
        .published()
        .await
        .into_iter()
        .filter_map(|(tenant, (node, _))| (node.as_str() == "a").then_some(tenant))
        .collect();
    cluster.ledger.hold(&of_a[0], true);
    let crashed_at = cluster.now();
    nodes[&node_id("a")].crash().await;
    cluster.until(async || cluster.judge.browsers() == 5).await;
    assert!(cluster.now() - crashed_at <= FAILOVER_BUDGET, "{:?}", cluster.now() - crashed_at);
    let complaint = controller.status.borrow().complaint.clone().map(|told| told.reason).unwrap_or_default();
    assert!(complaint.starts_with(&format!("{} cannot be placed", of_a[0])), "{complaint}");

    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((cluster.judge.browsers(), cluster.ledger.term()), (5, Term(1)), "the term goes on");
    cluster.ledger.hold(&of_a[0], false);
    let freed_at = cluster.now();
    cluster.until(async || cluster.judge.browsers() == 6).await;
    assert!(cluster.now() - freed_at <= Timing::default().reconcile_every + FAILOVER_BUDGET);
    cluster.until(async || controller.status.borrow().complaint.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_held_for_a_moment_costs_its_tenant_a_moment() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b"], 2).await;
    let (tenant, _) =
        cluster.published().await.into_iter().find(|(_, (node, _))| node.as_str() == "a").unwrap();
    cluster.ledger.hold(&tenant, true);
    nodes[&node_id("a")].crash().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    cluster.ledger.hold(&tenant, false);
    let freed_at = cluster.now();
    cluster.until(async || cluster.judge.browsers() == 2).await;
    assert!(cluster.now() - freed_at <= Duration::from_millis(200), "{:?}", cluster.now() - freed_at);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_the_ledger_refuses_to_place_is_found_among_many() {
    let cluster = TestCluster::new();
    let _roomy = cluster.node_with("a", Traits { capacity: 20_000, ..Traits::default() });
    cluster.until(async || cluster.live_nodes().await == 1).await;
    for number in 0..ROWS_AT_ONCE {
        cluster.ledger.add(&tenant(number), true);
    }
    cluster.ledger.refuse_to_place(&tenant(77));
    let controller = cluster.controller("one");
    cluster.until(async || cluster.judge.browsers() == ROWS_AT_ONCE - 1).await;
    let status = controller.status.borrow().clone();
    assert_eq!(status.term, Some(Term(1)), "a refusal is no doubt");
    assert!(status.complaint.is_some_and(|told| told.reason.contains("t77 is indigestible")));
}

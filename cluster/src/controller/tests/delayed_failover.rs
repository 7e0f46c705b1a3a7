//! Losses that are not answered at once: pauses, the breaker, restart windows, nodes that flap.

use std::time::Duration;

use super::test_cluster::{TestCluster, node_id, tenant};
use crate::{
    ledger::{EventKind, Ledger},
    timing::Timing,
};
use roost_model::ids::{NodeId, TenantId};

const TTL: Duration = Duration::from_secs(5);

impl TestCluster {
    pub(super) async fn tenants_on(&self, node: &str) -> Vec<TenantId> {
        let published = self.published().await;
        published.into_iter().filter(|(_, (on, _))| on.as_str() == node).map(|(tenant, _)| tenant).collect()
    }

    fn ledger_has(&self, tenant: &TenantId) -> Option<NodeId> {
        self.ledger.desired(tenant).unwrap().node
    }
}

#[tokio::test(start_paused = true)]
async fn while_failover_is_paused_only_tenants_of_lost_nodes_wait() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    let on_a = cluster.tenants_on("a").await;
    cluster.ledger.pause_failover("a switch is replaced");
    nodes[&node_id("a")].crash().await;
    cluster.ledger.add(&tenant(9), true);
    cluster.until(async || cluster.judge.browsers() == 10 - on_a.len()).await;
    tokio::time::sleep(TTL * 10).await;
    assert_eq!(cluster.judge.browsers(), 10 - on_a.len());
    assert!(on_a.iter().all(|tenant| cluster.ledger_has(tenant) == Some(node_id("a"))));
    cluster.ledger.resume_failover();
    cluster.until(async || cluster.judge.browsers() == 10).await;
}

#[tokio::test(start_paused = true)]
async fn tenants_of_a_lost_node_return_to_it_while_failover_is_paused() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    let on_a = cluster.tenants_on("a").await;
    cluster.ledger.pause_failover("a switch is replaced");
    nodes[&node_id("a")].crash().await;
    cluster.until(async || cluster.judge.browsers() < 9).await;
    let _again = cluster.node("a");
    cluster.until(async || cluster.judge.browsers() == 9).await;
    assert_eq!(cluster.tenants_on("a").await, on_a);
}

#[tokio::test(start_paused = true)]
async fn losing_two_of_five_nodes_at_once_pauses_failover_until_it_is_resumed() {
    let (cluster, controller, nodes) = TestCluster::settled(&["a", "b", "c", "d", "e"], 20).await;
    let before = cluster.published().await;
    let lost = cluster.tenants_on("a").await.len() + cluster.tenants_on("b").await.len();
    // Between two of the controller's looks, so that it sees both go at once.
    tokio::join!(nodes[&node_id("a")].crash(), nodes[&node_id("b")].crash());
    cluster.until(async || !cluster.ledger.events_of(EventKind::FailoverPaused).is_empty()).await;
    let paused = cluster.ledger.orders().await.unwrap().policy.failover_paused;
    assert_eq!(paused.as_deref(), Some("2 of 5 nodes were lost at once: a, b"));
    tokio::time::sleep(TTL * 10).await;
    assert_eq!(cluster.judge.browsers(), 20 - lost);
    let stayed = cluster.published().await;
    assert!(stayed.iter().all(|(tenant, (node, _))| before[tenant].0 == *node));
    assert_eq!(cluster.ledger.events_of(EventKind::FailoverPaused).len(), 1);

    // The next controller finds them gone too, and adds nothing to it.
    controller.stop().await;
    let _second = cluster.controller("two");
    tokio::time::sleep(TTL * 3).await;
    assert_eq!(cluster.judge.browsers(), 20 - lost);
    assert_eq!(cluster.ledger.events_of(EventKind::NodeLost).len(), 2);
    cluster.ledger.resume_failover();
    cluster.until(async || cluster.judge.browsers() == 20).await;
}

#[tokio::test(start_paused = true)]
async fn a_mass_loss_is_noticed_across_a_change_of_the_controller() {
    let (cluster, controller, nodes) = TestCluster::settled(&["a", "b", "c", "d", "e"], 20).await;
    controller.stop().await;
    tokio::join!(nodes[&node_id("a")].crash(), nodes[&node_id("b")].crash());
    let running = cluster.judge.browsers();
    let _second = cluster.controller("two");
    cluster.until(async || !cluster.ledger.events_of(EventKind::FailoverPaused).is_empty()).await;
    assert_eq!(cluster.judge.browsers(), running);
}

#[tokio::test(start_paused = true)]
async fn nodes_that_all_come_back_need_no_operator() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    let before = cluster.published().await;
    for node in nodes.values() {
        node.crash().await;
    }
    tokio::time::sleep(TTL / 2).await;
    let _again = ["a", "b", "c"].map(|name| cluster.node(name));
    cluster.until(async || cluster.judge.browsers() == 9).await;
    let after = cluster.published().await;
    assert!(after.iter().all(|(tenant, (node, _))| before[tenant].0 == *node), "nobody moved");
    tokio::time::sleep(TTL * 3).await;
    assert_eq!(cluster.ledger.events_of(EventKind::FailoverPaused), []);
}

#[tokio::test(start_paused = true)]
async fn with_the_brake_off_every_loss_is_answered_at_once() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c", "d"], 12).await;
    cluster.ledger.set_failover_breaker(false);
    tokio::join!(nodes[&node_id("a")].crash(), nodes[&node_id("b")].crash(), nodes[&node_id("c")].crash());
    let lost_at = cluster.now();
    cluster.until(async || cluster.judge.browsers() == 12).await;
    assert!(cluster.now() - lost_at < Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_restarts_in_its_window_finds_its_tenants_where_they_were() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    let (a, on_a) = (&nodes[&node_id("a")], cluster.tenants_on("a").await);
    cluster.ledger.set_restart_window(&node_id("a"), a.incarnation(), TTL * 12);
    tokio::time::sleep(TTL).await;
    assert_eq!(cluster.judge.browsers(), 9, "a window alone stops nothing");
    a.leave();
    cluster.until(async || cluster.judge.browsers() == 9 - on_a.len()).await;
    a.crash().await;
    tokio::time::sleep(TTL * 4).await;
    assert_eq!(cluster.judge.browsers(), 9 - on_a.len(), "they wait");
    assert!(on_a.iter().all(|tenant| cluster.ledger_has(tenant) == Some(node_id("a"))));
    let again = cluster.node("a");
    cluster.until(async || cluster.judge.browsers() == 9).await;
    assert_eq!(cluster.tenants_on("a").await, on_a);
    assert_eq!(cluster.ledger.events_of(EventKind::NodeLost), []);

    // The window was for that one restart.
    again.crash().await;
    let lost_at = cluster.now();
    cluster.until(async || cluster.judge.browsers() == 9).await;
    assert!(cluster.now() - lost_at < Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn tenants_wait_for_a_restart_no_longer_than_its_window() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    let a = &nodes[&node_id("a")];
    let span = Timing::default().ttl * 3 + Duration::from_millis(1_700);
    cluster.ledger.set_restart_window(&node_id("a"), a.incarnation(), span);
    let opened_at = cluster.now();
    a.crash().await;
    cluster.until(async || cluster.judge.browsers() < 9).await;
    cluster.until(async || cluster.judge.browsers() == 9).await;
    let waited = cluster.now() - opened_at;
    assert!(waited >= span && waited < span + Duration::from_millis(50), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_and_goes_is_suspect_after_the_third_time() {
    let (cluster, _controller, mut nodes) = TestCluster::settled(&["a", "b", "c"], 6).await;
    let suspect = async || {
        let orders = cluster.ledger.orders().await.unwrap();
        orders.nodes.iter().any(|order| order.node == node_id("a") && order.suspect_for.is_some())
    };
    for time in 1..=3 {
        assert!(!suspect().await);
        nodes.remove(&node_id("a")).unwrap().crash().await;
        cluster.until(async || cluster.ledger.events_of(EventKind::NodeLost).len() == time).await;
        nodes.insert(node_id("a"), cluster.node("a"));
        cluster.until(async || cluster.ledger.events_of(EventKind::NodeJoined).len() == time).await;
    }
    cluster.until(suspect).await;
    assert_eq!(cluster.ledger.events_of(EventKind::NodeSuspect).len(), 1);
    for number in 6..10 {
        cluster.ledger.add(&tenant(number), true);
    }
    cluster.until(async || cluster.judge.browsers() == 10).await;
    assert_eq!(cluster.tenants_on("a").await, [], "the others have room");
}

#[tokio::test(start_paused = true)]
async fn who_leads_and_who_joins_is_recorded() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b"], 2).await;
    let elected = cluster.ledger.events_of(EventKind::ControllerElected);
    assert_eq!(elected[0].text, "coordinator/one is the controller of term 1");
    nodes[&node_id("b")].leave();
    cluster.until(async || cluster.tenants_on("b").await.is_empty() && cluster.judge.browsers() == 2).await;
    nodes[&node_id("b")].crash().await;
    cluster.until(async || cluster.ledger.events_of(EventKind::NodeLeft).len() == 1).await;
    assert_eq!(cluster.ledger.events_of(EventKind::NodeLost), []);
}

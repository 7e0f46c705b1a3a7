//! Losses that are not answered at once: pauses, brakes, restart windows, nodes that flap.

use std::time::Duration;

use roost_model::ids::{NodeId, TenantId};

use super::rig::{Rig, node_id, tenant};
use crate::{
    ledger::{EventKind, Ledger},
    timing::Timing,
};

const TTL: Duration = Duration::from_secs(5);

impl Rig {
    async fn tenants_on(&self, node: &str) -> Vec<TenantId> {
        let published = self.published().await;
        published.into_iter().filter(|(_, (on, _))| on.as_str() == node).map(|(tenant, _)| tenant).collect()
    }

    fn ledger_has(&self, tenant: &TenantId) -> Option<NodeId> {
        self.ledger.demand(tenant).unwrap().node
    }
}

#[tokio::test(start_paused = true)]
async fn while_failover_is_paused_only_tenants_of_lost_nodes_wait() {
    let (rig, _controller, nodes) = Rig::settled(&["a", "b", "c"], 9).await;
    let on_a = rig.tenants_on("a").await;
    rig.ledger.pause_failover("a switch is replaced");
    nodes[&node_id("a")].crash().await;
    rig.ledger.add(&tenant(9), true);
    rig.until(async || rig.judge.browsers() == 10 - on_a.len()).await;
    tokio::time::sleep(TTL * 10).await;
    assert_eq!(rig.judge.browsers(), 10 - on_a.len());
    assert!(on_a.iter().all(|tenant| rig.ledger_has(tenant) == Some(node_id("a"))));
    rig.ledger.resume_failover();
    rig.until(async || rig.judge.browsers() == 10).await;
}

#[tokio::test(start_paused = true)]
async fn tenants_of_a_lost_node_return_to_it_while_failover_is_paused() {
    let (rig, _controller, nodes) = Rig::settled(&["a", "b", "c"], 9).await;
    let on_a = rig.tenants_on("a").await;
    rig.ledger.pause_failover("a switch is replaced");
    nodes[&node_id("a")].crash().await;
    rig.until(async || rig.judge.browsers() < 9).await;
    let _again = rig.node("a");
    rig.until(async || rig.judge.browsers() == 9).await;
    assert_eq!(rig.tenants_on("a").await, on_a);
}

#[tokio::test(start_paused = true)]
async fn losing_two_of_five_nodes_at_once_pauses_failover_until_it_is_resumed() {
    let (rig, controller, nodes) = Rig::settled(&["a", "b", "c", "d", "e"], 20).await;
    let before = rig.published().await;
    let lost = rig.tenants_on("a").await.len() + rig.tenants_on("b").await.len();
    // Between two of the controller's looks, so that it sees both go at once.
    tokio::join!(nodes[&node_id("a")].crash(), nodes[&node_id("b")].crash());
    rig.until(async || !rig.ledger.events_of(EventKind::FailoverPaused).is_empty()).await;
    let paused = rig.ledger.orders().await.unwrap().policy.failover_paused;
    assert_eq!(paused.as_deref(), Some("2 of 5 nodes were lost at once: a, b"));
    tokio::time::sleep(TTL * 10).await;
    assert_eq!(rig.judge.browsers(), 20 - lost);
    let stayed = rig.published().await;
    assert!(stayed.iter().all(|(tenant, (node, _))| before[tenant].0 == *node));
    assert_eq!(rig.ledger.events_of(EventKind::FailoverPaused).len(), 1);

    // The next controller finds them gone too, and adds nothing to it.
    controller.stop().await;
    let _second = rig.controller("two");
    tokio::time::sleep(TTL * 3).await;
    assert_eq!(rig.judge.browsers(), 20 - lost);
    assert_eq!(rig.ledger.events_of(EventKind::NodeLost).len(), 2);
    rig.ledger.resume_failover();
    rig.until(async || rig.judge.browsers() == 20).await;
}

#[tokio::test(start_paused = true)]
async fn a_mass_loss_is_noticed_across_a_change_of_the_controller() {
    let (rig, controller, nodes) = Rig::settled(&["a", "b", "c", "d", "e"], 20).await;
    controller.stop().await;
    tokio::join!(nodes[&node_id("a")].crash(), nodes[&node_id("b")].crash());
    let running = rig.judge.browsers();
    let _second = rig.controller("two");
    rig.until(async || !rig.ledger.events_of(EventKind::FailoverPaused).is_empty()).await;
    assert_eq!(rig.judge.browsers(), running);
}

#[tokio::test(start_paused = true)]
async fn nodes_that_all_come_back_need_no_operator() {
    let (rig, _controller, nodes) = Rig::settled(&["a", "b", "c"], 9).await;
    let before = rig.published().await;
    for node in nodes.values() {
        node.crash().await;
    }
    tokio::time::sleep(TTL / 2).await;
    let _again = ["a", "b", "c"].map(|name| rig.node(name));
    rig.until(async || rig.judge.browsers() == 9).await;
    let after = rig.published().await;
    assert!(after.iter().all(|(tenant, (node, _))| before[tenant].0 == *node), "nobody moved");
    tokio::time::sleep(TTL * 3).await;
    assert_eq!(rig.ledger.events_of(EventKind::FailoverPaused), []);
}

#[tokio::test(start_paused = true)]
async fn with_the_brake_off_every_loss_is_answered_at_once() {
    let (rig, _controller, nodes) = Rig::settled(&["a", "b", "c", "d"], 12).await;
    rig.ledger.set_mass_loss_brake(false);
    tokio::join!(nodes[&node_id("a")].crash(), nodes[&node_id("b")].crash(), nodes[&node_id("c")].crash());
    let lost_at = rig.now();
    rig.until(async || rig.judge.browsers() == 12).await;
    assert!(rig.now() - lost_at < Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_restarts_in_its_window_finds_its_tenants_where_they_were() {
    let (rig, _controller, nodes) = Rig::settled(&["a", "b", "c"], 9).await;
    let (a, on_a) = (&nodes[&node_id("a")], rig.tenants_on("a").await);
    rig.ledger.set_restart_window(&node_id("a"), a.incarnation(), TTL * 12);
    tokio::time::sleep(TTL).await;
    assert_eq!(rig.judge.browsers(), 9, "a window alone stops nothing");
    a.leave();
    rig.until(async || rig.judge.browsers() == 9 - on_a.len()).await;
    a.crash().await;
    tokio::time::sleep(TTL * 4).await;
    assert_eq!(rig.judge.browsers(), 9 - on_a.len(), "they wait");
    assert!(on_a.iter().all(|tenant| rig.ledger_has(tenant) == Some(node_id("a"))));
    let again = rig.node("a");
    rig.until(async || rig.judge.browsers() == 9).await;
    assert_eq!(rig.tenants_on("a").await, on_a);
    assert_eq!(rig.ledger.events_of(EventKind::NodeLost), []);

    // The window was for that one restart.
    again.crash().await;
    let lost_at = rig.now();
    rig.until(async || rig.judge.browsers() == 9).await;
    assert!(rig.now() - lost_at < Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn tenants_wait_for_a_restart_no_longer_than_its_window() {
    let (rig, _controller, nodes) = Rig::settled(&["a", "b", "c"], 9).await;
    let a = &nodes[&node_id("a")];
    let span = Timing::default().ttl * 3 + Duration::from_millis(1_700);
    rig.ledger.set_restart_window(&node_id("a"), a.incarnation(), span);
    let opened_at = rig.now();
    a.crash().await;
    rig.until(async || rig.judge.browsers() < 9).await;
    rig.until(async || rig.judge.browsers() == 9).await;
    let waited = rig.now() - opened_at;
    assert!(waited >= span && waited < span + Duration::from_millis(50), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_and_goes_is_suspect_after_the_third_time() {
    let (rig, _controller, mut nodes) = Rig::settled(&["a", "b", "c"], 6).await;
    let suspect = async || {
        let orders = rig.ledger.orders().await.unwrap();
        orders.nodes.iter().any(|order| order.node == node_id("a") && order.suspect_for.is_some())
    };
    for time in 1..=3 {
        assert!(!suspect().await);
        nodes.remove(&node_id("a")).unwrap().crash().await;
        rig.until(async || rig.ledger.events_of(EventKind::NodeLost).len() == time).await;
        nodes.insert(node_id("a"), rig.node("a"));
        rig.until(async || rig.ledger.events_of(EventKind::NodeJoined).len() == time).await;
    }
    rig.until(suspect).await;
    assert_eq!(rig.ledger.events_of(EventKind::NodeSuspect).len(), 1);
    for number in 6..10 {
        rig.ledger.add(&tenant(number), true);
    }
    rig.until(async || rig.judge.browsers() == 10).await;
    assert_eq!(rig.tenants_on("a").await, [], "the others have room");
}

#[tokio::test(start_paused = true)]
async fn who_leads_and_who_joins_is_noted() {
    let (rig, _controller, nodes) = Rig::settled(&["a", "b"], 2).await;
    let elected = rig.ledger.events_of(EventKind::ControllerElected);
    assert_eq!(elected[0].text, "coordinator/one is the controller of term 1");
    nodes[&node_id("b")].leave();
    rig.until(async || rig.tenants_on("b").await.is_empty() && rig.judge.browsers() == 2).await;
    nodes[&node_id("b")].crash().await;
    rig.until(async || rig.ledger.events_of(EventKind::NodeLeft).len() == 1).await;
    assert_eq!(rig.ledger.events_of(EventKind::NodeLost), []);
}

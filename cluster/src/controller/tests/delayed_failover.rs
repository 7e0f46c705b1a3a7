//! Losses that are not answered at once: pauses, the breaker, restart windows, nodes that flap.

use std::time::Duration;

use super::{
    node::Traits,
    test_cluster::{TestCluster, node_id, tenant},
};
use crate::{
    controller::survey,
    ledger::{EventKind, Ledger},
    plan::{self, Action, WaitReason},
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
    // One that is to run no more waits for nothing.
    cluster.ledger.set_running(&on_a[0], false);
    cluster.until(async || cluster.ledger_has(&on_a[0]).is_none()).await;
    cluster.ledger.resume_failover();
    cluster.until(async || cluster.judge.browsers() == 9).await;
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

/// How long a test waits for what takes no longer than the hold and the ramp.
async fn all_run_again(cluster: &TestCluster, tenants: usize) -> Duration {
    let since = cluster.now();
    cluster.until(async || cluster.judge.browsers() == tenants).await;
    cluster.now() - since
}

#[tokio::test(start_paused = true)]
async fn two_of_three_nodes_lost_are_answered_within_two_ttls_and_nobody_is_needed() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 6).await;
    nodes[&node_id("a")].kill();
    nodes[&node_id("b")].kill();
    let took = all_run_again(&cluster, 6).await;
    assert!(took > TTL && took <= TTL * 2 + Duration::from_secs(4), "{took:?}");
    assert_eq!(cluster.ledger.events_of(EventKind::FailoverPaused), []);
    cluster.until(async || cluster.ledger.orders().await.unwrap().breaker.is_none()).await;
    let told: Vec<String> =
        cluster.ledger.events_of(EventKind::FailoverBreaker).into_iter().map(|event| event.text).collect();
    assert!(told[0].starts_with("failover is held for"), "{}", told[0]);
    assert_eq!(told[1], "failover goes on, 2 tenants at a time: a, b are lost; 4 tenants wait");
    assert_eq!(told.last().unwrap(), "failover is as usual again");
}

#[tokio::test(start_paused = true)]
async fn ten_nodes_that_lose_seven_take_over_what_they_have_room_for() {
    let names: Vec<String> = (0..10).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Ten places each: the three that are left have room for nine beside their own 21.
    let traits = Traits { capacity: 10, ..Traits::default() };
    let (cluster, _controller, nodes) = TestCluster::settled_with(&names, 70, traits).await;
    let gone = &names[..7];
    let kept: usize = {
        let loads = cluster.loads().await;
        names[7..].iter().map(|name| loads[&node_id(name)]).sum()
    };
    assert!(kept < 30);
    for name in gone {
        nodes[&node_id(name)].kill();
    }
    let took = all_run_again(&cluster, 30).await;
    assert!(took <= TTL * 2 + Duration::from_secs(10), "{took:?}");
    tokio::time::sleep(TTL * 4).await;
    assert_eq!(cluster.judge.browsers(), 30, "and no more");
    let survey = survey(cluster.registry.as_ref(), cluster.ledger.as_ref()).await.unwrap();
    let plan = plan::plan(&survey.snapshot);
    let full = plan
        .decisions
        .iter()
        .filter(|decision| matches!(&decision.action, Action::Wait { reason: WaitReason::EveryNodeFull }));
    assert_eq!(full.count(), 40, "each that does not fit says so");
    // One that comes back takes what waits.
    let _again = cluster.node_with(gone[0], traits);
    cluster.until(async || cluster.judge.browsers() == 40).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_etcd_for_a_minute_moves_nobody() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    let before = cluster.published().await;
    cluster.registry.cut_off();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.judge.browsers(), 0);
    cluster.registry.reconnect();
    let took = all_run_again(&cluster, 9).await;
    assert!(took < TTL * 3, "{took:?}");
    let after = cluster.published().await;
    assert!(after.iter().all(|(tenant, (node, _))| before[tenant].0 == *node), "nobody moved");
}

#[tokio::test(start_paused = true)]
async fn nodes_that_say_they_are_cut_off_are_waited_for_and_find_their_tenants_where_they_were() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    let before = cluster.published().await;
    cluster.ledger.set_cut_off(&[node_id("a"), node_id("b")]);
    tokio::join!(nodes[&node_id("a")].crash(), nodes[&node_id("b")].crash());
    tokio::time::sleep(TTL * 8).await;
    assert_eq!(cluster.tenants_on("c").await.len(), 3);
    let _again = ["a", "b"].map(|name| cluster.node(name));
    all_run_again(&cluster, 9).await;
    let after = cluster.published().await;
    assert!(after.iter().all(|(tenant, (node, _))| before[tenant].0 == *node), "nobody moved");
}

#[tokio::test(start_paused = true)]
async fn survivors_that_fall_one_after_the_other_pause_failover_until_the_nodes_are_back() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let (cluster, _controller, nodes) = TestCluster::settled(&names, 40).await;
    // Nobody that was placed comes up, so the ramp lasts.
    cluster.judge.tell_nothing();
    tokio::join!(nodes[&node_id("a")].crash(), nodes[&node_id("b")].crash(), nodes[&node_id("c")].crash());
    tokio::time::sleep(TTL + Duration::from_secs(1)).await;
    for name in ["d", "e", "f"] {
        nodes[&node_id(name)].crash().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.until(async || !cluster.ledger.events_of(EventKind::FailoverPaused).is_empty()).await;
    let running = cluster.judge.browsers();
    tokio::time::sleep(TTL * 20).await;
    assert_eq!(cluster.judge.browsers(), running);
    cluster.judge.tell_again();
    let _again = ["a", "b", "c", "d", "e", "f"].map(|name| cluster.node(name));
    all_run_again(&cluster, 40).await;
    let policy = cluster.ledger.orders().await.unwrap().policy;
    assert_eq!(policy.failover_paused, None, "its own pause is over");
}

#[tokio::test(start_paused = true)]
async fn the_pause_of_a_person_outlasts_the_return_of_the_nodes() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    cluster.ledger.pause_failover("a switch is replaced");
    tokio::join!(nodes[&node_id("a")].crash(), nodes[&node_id("b")].crash());
    tokio::time::sleep(TTL * 4).await;
    let _again = ["a", "b"].map(|name| cluster.node(name));
    all_run_again(&cluster, 9).await;
    let policy = cluster.ledger.orders().await.unwrap().policy;
    assert_eq!(policy.failover_paused.as_deref(), Some("a switch is replaced"));
}

#[tokio::test(start_paused = true)]
async fn a_hold_goes_on_across_a_change_of_the_controller_and_does_not_begin_anew() {
    let (cluster, first, nodes) = TestCluster::settled(&["a", "b", "c", "d", "e"], 20).await;
    tokio::join!(nodes[&node_id("a")].crash(), nodes[&node_id("b")].crash());
    let lost_at = cluster.now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    first.stop().await;
    let _second = cluster.controller("two");
    all_run_again(&cluster, 20).await;
    let took = cluster.now() - lost_at;
    assert!(took >= TTL && took < TTL + Duration::from_secs(2), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_mass_loss_is_noticed_across_a_change_of_the_controller() {
    let (cluster, controller, nodes) = TestCluster::settled(&["a", "b", "c", "d", "e"], 20).await;
    controller.stop().await;
    tokio::join!(nodes[&node_id("a")].crash(), nodes[&node_id("b")].crash());
    let _second = cluster.controller("two");
    let took = all_run_again(&cluster, 20).await;
    assert!(took >= TTL * 2 && took < TTL * 2 + Duration::from_secs(3), "{took:?}");
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

//! A controller that dies anywhere in an operation is followed by one that ends it. The judge sees two browsers of a
//! tenant if there ever are.

use std::{collections::BTreeMap, sync::Arc};

use roost_model::ids::NodeId;

use super::{
    crash_injector::{CrashInjector, CrashPoint},
    node::TestNode,
    test_cluster::{Running, TestCluster, node_id, tenant},
};
use crate::{
    ledger::{EventKind, FleetLimits, OperationEnd, Outcome, Progress},
    timing::Timing,
};

const NODES: [&str; 3] = ["a", "b", "c"];
const TENANTS: usize = 6;

/// All is placed, by a controller that dies at the cut.
async fn cluster_with(
    crash: CrashPoint,
) -> (TestCluster, Arc<CrashInjector>, Running, BTreeMap<NodeId, TestNode>) {
    let cluster = TestCluster::new();
    let nodes = NODES.map(|name| (node_id(name), cluster.node(name)));
    cluster.until(async || cluster.live_nodes().await == NODES.len()).await;
    (0..TENANTS).for_each(|number| cluster.ledger.add(&tenant(number), true));
    let injector = CrashInjector::new(cluster.registry.clone(), cluster.ledger.clone(), crash);
    let first = cluster.controller_over(injector.clone(), injector.clone(), "first");
    cluster.until(async || cluster.judge.browsers() == TENANTS).await;
    (cluster, injector, first, nodes.into())
}

/// The first controller goes on until it dies or this is so; then it is killed and a second one goes on. Whether the first died.
async fn handed_over(
    cluster: &TestCluster,
    injector: &CrashInjector,
    first: Running,
    until: impl AsyncFn() -> bool,
) -> (bool, Running) {
    let died = tokio::select! {
        () = injector.died() => true,
        () = cluster.until(&until) => false,
    };
    first.kill();
    let second = cluster.controller("second");
    // Until the leader's key has ended there is nothing to look for.
    tokio::time::sleep(Timing::default().ttl).await;
    (died, second)
}

/// Whether the first controller died before the drain was over.
async fn drain_with_a_death_at(crash: CrashPoint) -> bool {
    let (cluster, injector, first, _nodes) = cluster_with(crash).await;
    let on_a = u32::try_from(cluster.loads().await[&node_id("a")]).unwrap();
    injector.arm();
    let drain = cluster.ledger.start_drain(&node_id("a"));
    let ended = async || cluster.ledger.operation_end(drain).is_some();
    let (died, _second) = handed_over(&cluster, &injector, first, ended).await;
    cluster.until(ended).await;
    assert_eq!(cluster.ledger.operation_end(drain), Some(OperationEnd::Outcome(Outcome::Done)), "{crash:?}");
    cluster.until(async || cluster.judge.browsers() == TENANTS).await;
    assert!(cluster.published().await.values().all(|(node, _)| *node != node_id("a")), "{crash:?}");
    assert_eq!(cluster.preparing().await, [], "{crash:?}");
    let Progress { total, done } = cluster.ledger.operation_progress(drain).unwrap();
    assert_eq!((total, done), (on_a, on_a), "{crash:?}");
    assert_eq!(cluster.ledger.events_of(EventKind::OperationEnded).len(), 1, "{crash:?}");
    died
}

/// Has the first controller die before and after each of its writes, until there are no more of them. How many there were.
async fn with_a_death_at_each_write(survive: impl AsyncFn(CrashPoint) -> bool) -> usize {
    let mut write = 0;
    loop {
        let mut died = false;
        for happens in [false, true] {
            died |= survive(CrashPoint { write, happens }).await;
        }
        if !died {
            return write;
        }
        write += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_ended_by_the_next_controller_wherever_the_first_one_died() {
    let write = with_a_death_at_each_write(drain_with_a_death_at).await;
    assert!(
        write >= 8,
        "a drain takes more writes than {write}: prepare, release, remove, place, publish, records"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failover_is_ended_by_the_next_controller_wherever_the_first_one_died() {
    for write in 0..4 {
        for happens in [false, true] {
            let crash = CrashPoint { write, happens };
            let (cluster, injector, first, nodes) = cluster_with(crash).await;
            injector.arm();
            nodes[&node_id("b")].crash().await;
            let over = async || cluster.ledger.events_of(EventKind::NodeLost).len() == 1;
            let (_, _second) = handed_over(&cluster, &injector, first, over).await;
            cluster.until(async || cluster.judge.browsers() == TENANTS).await;
        }
    }
}

/// Whether the first controller died before the restart was over.
async fn restart_with_a_death_at(crash: CrashPoint) -> bool {
    let (cluster, injector, first, _nodes) = cluster_with(crash).await;
    let tenants: Vec<_> = (0..TENANTS).map(tenant).collect();
    injector.arm();
    let limits = FleetLimits { max_concurrent: 2, max_unavailable_percent: 100, pauses_after: None };
    let restart = cluster.ledger.start_fleet_operation(&tenants, limits);
    let ended = async || {
        let told = tenants.iter().filter(|one| cluster.ledger.restarts_of(one) > 0);
        told.for_each(|one| cluster.ledger.seen(one));
        cluster.ledger.operation_end(restart).is_some()
    };
    let (died, _second) = handed_over(&cluster, &injector, first, ended).await;
    cluster.until(ended).await;
    assert_eq!(
        cluster.ledger.operation_end(restart),
        Some(OperationEnd::Outcome(Outcome::Done)),
        "{crash:?}"
    );
    let all = Some(Progress { total: TENANTS as u32, done: TENANTS as u32 });
    assert_eq!(cluster.ledger.operation_progress(restart), all, "{crash:?}");
    assert!(tenants.iter().all(|one| cluster.ledger.restarts_of(one) == 1), "{crash:?}");
    assert_eq!(cluster.ledger.events_of(EventKind::OperationEnded).len(), 1, "{crash:?}");
    died
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_ended_by_the_next_controller_wherever_the_first_one_died_and_nobody_is_told_twice() {
    let write = with_a_death_at_each_write(restart_with_a_death_at).await;
    assert!(write >= 6, "three turns of two, each with its assignments, take more writes than {write}");
}

/// Whether the first controller died before the move of many was over.
async fn move_of_many_with_a_death_at(crash: CrashPoint) -> bool {
    let (cluster, injector, first, _nodes) = cluster_with(crash).await;
    let before = cluster.published().await;
    let on_a: Vec<_> = before.iter().filter(|(_, (node, _))| *node == node_id("a")).collect();
    let on_a: Vec<_> = on_a.into_iter().map(|(tenant, _)| tenant.clone()).collect();
    assert!(!on_a.is_empty(), "{crash:?}");
    injector.arm();
    let limits = FleetLimits { max_concurrent: 1, max_unavailable_percent: 100, pauses_after: None };
    let moved = cluster.ledger.start_fleet_move(&on_a, limits);
    let ended = async || {
        on_a.iter().for_each(|one| cluster.ledger.seen(one));
        cluster.ledger.operation_end(moved).is_some()
    };
    let (died, _second) = handed_over(&cluster, &injector, first, ended).await;
    cluster.until(ended).await;
    assert_eq!(cluster.ledger.operation_end(moved), Some(OperationEnd::Outcome(Outcome::Done)), "{crash:?}");
    cluster.until(async || cluster.judge.browsers() == TENANTS).await;
    let after = cluster.published().await;
    assert!(on_a.iter().all(|one| after[one].0 != node_id("a")), "{crash:?}");
    let others = before.iter().filter(|(tenant, _)| !on_a.contains(tenant));
    assert!(others.into_iter().all(|(tenant, (node, _))| after[tenant].0 == *node), "{crash:?}");
    assert!(
        on_a.iter().all(|one| cluster.ledger.restarts_of(one) == 1),
        "{crash:?}: nobody's turn comes twice"
    );
    assert_eq!(cluster.preparing().await, [], "{crash:?}");
    died
}

#[tokio::test(start_paused = true)]
async fn a_move_of_many_is_ended_by_the_next_controller_wherever_the_first_one_died() {
    let write = with_a_death_at_each_write(move_of_many_with_a_death_at).await;
    assert!(write >= 8, "two turns, each with a move, take more writes than {write}");
}

/// Whether the first controller died before the update of settings was over.
async fn update_with_a_death_at(crash: CrashPoint) -> bool {
    let (cluster, injector, first, _nodes) = cluster_with(crash).await;
    let tenants: Vec<_> = (0..TENANTS).map(tenant).collect();
    injector.arm();
    let limits = FleetLimits { max_concurrent: 2, max_unavailable_percent: 100, pauses_after: None };
    let update = cluster.ledger.start_settings_update(&tenants, &tenants[..1], limits);
    let ended = async || cluster.ledger.operation_end(update).is_some();
    let died = tokio::select! {
        () = injector.died() => true,
        () = cluster.until(ended) => false,
    };
    first.kill();
    let _second = cluster.controller("second");
    tokio::time::sleep(Timing::default().ttl).await;
    cluster.until(ended).await;
    let reason = format!("1 of {TENANTS} failed: {} (the settings do not fit it)", tenants[0]);
    let end = Some(OperationEnd::Outcome(Outcome::Failed { reason }));
    assert_eq!(cluster.ledger.operation_end(update), end, "{crash:?}");
    let all = Some(Progress { total: TENANTS as u32, done: TENANTS as u32 - 1 });
    assert_eq!(cluster.ledger.operation_progress(update), all, "{crash:?}");
    let given = tenants.iter().map(|one| cluster.ledger.restarts_of(one)).collect::<Vec<_>>();
    assert!(given[0] == 0 && given[1..].iter().all(|times| *times == 1), "{crash:?}: {given:?}");
    died
}

#[tokio::test(start_paused = true)]
async fn an_update_of_settings_is_ended_by_the_next_controller_and_nobody_is_written_twice() {
    let write = with_a_death_at_each_write(update_with_a_death_at).await;
    assert!(write >= 4, "three turns of two and the end take more writes than {write}");
}

#[tokio::test(start_paused = true)]
async fn an_update_of_settings_is_halted_by_its_breaker_with_the_names_of_those_that_do_not_fit() {
    // The injector is not armed.
    let (cluster, _injector, _first, _nodes) = cluster_with(CrashPoint { write: 0, happens: true }).await;
    let tenants: Vec<_> = (0..TENANTS).map(tenant).collect();
    let limits = FleetLimits { max_concurrent: 1, max_unavailable_percent: 100, pauses_after: None };
    let update = cluster.ledger.start_settings_update(&tenants, &tenants[..3], limits);
    cluster.until(async || cluster.ledger.operation_end(update).is_some()).await;
    let Some(OperationEnd::Outcome(Outcome::Failed { reason })) = cluster.ledger.operation_end(update) else {
        panic!("it is not halted");
    };
    assert!(reason.starts_with(&format!("halted, for 3 of {TENANTS} failed; ")), "{reason}");
    assert!(tenants.iter().all(|one| cluster.ledger.restarts_of(one) == 0), "nobody comes after the third");
}

//! Controllers, etcd and the ledger that go and come back.

use std::{sync::Arc, time::Duration};

use roost_model::ids::{Generation, Term};

use super::rig::{Rig, node_id, tenant};
use crate::{
    keys,
    ledger::Ledger,
    registry::{MemoryRegistry, Op, Registry},
    timing::Timing,
};

#[tokio::test(start_paused = true)]
async fn a_controller_that_stops_is_followed_at_once() {
    let (rig, first, _nodes) = Rig::settled(&["a", "b"], 2).await;
    let second = rig.controller("two");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!second.status.borrow().leading);
    let stopped_at = rig.now();
    first.stop().await;
    rig.until(async || second.status.borrow().last_pass_at.is_some()).await;
    assert!(rig.now() - stopped_at < Duration::from_millis(100));
    assert_eq!(second.status.borrow().term, Some(Term(2)));
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_is_killed_is_followed_when_its_lease_ends_and_nothing_moves() {
    let (rig, first, _nodes) = Rig::settled(&["a", "b"], 4).await;
    let second = rig.controller("two");
    let before = rig.published().await;
    first.kill();
    rig.until(async || second.status.borrow().last_pass_at.is_some()).await;
    assert_eq!(rig.published().await, before);
    rig.ledger.add(&tenant(9), true);
    rig.until(async || rig.judge.browsers() == 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_of_etcd_moves_nothing() {
    let (rig, controller, _nodes) = Rig::settled(&["a", "b"], 4).await;
    let before = rig.published().await;
    rig.registry.cut_off();
    rig.until(async || controller.status.borrow().last_error.is_some()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.registry.reconnect();
    rig.until(async || controller.status.borrow().last_error.is_none()).await;
    assert_eq!(rig.published().await, before);
    assert_eq!(controller.status.borrow().term, Some(Term(1)));
}

#[tokio::test(start_paused = true)]
async fn after_a_long_outage_of_etcd_everything_runs_again() {
    let (rig, controller, _nodes) = Rig::settled(&["a", "b"], 4).await;
    rig.registry.cut_off();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.judge.browsers(), 0);
    assert!(!controller.status.borrow().leading);
    rig.registry.reconnect();
    rig.until(async || rig.judge.browsers() == 4).await;
    assert_eq!(rig.ledger.term(), Term(2));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_ledger_leaves_the_reign_and_the_tenants_where_they_are() {
    let (rig, controller, nodes) = Rig::settled(&["a", "b"], 4).await;
    rig.ledger.cut_off();
    let before = rig.published().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.published().await, before);
    assert!(controller.status.borrow().last_error.is_some());
    // A node that is lost meanwhile waits for the ledger: without a new generation nothing may be placed.
    nodes[&node_id("a")].crash().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.judge.browsers(), 2);
    rig.ledger.reconnect();
    rig.until(async || rig.judge.browsers() == 4).await;
    assert_eq!(controller.status.borrow().term, Some(Term(1)));
}

#[tokio::test(start_paused = true)]
async fn a_controller_starts_while_the_ledger_is_down() {
    let rig = Rig::new();
    rig.ledger.cut_off();
    let controller = rig.controller("one");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(controller.status.borrow().last_error.is_some());
    rig.ledger.reconnect();
    rig.until(async || controller.status.borrow().last_pass_at.is_some()).await;
    assert_eq!(rig.ledger.term(), Term(1));
}

#[tokio::test(start_paused = true)]
async fn in_a_new_store_nothing_is_placed_before_every_owner_of_the_old_one_has_had_to_stop() {
    let (mut rig, controller, nodes) = Rig::settled(&["a"], 1).await;
    // The old store is lost with all it knew, its last keepalive answered just now.
    nodes[&node_id("a")].kill();
    controller.kill();
    rig.registry = Arc::new(MemoryRegistry::new("memory"));
    let _node = rig.node("b");
    let founded_at = rig.now();
    let first = rig.controller("one");
    tokio::time::sleep(Duration::from_secs(3)).await;
    // A controller that dies while it waits is followed by one that waits.
    first.stop().await;
    let second = rig.controller("two");
    rig.until(async || rig.generation(&tenant(0)).await.is_some()).await;
    assert!(rig.now() - founded_at >= Timing::default().ttl + Duration::from_secs(3));
    assert_eq!(rig.generation(&tenant(0)).await, Some(Generation(2)));
    // It is waited for once.
    second.stop().await;
    let third = rig.controller("three");
    let began_at = rig.now();
    rig.until(async || third.status.borrow().last_pass_at.is_some()).await;
    assert!(rig.now() - began_at < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_has_gone_back_in_time_is_taken_for_a_new_one() {
    let (mut rig, first, nodes) = Rig::settled(&["a"], 1).await;
    let store = rig.registry.get(keys::STORE).await.unwrap().unwrap();
    for _ in 0..100 {
        let put = Op::Put { key: "other".to_owned(), value: Vec::new(), lease: None };
        rig.registry.commit(&[], &[put]).await.unwrap();
    }
    first.stop().await;
    let controller = rig.controller("one");
    rig.until(async || controller.status.borrow().last_pass_at.is_some()).await;
    nodes[&node_id("a")].kill();
    controller.kill();
    // A copy that knows of no node and whose revisions begin anew.
    rig.registry = Arc::new(MemoryRegistry::new("memory"));
    let put = Op::Put { key: keys::STORE.to_owned(), value: store.value, lease: None };
    rig.registry.commit(&[], &[put]).await.unwrap();
    let restored_at = rig.now();
    let _controller = rig.controller("one");
    let _node = rig.node("b");
    rig.until(async || rig.generation(&tenant(0)).await == Some(Generation(2))).await;
    assert!(rig.now() - restored_at >= Timing::default().ttl);
    assert_eq!(rig.ledger.term(), Term(3));
}

#[tokio::test(start_paused = true)]
async fn workers_that_are_silent_are_marked_once_and_those_that_are_seen_are_not() {
    let (rig, _controller, _nodes) = Rig::settled(&["a"], 2).await;
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        rig.ledger.seen(&tenant(0));
    }
    let left = rig.ledger.mark_stale(rig.ledger.term(), Duration::from_secs(120)).await.unwrap();
    assert_eq!(left, [], "the controller has marked t1 and there is no other");
    rig.ledger.seen(&tenant(1));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let left = rig.ledger.mark_stale(rig.ledger.term(), Duration::from_secs(30)).await.unwrap();
    assert_eq!(left, [tenant(0), tenant(1)]);
}

//! Registries and ledgers that were given to each other by mistake, or on purpose.

use std::{sync::Arc, time::Duration};

use roost_model::ids::{Generation, Revision, Term};

use super::test_cluster::{Running, TestCluster, node_id, tenant};
use crate::{
    controller::ControllerConfig,
    keys,
    ledger::{ComplaintKind, Ledger},
    records::{StoreOwner, StoreRecord},
    registry::{MemoryRegistry, Op, Registry},
    timing::Timing,
};

async fn mark(registry: &MemoryRegistry) -> StoreRecord {
    keys::decode(&registry.get(keys::STORE).await.unwrap().unwrap()).unwrap()
}

/// With the same ledger.
fn another_etcd(cluster: &TestCluster, adopt_store: bool) -> (Arc<MemoryRegistry>, Running) {
    let registry = Arc::new(MemoryRegistry::new("another"));
    let controller = over(cluster, &registry, adopt_store);
    (registry, controller)
}

fn over(cluster: &TestCluster, registry: &Arc<MemoryRegistry>, adopt_store: bool) -> Running {
    let mut config = ControllerConfig { adopt_store, ..cluster.config("staging") };
    config.cluster = "staging".to_owned();
    TestCluster::run(registry.clone(), cluster.ledger.clone(), config)
}

#[tokio::test(start_paused = true)]
async fn of_two_etcds_on_one_database_the_second_does_nothing_and_says_why() {
    let (cluster, first, nodes) = TestCluster::settled(&["a", "b"], 4).await;
    let before = cluster.published().await;
    let (registry, second) = another_etcd(&cluster, false);
    cluster.until(async || second.status.borrow().complaint.is_some()).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(cluster.published().await, before);
    assert_eq!(cluster.ledger.term(), Term(1));
    assert!(first.status.borrow().leading && first.status.borrow().complaint.is_none());
    let why = second.status.borrow().complaint.clone().unwrap().reason;
    assert!(why.contains("the cluster test in another etcd, where coordinator/one leads"), "{why}");
    assert_eq!(second.status.borrow().complaint.clone().unwrap().kind, ComplaintKind::Identity);
    assert_eq!(cluster.ledger.complaint().0, None, "the ledger is not its to write to");
    assert_eq!(registry.get(keys::STORE).await.unwrap(), None, "it is nobody's");
    // Nobody stands in the way of the first.
    nodes[&node_id("a")].crash().await;
    cluster.until(async || cluster.judge.browsers() == 4).await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_etcd_is_adopted_when_the_other_one_has_been_silent_for_a_while() {
    let (mut cluster, first, nodes) = TestCluster::settled(&["a"], 1).await;
    let (registry, _second) = another_etcd(&cluster, false);
    tokio::time::sleep(Duration::from_secs(60)).await;
    nodes[&node_id("a")].kill();
    first.kill();
    let silent_since = cluster.now();
    cluster.registry = registry;
    let _node = cluster.node("b");
    cluster.until(async || cluster.generation(&tenant(0)).await == Some(Generation(2))).await;
    let took = cluster.now() - silent_since;
    // It has been told that somebody is there, so it does not look all the time.
    let ttl = Timing::default().ttl;
    assert!(took > ttl * 2 && took < ttl * 6, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_etcd_is_taken_into_use_again_within_three_ttls() {
    let (mut cluster, controller, nodes) = TestCluster::settled(&["a"], 1).await;
    nodes[&node_id("a")].kill();
    controller.kill();
    cluster.registry = Arc::new(MemoryRegistry::new("memory"));
    let lost_at = cluster.now();
    let _node = cluster.node("b");
    let _controller = cluster.controller("one");
    cluster.until(async || cluster.ledger.term() == Term(2)).await;
    let took = cluster.now() - lost_at;
    assert!(took < Timing::default().ttl * 3, "{took:?}");
    cluster.until(async || cluster.judge.browsers() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_takes_the_database_once_and_the_one_it_is_taken_from_does_not_take_it_back() {
    let (mut cluster, first, nodes) = TestCluster::settled(&["a"], 1).await;
    nodes[&node_id("a")].kill();
    let first_mark = mark(&cluster.registry).await;
    let (registry, second) = another_etcd(&cluster, true);
    let asked_at = cluster.now();
    let old = std::mem::replace(&mut cluster.registry, registry);
    let _node = cluster.node("b");
    cluster.until(async || cluster.judge.browsers() == 1).await;
    assert!(cluster.now() - asked_at < Timing::default().ttl * 2);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.ledger.term(), Term(2));
    let why = first.status.borrow().complaint.clone().unwrap().reason;
    assert!(why.contains("coordinator/staging leads"), "{why}");
    // The first is ordered to take it back: the second's order has been carried out.
    drop(first);
    let _first = over(&cluster, &old, true);
    cluster.until(async || second.status.borrow().complaint.is_some()).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.ledger.term(), Term(3));
    assert_ne!(
        mark(&old).await.id,
        first_mark.id,
        "what ran under the second's order may live: it is a new store"
    );
}

#[tokio::test(start_paused = true)]
async fn an_etcd_that_belongs_to_another_database_is_taken_by_order_alone() {
    let cluster = TestCluster::new();
    cluster.ledger.add(&tenant(0), true);
    let owner =
        StoreOwner { database: "other".to_owned(), cluster: "production".to_owned(), lease_ttl_ms: 5_000 };
    let etcd_cluster = cluster.registry.cluster_id().await.unwrap();
    let theirs = StoreRecord { id: "x".to_owned(), etcd_cluster, settled: true, owner: Some(owner) };
    let put = Op::Put { key: keys::STORE.to_owned(), value: keys::encode(&theirs), lease: None };
    cluster.registry.commit(&[], &[put]).await.unwrap();
    let _node = cluster.node("a");
    let controller = cluster.controller("one");
    tokio::time::sleep(Duration::from_secs(120)).await;
    let why = controller.status.borrow().complaint.clone().unwrap().reason;
    assert!(why.contains("cluster production with the database other"), "{why}");
    assert_eq!((cluster.ledger.term(), cluster.judge.browsers()), (Term(0), 0));
    controller.stop().await;
    let registry = cluster.registry.clone();
    let _controller = over(&cluster, &registry, true);
    cluster.until(async || cluster.judge.browsers() == 1).await;
    assert_eq!(mark(&registry).await.owner.unwrap().cluster, "staging");
}

/// As a version wrote it that did not say whose a store is.
#[tokio::test(start_paused = true)]
async fn a_store_without_an_owner_is_kept_and_given_one() {
    let (cluster, first, _nodes) = TestCluster::settled(&["a"], 1).await;
    first.stop().await;
    let known = mark(&cluster.registry).await;
    let old = StoreRecord { owner: None, ..known.clone() };
    let put = Op::Put { key: keys::STORE.to_owned(), value: keys::encode(&old), lease: None };
    cluster.registry.commit(&[], &[put]).await.unwrap();
    let before = cluster.published().await;
    let second = cluster.controller("two");
    cluster.until(async || second.status.borrow().last_pass_at.is_some()).await;
    assert_eq!(mark(&cluster.registry).await, known);
    assert_eq!(cluster.published().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_called_otherwise_is_known_so_to_both() {
    let (cluster, first, _nodes) = TestCluster::settled(&["a"], 1).await;
    first.stop().await;
    let before = mark(&cluster.registry).await;
    let second = over(&cluster, &cluster.registry, false);
    cluster.until(async || second.status.borrow().last_pass_at.is_some()).await;
    let after = mark(&cluster.registry).await;
    assert_eq!((after.id, after.owner.unwrap().cluster), (before.id, "staging".to_owned()));
    assert_eq!(cluster.ledger.seal().await.unwrap().owner.unwrap().cluster, "staging");
}

/// A backup that was put back in another etcd, mark and all, further on than the old one was.
#[tokio::test(start_paused = true)]
async fn a_store_that_was_copied_into_another_etcd_is_taken_for_a_new_one() {
    let (mut cluster, controller, nodes) = TestCluster::settled(&["a"], 1).await;
    let copied = mark(&cluster.registry).await;
    nodes[&node_id("a")].kill();
    controller.kill();
    cluster.registry = Arc::new(MemoryRegistry::gone_back_to("another", Revision(10_000)));
    let put = Op::Put { key: keys::STORE.to_owned(), value: keys::encode(&copied), lease: None };
    cluster.registry.commit(&[], &[put]).await.unwrap();
    let copied_at = cluster.now();
    let _node = cluster.node("b");
    let _controller = cluster.controller("one");
    cluster.until(async || cluster.generation(&tenant(0)).await == Some(Generation(2))).await;
    assert!(cluster.now() - copied_at >= Timing::default().ttl, "its nodes may live");
    assert_ne!(mark(&cluster.registry).await.id, copied.id);
}

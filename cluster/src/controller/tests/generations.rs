//! A ledger that has gone back, as a database does that was restored from a backup.

use std::{sync::Arc, time::Duration};

use roost_model::ids::{Generation, Term};

use super::{
    node::TestNode,
    test_cluster::{Running, TestCluster, node_id, tenant},
};
use crate::{
    ledger::{GENERATIONS_LEFT_OUT, Ledger},
    registry::MemoryRegistry,
};

/// Placed so many times.
async fn placed_often(times: i64) -> (TestCluster, Running, TestNode) {
    let (cluster, controller, nodes) = TestCluster::settled(&["a"], 1).await;
    let node = nodes.into_values().next().unwrap();
    for generation in 2..=times {
        cluster.ledger.set_running(&tenant(0), false);
        cluster.until(async || cluster.judge.browsers() == 0).await;
        cluster.ledger.set_running(&tenant(0), true);
        cluster.until(async || cluster.generation(&tenant(0)).await == Some(Generation(generation))).await;
    }
    (cluster, controller, node)
}

#[tokio::test(start_paused = true)]
async fn a_term_that_finds_later_generations_than_the_ledger_has_given_leaves_out_a_million() {
    let (cluster, first, _node) = placed_often(5).await;
    first.stop().await;
    // It was made after the backup; what is made now would be given generations that its owner has.
    cluster.ledger.remove(&tenant(0));
    cluster.ledger.go_back_to(Generation(3));
    cluster.ledger.add(&tenant(1), true);
    let _second = cluster.controller("two");
    cluster.until(async || cluster.generation(&tenant(1)).await.is_some()).await;
    let generation = cluster.generation(&tenant(1)).await.unwrap();
    assert!(generation.0 > GENERATIONS_LEFT_OUT, "{generation}");
    assert_eq!(cluster.ledger.desired(&tenant(1)).unwrap().generation, generation);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_goes_back_within_a_term_places_anew_whom_it_has_forgotten() {
    let (cluster, controller, _node) = placed_often(5).await;
    cluster.ledger.add(&tenant(1), true);
    cluster.until(async || cluster.judge.browsers() == 2).await;
    cluster.ledger.go_back_to(Generation(3));
    let is_above = async || {
        cluster.generation(&tenant(0)).await.is_some_and(|generation| generation.0 > GENERATIONS_LEFT_OUT)
    };
    cluster.until(async || cluster.judge.browsers() == 2 && is_above().await).await;
    assert_eq!(cluster.generation(&tenant(1)).await, Some(Generation(1)), "it was given before the backup");
    assert_eq!(controller.status.borrow().term, Some(Term(1)));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_whose_owner_meets_a_later_session_is_placed_above_it_once() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b"], 4).await;
    let others = async || {
        let mut published = cluster.published().await;
        published.remove(&tenant(0));
        published
    };
    let before = others().await;
    cluster.ledger.report_outrun(&tenant(0), Generation(70));
    cluster.until(async || cluster.generation(&tenant(0)).await > Some(Generation(70))).await;
    cluster.until(async || cluster.judge.browsers() == 4).await;
    let settled = cluster.generation(&tenant(0)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.generation(&tenant(0)).await, settled);
    assert_eq!(others().await, before);
}

/// The registry is lost with it: only the nodes' profiles and the snapshots know.
#[tokio::test(start_paused = true)]
async fn a_report_that_cannot_be_acted_upon_holds_up_nobody_else() {
    let (mut cluster, controller, nodes) = TestCluster::settled(&["a"], 2).await;
    cluster.ledger.hold(&tenant(0), true);
    cluster.ledger.report_outrun(&tenant(0), Generation(70));
    tokio::time::sleep(Duration::from_secs(5)).await;
    nodes[&node_id("a")].kill();
    controller.kill();
    cluster.registry = Arc::new(MemoryRegistry::new("memory"));
    let _node = cluster.node("b");
    let _controller = cluster.controller("one");
    cluster.until(async || cluster.generation(&tenant(1)).await.is_some()).await;
    cluster.ledger.hold(&tenant(0), false);
    cluster.until(async || cluster.generation(&tenant(0)).await > Some(Generation(70))).await;
    assert_eq!(cluster.ledger.seal().await.unwrap().owner.unwrap().cluster, "test");
}

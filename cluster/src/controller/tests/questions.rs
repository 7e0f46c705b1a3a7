//! What a controller asks of the ledger, and how often it says that it lives.

use std::{sync::Arc, time::Duration};

use super::{
    severable_ledger::SeverableLedger,
    test_cluster::{Running, TestCluster, node_id, tenant},
};
use crate::timing::Timing;

const TTL: Duration = Duration::from_secs(5);

/// Another controller follows the first, over a ledger that sees what it asks.
async fn followed(cluster: &TestCluster, first: Running) -> (Arc<SeverableLedger>, Running) {
    let ledger = Arc::new(SeverableLedger::new(cluster.ledger.clone()));
    let controller = cluster.controller_over(cluster.registry.clone(), ledger.clone(), "two");
    first.stop().await;
    cluster.until(async || controller.status.borrow().last_pass_at.is_some()).await;
    (ledger, controller)
}

#[tokio::test(start_paused = true)]
async fn a_controller_gives_one_sign_of_life_in_a_ttl() {
    let (cluster, first, _nodes) = TestCluster::settled(&["a", "b"], 4).await;
    let (ledger, _controller) = followed(&cluster, first).await;
    let before = ledger.signs();
    tokio::time::sleep(TTL * 20).await;
    let given = ledger.signs() - before;
    assert!((19..=20).contains(&given), "{given}");
    // However many passes there are that publish nothing.
    let before = ledger.signs();
    for turn in 0..10 {
        cluster.ledger.cordon(&node_id("a"), turn % 2 == 0);
        tokio::time::sleep(TTL / 20).await;
    }
    let given = ledger.signs() - before;
    assert!(given <= 1, "{given}");
}

/// What it has published must not be unknown to the next leader for a TTL: an etcd that went back meanwhile would be believed.
#[tokio::test(start_paused = true)]
async fn how_far_the_registry_was_is_written_down_as_soon_as_something_was_published() {
    let (cluster, first, _nodes) = TestCluster::settled(&["a", "b"], 4).await;
    let (ledger, _controller) = followed(&cluster, first).await;
    let before = ledger.signs();
    cluster.until(async || ledger.signs() > before).await;
    let before = ledger.signs();
    cluster.ledger.add(&tenant(4), true);
    cluster.until(async || cluster.judge.browsers() == 5).await;
    tokio::time::sleep(TTL / 10).await;
    assert!(ledger.signs() > before);
}

#[tokio::test(start_paused = true)]
async fn how_a_failover_gets_on_is_asked_only_while_the_breaker_is_not_closed() {
    let names = ["a", "b", "c", "d"];
    let (cluster, first, nodes) = TestCluster::settled(&names, 12).await;
    let (ledger, _controller) = followed(&cluster, first).await;
    nodes[&node_id("a")].crash().await;
    cluster.until(async || cluster.judge.browsers() == 12).await;
    tokio::time::sleep(TTL * 20).await;
    assert!(ledger.facts_asked().is_empty(), "one loss of four is answered at once");
    tokio::join!(nodes[&node_id("b")].crash(), nodes[&node_id("c")].crash());
    cluster.until(async || cluster.judge.browsers() == 12).await;
    let asked = ledger.facts_asked();
    let last = asked.last().expect("two of three are held");
    assert_eq!(last.placed_within, Timing::default().start_patience);
    // Nodes that are cut off say so each half of a TTL; one that missed once is still heard.
    assert!(last.cut_off_within > TTL && last.cut_off_within < TTL * 2, "{last:?}");
    tokio::time::sleep(TTL).await;
    let asked = ledger.facts_asked().len();
    tokio::time::sleep(TTL * 20).await;
    assert_eq!(ledger.facts_asked().len(), asked, "it has closed");
}

//! Nodes that live and cannot do their work.

use std::{collections::BTreeMap, time::Duration};

use roost_model::ids::NodeId;

use super::{
    node::{TestNode, Traits},
    recorder::Recorder,
    test_cluster::{TestCluster, node_id, tenant},
};
use crate::{
    controller::survey,
    ledger::{EventKind, LedgerRecord},
    plan::{self, Intake},
    records::{ImpairmentKind, Phase},
};

impl TestCluster {
    async fn on(&self, node: &str) -> usize {
        self.loads().await.get(&node_id(node)).copied().unwrap_or_default()
    }

    async fn is_quiet(&self) -> bool {
        let mut published = self.published().await.into_values();
        published.all(|(_, entry)| entry.phase == Phase::Active) && self.preparing().await.is_empty()
    }
}

fn impair_all(nodes: &BTreeMap<NodeId, TestNode>, kinds: &[ImpairmentKind]) {
    nodes.values().for_each(|node| node.impair(kinds));
}

#[tokio::test(start_paused = true)]
async fn an_impaired_node_takes_none_sheds_its_tenants_prepared_and_takes_again_when_it_is_well() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    let (a, on_a) = (&nodes[&node_id("a")], cluster.on("a").await);
    let recorder = Recorder::start(&cluster).await;
    a.impair(&[ImpairmentKind::Browser]);
    cluster.until(async || cluster.ledger.events_of(EventKind::NodeImpaired).len() == 1).await;
    for number in 9..15 {
        cluster.ledger.add(&tenant(number), true);
    }
    cluster.until(async || cluster.judge.browsers() == 15).await;
    assert_eq!(cluster.on("a").await, on_a, "it takes none and keeps what it has");
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(cluster.on("a").await, on_a);
    cluster.until(async || cluster.on("a").await == 0 && cluster.is_quiet().await).await;
    let moves = recorder.moves();
    assert_eq!(moves.len(), on_a);
    assert!(moves.iter().all(|(_, prepared)| *prepared), "{moves:?}");

    a.impair(&[]);
    cluster.until(async || cluster.ledger.events_of(EventKind::NodeRecovered).len() == 1).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    for number in 15..21 {
        cluster.ledger.add(&tenant(number), true);
    }
    cluster.until(async || cluster.judge.browsers() == 21).await;
    assert_eq!(cluster.on("a").await, 6, "it has the fewest");
}

#[tokio::test(start_paused = true)]
async fn another_process_is_told_whose_tenants_leave_and_the_next_controller_goes_on_with_it() {
    let traits = Traits { capacity: 6, ..Traits::default() };
    let (cluster, first, nodes) = TestCluster::settled_with(&["a", "b", "c"], 17, traits).await;
    let a = &nodes[&node_id("a")];
    let intake = async || {
        let survey = survey(cluster.registry.as_ref(), cluster.ledger.as_ref()).await.unwrap();
        let on_a = survey.snapshot.nodes.iter().find(|view| view.node == node_id("a")).unwrap().intake;
        let elsewhere = &cluster.tenants_on("b").await[0];
        (on_a, plan::explain(&survey.snapshot, elsewhere).unwrap().to_string())
    };
    a.impair(&[ImpairmentKind::Browser]);
    cluster.until(async || intake().await.0 == Intake::Impaired).await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    let (sheds, told) = intake().await;
    assert_eq!(sheds, Intake::Shedding);
    assert!(told.contains("has been impaired for long: its tenants leave"), "{told}");
    let writes = cluster.ledger.records().iter().filter(|record| is_shedding(record)).count();
    assert_eq!(writes, 1);

    first.stop().await;
    let second = cluster.controller("two");
    cluster.until(async || second.status.borrow().last_pass_at.is_some()).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(intake().await.0, Intake::Shedding, "no minute is counted anew");
    a.impair(&[]);
    cluster.until(async || intake().await.0 == Intake::Open).await;
    let writes = cluster.ledger.records().iter().filter(|record| is_shedding(record)).count();
    assert_eq!(writes, 2);
}

fn is_shedding(record: &LedgerRecord) -> bool {
    matches!(record, LedgerRecord::Shedding { .. })
}

#[tokio::test(start_paused = true)]
async fn the_tenants_of_an_impaired_node_stay_until_others_are_ready_and_leave_a_few_at_a_time() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 30).await;
    let before = cluster.published().await;
    nodes.values().for_each(|node| node.never_prepare(true));
    nodes[&node_id("a")].impair(&[ImpairmentKind::Browser]);
    tokio::time::sleep(Duration::from_secs(59)).await;
    cluster.until(async || !cluster.preparing().await.is_empty()).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(cluster.preparing().await.len(), 4, "so many may leave a node at once");
    assert_eq!(cluster.published().await, before, "nobody is ready for them");
    nodes.values().for_each(|node| node.never_prepare(false));
    cluster.until(async || cluster.on("a").await == 0 && cluster.is_quiet().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_database_that_no_node_reaches_moves_nobody_and_does_not_stop_a_failover() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    let before = cluster.published().await;
    impair_all(&nodes, &[ImpairmentKind::Database]);
    tokio::time::sleep(Duration::from_secs(180)).await;
    assert_eq!(cluster.published().await, before);
    let said = cluster.ledger.events_of(EventKind::NodeImpaired);
    assert!(said.iter().any(|event| event.text.contains("3 of 3 live nodes are impaired alike")));
    nodes[&node_id("a")].crash().await;
    cluster.until(async || cluster.judge.browsers() == 9).await;
}

#[tokio::test(start_paused = true)]
async fn a_rebalance_gives_an_impaired_newcomer_nothing() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a", "b"], 20).await;
    let newcomer = cluster.node("c");
    cluster.until(async || cluster.ledger.events_of(EventKind::NodeJoined).len() == 1).await;
    newcomer.impair(&[ImpairmentKind::Browser]);
    cluster.until(async || cluster.ledger.events_of(EventKind::NodeImpaired).len() == 1).await;
    let before = cluster.published().await;
    let rebalance = cluster.ledger.start_rebalance(4, 10);
    cluster.until(async || cluster.ledger.operation_end(rebalance).is_some()).await;
    assert_eq!(cluster.published().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_node_short_of_memory_takes_none_and_loses_whom_it_names_one_at_a_time_prepared() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b", "c"], 9).await;
    let (a, before) = (&nodes[&node_id("a")], cluster.tenants_on("a").await);
    let recorder = Recorder::start(&cluster).await;
    for left in 1..=2 {
        a.want_elsewhere(&before[left - 1]);
        cluster
            .until(async || cluster.on("a").await == before.len() - left && cluster.is_quiet().await)
            .await;
        tokio::time::sleep(Duration::from_secs(70)).await;
        assert_eq!(
            cluster.tenants_on("a").await,
            before[left..],
            "nobody else leaves, however long it lasts"
        );
    }
    assert!(recorder.moves().iter().all(|(_, prepared)| *prepared));
    let told = cluster.ledger.events_of(EventKind::ShedForMemory);
    let of: Vec<_> = told.iter().filter_map(|event| event.tenant.clone()).collect();
    assert_eq!(of, before[..2]);

    cluster.ledger.add(&tenant(9), true);
    cluster.ledger.pin(&tenant(9), Some(&node_id("a")));
    cluster.ledger.add(&tenant(10), true);
    cluster.until(async || cluster.judge.browsers() == 10).await;
    assert_eq!(cluster.on("a").await, before.len() - 2, "it takes none, be it pinned there");
    a.impair(&[]);
    cluster.until(async || cluster.tenants_on("a").await.contains(&tenant(9))).await;
}

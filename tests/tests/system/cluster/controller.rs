//! The controller on a real etcd: how soon a lost node's tenants are published elsewhere, and an etcd that restarts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use roost_cluster::{
    controller::{Controller, ControllerConfig},
    keys,
    ledger::MemoryLedger,
    records::{AssignmentRecord, LeaderRecord, NodeRecord},
    registry::{EtcdRegistry, Op, Registry},
    timing::Timing,
};
use roost_devcluster::Etcd;
use roost_model::ids::{Incarnation, NodeId, TenantId};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::cluster::backend::PATIENCE;

/// From the end of a node's key to the new assignments. It is some 10 ms of work; the rest is a loaded machine's.
const FAILOVER_BUDGET: Duration = Duration::from_millis(500);
const TENANTS: usize = 8;

struct World {
    etcd: Etcd,
    registry: Arc<EtcdRegistry>,
    ledger: Arc<MemoryLedger>,
    stop: CancellationToken,
    nodes: BTreeMap<String, Incarnation>,
    _dir: tempfile::TempDir,
}

impl World {
    /// Nodes that live long, a controller, and tenants that are published.
    async fn settled(nodes: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let etcd = Etcd::start(dir.path()).await.unwrap();
        let timing = Timing::default();
        let endpoints = [etcd.endpoint().to_owned()];
        let registry =
            Arc::new(EtcdRegistry::connect(&endpoints, "world", timing.request_timeout).await.unwrap());
        let ledger = Arc::new(MemoryLedger::new());
        let mut world = Self {
            etcd,
            registry,
            ledger,
            stop: CancellationToken::new(),
            nodes: BTreeMap::new(),
            _dir: dir,
        };
        for node in nodes {
            let lease = world.register(node).await;
            world.nodes.insert((*node).to_owned(), lease);
        }
        for number in 0..TENANTS {
            world.ledger.add(&TenantId::new(&format!("t{number}")).unwrap(), true);
        }
        let candidate = LeaderRecord { holder: "coordinator/one".to_owned(), address: String::new() };
        let config = ControllerConfig::new("test", timing, candidate, Duration::from_secs(120));
        let controller = Controller::new(world.registry.clone(), world.ledger.clone(), config);
        tokio::spawn(controller.run(world.stop.clone()));
        world.until_published(nodes).await;
        world
    }

    async fn register(&self, node: &str) -> Incarnation {
        let lease = self.registry.grant(Duration::from_secs(600)).await.unwrap();
        let node = NodeId::new(node).unwrap();
        let record = NodeRecord {
            node: node.clone(),
            incarnation: lease,
            address: String::new(),
            capacity: 50,
            weight: 100,
            zone: "default".to_owned(),
            version: String::new(),
            leaving: false,
            rpc_address: String::new(),
            spare_browsers: 0,
            started_at_ms: 0,
            impairments: Vec::new(),
            memory: None,
        };
        let put = Op::Put { key: keys::node(&node), value: keys::encode(&record), lease: Some(lease) };
        self.registry.commit(&[], &[put]).await.unwrap();
        lease
    }

    /// All tenants are on these nodes; how long that took.
    async fn until_published(&self, nodes: &[&str]) -> Duration {
        let begun = Instant::now();
        loop {
            if let Ok(listing) = self.registry.list(keys::ASSIGNMENTS).await {
                let on_these = listing.entries.iter().filter(|entry| {
                    nodes.iter().any(|node| entry.key == format!("{}{node}", keys::ASSIGNMENTS))
                });
                let records = on_these.map(|entry| keys::decode::<AssignmentRecord>(entry).unwrap());
                if records.map(|record| record.entries.len()).sum::<usize>() == TENANTS {
                    return begun.elapsed();
                }
            }
            assert!(begun.elapsed() < PATIENCE, "not published");
            sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn tenants_of_a_node_whose_lease_is_revoked_are_published_elsewhere_at_once() {
    let world = World::settled(&["a", "b", "c"]).await;
    world.registry.revoke(world.nodes["a"]).await.unwrap();
    let took = world.until_published(&["b", "c"]).await;
    println!("published {took:?} after the end of the node's key");
    assert!(took < FAILOVER_BUDGET, "{took:?}");
    world.stop.cancel();
}

#[tokio::test]
async fn the_controller_goes_on_after_a_restart_of_etcd() {
    let mut world = World::settled(&["a", "b"]).await;
    world.etcd.kill().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    world.etcd.restart().await.unwrap();
    world.until_published(&["a", "b"]).await;
    let lease = world.nodes["a"];
    while world.registry.revoke(lease).await.is_err() {
        sleep(Duration::from_millis(50)).await;
    }
    world.until_published(&["b"]).await;
}

#[tokio::test]
async fn a_controller_that_stops_leaves_no_leader_behind() {
    let world = World::settled(&["a"]).await;
    assert!(world.registry.get(keys::LEADER).await.unwrap().is_some());
    world.stop.cancel();
    let begun = Instant::now();
    while world.registry.get(keys::LEADER).await.unwrap().is_some() {
        assert!(begun.elapsed() < Duration::from_secs(2), "the leader's key is still there");
        sleep(Duration::from_millis(10)).await;
    }
}

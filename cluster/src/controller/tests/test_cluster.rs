//! What the tests have in common: a cluster in memory and its judge.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use roost_model::ids::{Generation, Incarnation, NodeId, TenantId};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::node::{TestNode, Traits};
use crate::{
    clock::{Clock, RuntimeClock},
    controller::{Controller, ControllerConfig, ControllerStatus},
    keys,
    ledger::{Ledger, MemoryLedger},
    records::{AssignmentEntry, AssignmentRecord, LeaderRecord, Phase},
    registry::{MemoryRegistry, Registry, SharedRegistry},
    timing::Timing,
};

pub(super) struct TestCluster {
    pub(super) registry: Arc<MemoryRegistry>,
    pub(super) ledger: Arc<MemoryLedger>,
    pub(super) clock: Arc<RuntimeClock>,
    pub(super) judge: Arc<Judge>,
}

/// A controller that runs.
pub(super) struct Running {
    pub(super) status: watch::Receiver<ControllerStatus>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// Counts the browsers of each tenant (I1), and tells the ledger of each that has come up.
pub(super) struct Judge {
    browsers: Mutex<BTreeMap<TenantId, Vec<Incarnation>>>,
    ledger: Arc<MemoryLedger>,
    is_silent: AtomicBool,
}

pub(super) fn tenant(number: usize) -> TenantId {
    TenantId::new(&format!("t{number}")).unwrap()
}

pub(super) fn node_id(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

impl TestCluster {
    pub(super) fn new() -> Self {
        let ledger = Arc::new(MemoryLedger::new());
        Self {
            registry: Arc::new(MemoryRegistry::new("memory")),
            clock: Arc::new(RuntimeClock::start()),
            judge: Arc::new(Judge {
                browsers: Mutex::default(),
                ledger: ledger.clone(),
                is_silent: AtomicBool::new(false),
            }),
            ledger,
        }
    }

    /// With one controller, nodes of these names, and so many running tenants, all of them placed.
    pub(super) async fn settled(
        nodes: &[&str],
        tenants: usize,
    ) -> (Self, Running, BTreeMap<NodeId, TestNode>) {
        Self::settled_with(nodes, tenants, Traits::default()).await
    }

    pub(super) async fn settled_with(
        nodes: &[&str],
        tenants: usize,
        traits: Traits,
    ) -> (Self, Running, BTreeMap<NodeId, TestNode>) {
        let cluster = Self::new();
        let mut running_nodes = BTreeMap::new();
        for name in nodes {
            running_nodes.insert(node_id(name), cluster.node_with(name, traits));
        }
        cluster.until(async || cluster.live_nodes().await == nodes.len()).await;
        for number in 0..tenants {
            cluster.ledger.add(&tenant(number), true);
        }
        let controller = cluster.controller("one");
        cluster.until(async || cluster.judge.browsers() == tenants).await;
        (cluster, controller, running_nodes)
    }

    pub(super) fn node(&self, name: &str) -> TestNode {
        self.node_with(name, Traits::default())
    }

    pub(super) fn node_with(&self, name: &str, traits: Traits) -> TestNode {
        let (registry, clock, judge) = (self.registry.clone(), self.clock.clone(), self.judge.clone());
        TestNode::start(registry, clock, judge, node_id(name), traits)
    }

    pub(super) fn config(&self, name: &str) -> ControllerConfig {
        let candidate = LeaderRecord { holder: format!("coordinator/{name}"), address: String::new() };
        let clock = self.clock.clone();
        let stale_after = Duration::from_secs(120);
        ControllerConfig { clock, ..ControllerConfig::new("test", Timing::default(), candidate, stale_after) }
    }

    pub(super) fn controller(&self, name: &str) -> Running {
        self.controller_over(self.registry.clone(), self.ledger.clone(), name)
    }

    pub(super) fn controller_over(
        &self,
        registry: SharedRegistry,
        ledger: Arc<dyn Ledger>,
        name: &str,
    ) -> Running {
        Self::run(registry, ledger, self.config(name))
    }

    pub(super) fn run(
        registry: SharedRegistry,
        ledger: Arc<dyn Ledger>,
        config: ControllerConfig,
    ) -> Running {
        let controller = Controller::new(registry, ledger, config);
        let status = controller.status();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(controller.run(shutdown.clone()));
        Running { status, shutdown, task }
    }

    pub(super) fn candidate(&self, holder: &str, ledger: Arc<dyn Ledger>) -> Running {
        let mut config = self.config("");
        config.candidate.holder = holder.to_owned();
        Self::run(self.registry.clone(), ledger, config)
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.now()
    }

    pub(super) async fn live_nodes(&self) -> usize {
        self.registry.list(keys::NODES).await.unwrap().entries.len()
    }

    /// Where each tenant is published, on nodes alive or dead; preparations are not counted.
    pub(super) async fn published(&self) -> BTreeMap<TenantId, (NodeId, AssignmentEntry)> {
        let mut published = BTreeMap::new();
        for (node, entry) in self.entries().await {
            if entry.phase != Phase::Preparing {
                let twice = published.insert(entry.tenant.clone(), (node, entry));
                assert_eq!(twice, None);
            }
        }
        published
    }

    pub(super) async fn preparing(&self) -> Vec<(NodeId, AssignmentEntry)> {
        let entries = self.entries().await;
        entries.into_iter().filter(|(_, entry)| entry.phase == Phase::Preparing).collect()
    }

    async fn entries(&self) -> Vec<(NodeId, AssignmentEntry)> {
        let listing = self.registry.list(keys::ASSIGNMENTS).await.unwrap();
        let mut entries = Vec::new();
        for entry in &listing.entries {
            let Ok::<AssignmentRecord, _>(record) = keys::decode(entry) else { continue };
            let Some(keys::Key::Assignments(node)) = keys::Key::parse(&entry.key) else {
                panic!("{}", entry.key)
            };
            entries.extend(record.entries.into_iter().map(|entry| (node.clone(), entry)));
        }
        entries
    }

    /// So many on each node, preparations not counted.
    pub(super) async fn loads(&self) -> BTreeMap<NodeId, usize> {
        let mut loads = BTreeMap::new();
        for (node, _) in self.published().await.into_values() {
            *loads.entry(node).or_default() += 1;
        }
        loads
    }

    pub(super) async fn generation(&self, tenant: &TenantId) -> Option<Generation> {
        self.published().await.get(tenant).map(|(_, entry)| entry.generation)
    }

    /// Waits for it in steps of a millisecond, for a minute of paused time.
    pub(super) async fn until(&self, condition: impl AsyncFn() -> bool) {
        for _ in 0..60_000 {
            if condition().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("a minute has passed; published: {:#?}", self.published().await);
    }
}

impl Running {
    pub(super) async fn stop(mut self) {
        self.shutdown.cancel();
        (&mut self.task).await.unwrap();
    }

    /// Without a word: the leader's key is left behind.
    pub(super) fn kill(self) {
        self.task.abort();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Judge {
    pub(super) fn opened(&self, tenant: &TenantId, by: Incarnation) {
        let mut browsers = self.browsers.lock();
        let owners = browsers.entry(tenant.clone()).or_default();
        owners.push(by);
        assert_eq!(owners.len(), 1, "{tenant} has two browsers: {owners:?}");
        drop(browsers);
        if !self.is_silent.load(Ordering::Relaxed) {
            self.ledger.seen(tenant);
        }
    }

    /// From now on the ledger is not told of who comes up.
    pub(super) fn tell_nothing(&self) {
        self.is_silent.store(true, Ordering::Relaxed);
    }

    pub(super) fn tell_again(&self) {
        self.is_silent.store(false, Ordering::Relaxed);
    }

    pub(super) fn closed(&self, tenant: &TenantId, by: Incarnation) {
        if let Some(owners) = self.browsers.lock().get_mut(tenant) {
            owners.retain(|owner| *owner != by);
        }
    }

    pub(super) fn closed_all(&self, by: Incarnation) {
        for owners in self.browsers.lock().values_mut() {
            owners.retain(|owner| *owner != by);
        }
    }

    pub(super) fn browsers(&self) -> usize {
        self.browsers.lock().values().map(Vec::len).sum()
    }
}

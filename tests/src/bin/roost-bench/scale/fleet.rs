//! Simulated nodes: leases, acknowledgements, and a view of who has which tenant.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use roost_cluster::{
    keys::{self, Key},
    records::{AckRecord, AssignmentRecord, HeldTenant, NodeRecord, Phase},
    registry::{Change, Entry, EtcdRegistry, Op, Registry},
};
use roost_model::ids::{Incarnation, NodeId, Revision, TenantId};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

pub const CLUSTER: &str = "scale";
/// Long, so that the renewals of a thousand nodes leave the machine to what is measured.
const TTL: Duration = Duration::from_secs(60);
const RENEW_EVERY: Duration = Duration::from_secs(15);
const REQUEST: Duration = Duration::from_secs(10);
const AT_ONCE: usize = 32;
const CAPACITY: u32 = 200;

pub struct Fleet {
    registry: Arc<EtcdRegistry>,
    live: BTreeMap<NodeId, Incarnation>,
    changes: mpsc::Receiver<Vec<Change>>,
    /// Where each tenant is published on a live node.
    homes: HashMap<TenantId, NodeId>,
    /// Tenants whose node was ended and that are published nowhere yet.
    unplaced: HashSet<TenantId>,
    helpers: JoinSet<()>,
}

impl Fleet {
    pub async fn register(endpoint: &str, count: usize) -> Result<Self> {
        let registry = Arc::new(EtcdRegistry::connect(&[endpoint.to_owned()], CLUSTER, REQUEST).await?);
        let began = registry.list(keys::LEADER).await?.revision;
        let ids = (0..count).map(|number| NodeId::new(&format!("n{number:04}")));
        let ids: Vec<NodeId> = ids.collect::<Result<_, _>>()?;
        let joined = stream::iter(ids).map(|id| register(registry.clone(), id)).buffer_unordered(AT_ONCE);
        let live: BTreeMap<NodeId, Incarnation> = joined.try_collect().await?;
        let changes = registry.watch(keys::ALL, began).await?;
        let mut helpers = JoinSet::new();
        helpers.spawn(renew(registry.clone(), live.clone()));
        Ok(Self { registry, live, changes, homes: HashMap::new(), unplaced: HashSet::new(), helpers })
    }

    pub async fn until_all_are_placed(&mut self, tenants: usize, within: Duration) -> Result<()> {
        let until = Instant::now() + within;
        while self.homes.len() < tenants {
            let left = until.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "only {} of {tenants} are placed", self.homes.len());
            self.take_in(left).await?;
        }
        Ok(())
    }

    /// Nothing has changed for so long.
    pub async fn until_quiet(&mut self, quiet: Duration, within: Duration) -> Result<()> {
        let until = Instant::now() + within;
        while Instant::now() < until {
            if !self.take_in(quiet).await? {
                return Ok(());
            }
        }
        anyhow::bail!("it never gets quiet")
    }

    /// Ends so many nodes at once. From the moment etcd tells of the last of them to the last tenant's publication.
    pub async fn lose(&mut self, count: usize, within: Duration) -> Result<Duration> {
        self.end(count).await?;
        let expired = Instant::now();
        self.until_moved(within).await?;
        Ok(expired.elapsed())
    }

    /// Their leases are gone when this returns, and with them their keys.
    pub async fn end(&mut self, count: usize) -> Result<()> {
        let doomed: Vec<(NodeId, Incarnation)> =
            self.live.iter().take(count).map(|(node, lease)| (node.clone(), *lease)).collect();
        for (node, _) in &doomed {
            self.live.remove(node);
            let lost = self.homes.iter().filter(|(_, home)| *home == node).map(|(tenant, _)| tenant.clone());
            self.unplaced.extend(lost.collect::<Vec<_>>());
        }
        self.homes.retain(|_, home| self.live.contains_key(home));
        let end = |(_, lease)| {
            let registry = self.registry.clone();
            async move { registry.revoke(lease).await }
        };
        Ok(stream::iter(doomed).map(end).buffer_unordered(AT_ONCE).try_collect().await?)
    }

    /// Every tenant of an ended node is published elsewhere.
    pub async fn until_moved(&mut self, within: Duration) -> Result<()> {
        let until = Instant::now() + within;
        while !self.unplaced.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "{} tenants are published nowhere", self.unplaced.len());
            self.take_in(left).await?;
        }
        Ok(())
    }

    /// Takes the next changes in and acknowledges them. Whether there were any.
    async fn take_in(&mut self, within: Duration) -> Result<bool> {
        let Ok(batch) = timeout(within, self.changes.recv()).await else { return Ok(false) };
        for change in batch.context("the watch has ended: the fleet did not keep up")? {
            if let Change::Put(entry) = change
                && let Some(Key::Assignments(node)) = Key::parse(&entry.key)
            {
                self.assigned(node, &entry)?;
            }
        }
        Ok(true)
    }

    fn assigned(&mut self, node: NodeId, entry: &Entry) -> Result<()> {
        let record: AssignmentRecord = keys::decode(entry)?;
        if self.live.get(&node) != Some(&record.incarnation) {
            return Ok(());
        }
        let active = record.entries.iter().filter(|entry| entry.phase == Phase::Active);
        let held: Vec<HeldTenant> = active
            .map(|entry| HeldTenant { tenant: entry.tenant.clone(), generation: entry.generation })
            .collect();
        for held in &held {
            self.unplaced.remove(&held.tenant);
            self.homes.insert(held.tenant.clone(), node.clone());
        }
        let (registry, applied) = (self.registry.clone(), entry.mod_revision);
        self.helpers.spawn(acknowledge(registry, node, record.incarnation, applied, held));
        Ok(())
    }
}

async fn register(registry: Arc<EtcdRegistry>, node: NodeId) -> Result<(NodeId, Incarnation)> {
    let incarnation = registry.grant(TTL).await?;
    let record = NodeRecord {
        node: node.clone(),
        incarnation,
        address: String::new(),
        capacity: CAPACITY,
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
    let put = Op::Put { key: keys::node(&node), value: keys::encode(&record), lease: Some(incarnation) };
    registry.commit(&[], &[put]).await?;
    Ok((node, incarnation))
}

async fn acknowledge(
    registry: Arc<EtcdRegistry>,
    node: NodeId,
    incarnation: Incarnation,
    applied: Revision,
    held: Vec<HeldTenant>,
) {
    let ack = AckRecord { incarnation, applied, held, prepared: Vec::new(), failed: Vec::new() };
    let put = Op::Put { key: keys::ack(&node), value: keys::encode(&ack), lease: Some(incarnation) };
    // A node that has just been ended has nothing to acknowledge.
    registry.commit(&[], &[put]).await.ok();
}

async fn renew(registry: Arc<EtcdRegistry>, lives: BTreeMap<NodeId, Incarnation>) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        let renewal = |(node, lease): (NodeId, Incarnation)| {
            let (registry, key) = (registry.clone(), keys::node(&node));
            async move { registry.keep_alive(lease, &key).await }
        };
        // Those of nodes that were ended are refused.
        stream::iter(lives.clone())
            .map(renewal)
            .buffer_unordered(AT_ONCE)
            .for_each(|_renewed| async {})
            .await;
    }
}

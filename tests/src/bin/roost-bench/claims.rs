//! When tenants are claimed: the moment at which another node's acknowledgement says that it holds them, as etcd tells it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use roost_cluster::{
    keys::{self, Key},
    records::AckRecord,
    registry::{Change, EtcdRegistry, Registry},
};
use roost_model::ids::TenantId;
use tokio::{sync::mpsc, time::timeout_at};

/// What `roost dev` calls its cluster.
const CLUSTER: &str = "dev";
const REQUEST: Duration = Duration::from_secs(5);

/// Listens from its making on, so that nothing between is missed.
pub struct Claims {
    changes: mpsc::Receiver<Vec<Change>>,
    _registry: EtcdRegistry,
}

impl Claims {
    pub async fn listen(endpoint: &str) -> Result<Self> {
        let registry = EtcdRegistry::connect(&[endpoint.to_owned()], CLUSTER, REQUEST).await?;
        let now = registry.list(keys::LEADER).await?.revision;
        let changes = registry.watch(keys::ACKS, now).await?;
        Ok(Self { changes, _registry: registry })
    }

    /// For each tenant, how long after `began` a node other than `old` held it.
    pub async fn elsewhere(
        mut self,
        old: String,
        tenants: Vec<TenantId>,
        began: Instant,
        within: Duration,
    ) -> Result<Vec<Duration>> {
        let mut claimed: BTreeMap<TenantId, Duration> = BTreeMap::new();
        while claimed.len() < tenants.len() {
            let batch = timeout_at((began + within).into(), self.changes.recv()).await;
            let batch = batch.with_context(|| format!("only {} are claimed", claimed.len()))?;
            let seen = began.elapsed();
            for change in batch.context("the watch has ended")? {
                let Change::Put(entry) = change else { continue };
                let Some(Key::Ack(node)) = Key::parse(&entry.key) else { continue };
                if node.as_str() == old {
                    continue;
                }
                for held in keys::decode::<AckRecord>(&entry)?.held {
                    if tenants.contains(&held.tenant) {
                        claimed.entry(held.tenant).or_insert(seen);
                    }
                }
            }
        }
        Ok(claimed.into_values().collect())
    }
}

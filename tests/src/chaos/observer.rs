//! Watches everything that is published in etcd, directly and not by a relay, without a gap.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use roost_cluster::{
    keys,
    registry::{Change, EtcdRegistry, Registry, RegistryError},
};
use roost_model::ids::Revision;
use tokio::task::JoinHandle;

use super::registered::Registered;

const CLUSTER: &str = "dev";
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const WATCH_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Of the same thing, which stays wrong for many revisions.
const VIOLATIONS_SHOWN: usize = 20;

/// Dropping it ends the watch.
pub struct Observer {
    registry: Arc<EtcdRegistry>,
    seen: Arc<Mutex<Registered>>,
    watcher: JoinHandle<Result<()>>,
}

/// What was seen in the whole run.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    pub publications: u64,
    pub leaders: u64,
    pub leases_lost: u64,
    pub violations: Vec<String>,
}

impl Observer {
    /// Begins at the first revision: the cluster was founded moments ago.
    pub async fn begin(endpoints: &[String]) -> Result<Self> {
        let registry = Arc::new(EtcdRegistry::connect(endpoints, CLUSTER, ANSWER_WITHIN).await?);
        let seen = Arc::new(Mutex::new(Registered::default()));
        let watcher = tokio::spawn(watch(registry.clone(), seen.clone()));
        Ok(Self { registry, seen, watcher })
    }

    /// Who is the controller: `coordinator/<id>` or `node/<id>`.
    pub fn controller(&self) -> Option<String> {
        self.seen.lock().leader.as_ref().map(|leader| leader.holder.clone())
    }

    /// How often this node's registration has ended so far.
    pub fn losses_of(&self, node: &str) -> u64 {
        let seen = self.seen.lock();
        seen.lost.iter().find(|(id, _)| id.as_str() == node).map_or(0, |(_, times)| *times)
    }

    /// The tenants that a node has by what is published.
    pub fn tenants_on(&self, node: &str) -> Vec<String> {
        self.seen.lock().tenants_on(node).iter().map(|tenant| tenant.as_str().to_owned()).collect()
    }

    pub fn observed(&self) -> Observed {
        let seen = self.seen.lock();
        Observed {
            publications: seen.publications,
            leaders: seen.leaders,
            leases_lost: seen.lost.values().sum(),
            violations: seen.violations.iter().take(VIOLATIONS_SHOWN).cloned().collect(),
        }
    }

    /// What was seen, once everything that is in etcd now has been.
    pub async fn finish(self, within: Duration) -> Result<Observed> {
        let newest = self.registry.list(keys::ALL).await.context("the end of the observation")?;
        let newest = newest.entries.iter().map(|entry| entry.mod_revision).max().unwrap_or_default();
        let caught_up = || async { self.seen.lock().revision >= newest || self.watcher.is_finished() };
        roost_devcluster::wait_until("the observer has seen everything", within, caught_up).await?;
        ensure!(!self.watcher.is_finished(), "the observer ended early: nothing was judged");
        self.seen.lock().judge();
        Ok(self.observed())
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

async fn watch(registry: Arc<EtcdRegistry>, seen: Arc<Mutex<Registered>>) -> Result<()> {
    loop {
        // After what has been seen, so that no change is missed however often the watch is cut off.
        let after = seen.lock().revision;
        match registry.watch(keys::ALL, after).await {
            Ok(mut changes) => {
                while let Some(batch) = changes.recv().await {
                    take(&seen, &batch, after)?;
                }
            }
            Err(RegistryError::Unavailable { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(WATCH_AGAIN_AFTER).await;
    }
}

fn take(seen: &Mutex<Registered>, batch: &[Change], after: Revision) -> Result<()> {
    let mut seen = seen.lock();
    batch.iter().filter(|change| change.revision() > after).try_for_each(|change| seen.take(change))
}

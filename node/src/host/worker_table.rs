//! The tenants that this node holds, for those who only look: the heartbeat, and whoever asks what it does.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use roost_model::ids::{Generation, TenantId};
use roost_store::Fence;

use crate::worker::{Proof, WorkerHandle};

/// Cheap to clone; all clones show the same.
#[derive(Debug, Clone, Default)]
pub struct WorkerTable {
    entries: Arc<Mutex<BTreeMap<TenantId, Entry>>>,
}

#[derive(Debug)]
struct Entry {
    generation: Generation,
    /// None while its spec is being read, or between a worker that ended by itself and the next.
    worker: Option<WorkerHandle>,
}

/// A held tenant, for people.
#[derive(Debug)]
pub struct HeldTenantStatus {
    pub tenant: TenantId,
    pub generation: Generation,
    /// The worker's state; "waiting" while there is no worker.
    pub state: String,
    /// Since its page last proved that it works.
    pub since_proof: Option<Duration>,
}

impl Entry {
    fn status(&self, tenant: &TenantId) -> HeldTenantStatus {
        let worker = self.worker.as_ref();
        HeldTenantStatus {
            tenant: tenant.clone(),
            generation: self.generation,
            state: worker.map_or_else(|| "waiting".to_owned(), |worker| worker.state().borrow().to_string()),
            since_proof: worker.and_then(WorkerHandle::seen).map(|proof| proof.at.elapsed()),
        }
    }
}

impl WorkerTable {
    pub(super) fn insert(&self, tenant: &TenantId, generation: Generation) {
        self.entries.lock().insert(tenant.clone(), Entry { generation, worker: None });
    }

    pub(super) fn set_worker(&self, tenant: &TenantId, worker: Option<WorkerHandle>) {
        if let Some(entry) = self.entries.lock().get_mut(tenant) {
            entry.worker = worker;
        }
    }

    pub(super) fn remove(&self, tenant: &TenantId) {
        self.entries.lock().remove(tenant);
    }

    /// The workers whose pages have proved themselves within `age`.
    pub(super) fn seen_within(&self, age: Duration) -> Vec<(Fence, Proof, WorkerHandle)> {
        let now = Instant::now();
        let entries = self.entries.lock();
        let fresh = entries.iter().filter_map(|(tenant, entry)| {
            let worker = entry.worker.clone()?;
            let proof = worker.seen()?;
            let fence = Fence { tenant: tenant.clone(), generation: entry.generation };
            (now.saturating_duration_since(proof.at) <= age).then_some((fence, proof, worker))
        });
        fresh.collect()
    }

    /// All of them, as they are now.
    pub(super) fn workers(&self) -> Vec<WorkerHandle> {
        self.entries.lock().values().filter_map(|entry| entry.worker.clone()).collect()
    }

    pub fn count(&self) -> usize {
        self.entries.lock().len()
    }

    /// Ordered by id.
    pub fn statuses(&self) -> Vec<HeldTenantStatus> {
        self.entries.lock().iter().map(|(tenant, entry)| entry.status(tenant)).collect()
    }

    /// One of them, with its worker if there is one.
    pub fn status(&self, tenant: &TenantId) -> Option<(HeldTenantStatus, Option<WorkerHandle>)> {
        let entries = self.entries.lock();
        let entry = entries.get(tenant)?;
        Some((entry.status(tenant), entry.worker.clone()))
    }
}

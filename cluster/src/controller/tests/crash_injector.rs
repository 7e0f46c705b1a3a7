//! A controller that dies at its n-th write: just before it, or just after it and without hearing of it. The write that
//! it dies at is its last, and what it had read goes with it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use roost_model::ids::{Generation, Incarnation, NodeId, OperationId, Revision, TenantId, Term};
use tokio::sync::{Notify, mpsc};

use crate::{
    ledger::{
        Complaint, DesiredTenant, FailoverFacts, FleetMembers, FleetStep, Ledger, LedgerError, LedgerRecord,
        MemoryLedger, NotBack, Orders, RolloutMember, RolloutStep, Seal, StoreClaim,
    },
    registry::{
        Change, Commit, Guard, Listing, MemoryRegistry, Op, Reading, Registry, RegistryError, Update,
    },
};

/// Where it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CrashPoint {
    /// Counted from 0, over registry and ledger.
    pub(super) write: usize,
    /// Whether that write happens.
    pub(super) happens: bool,
}

pub(super) struct CrashInjector {
    registry: Arc<MemoryRegistry>,
    ledger: Arc<MemoryLedger>,
    crash: CrashPoint,
    written: Mutex<usize>,
    armed: Mutex<bool>,
    died: Notify,
}

impl CrashInjector {
    /// Counts from when it is armed.
    pub(super) fn new(
        registry: Arc<MemoryRegistry>,
        ledger: Arc<MemoryLedger>,
        crash: CrashPoint,
    ) -> Arc<Self> {
        let (written, armed) = (Mutex::new(0), Mutex::new(false));
        Arc::new(Self { registry, ledger, crash, written, armed, died: Notify::new() })
    }

    pub(super) fn arm(&self) {
        *self.armed.lock() = true;
    }

    /// Resolves at the cut.
    pub(super) async fn died(&self) {
        self.died.notified().await;
    }

    async fn write<T>(&self, write: impl Future<Output = T>) -> T {
        let number = {
            let mut written = self.written.lock();
            if !*self.armed.lock() {
                usize::MAX
            } else {
                *written += 1;
                *written - 1
            }
        };
        if number == usize::MAX || number < self.crash.write {
            return write.await;
        }
        if number == self.crash.write && self.crash.happens {
            drop(write.await);
        }
        self.died.notify_one();
        std::future::pending().await
    }
}

#[async_trait]
impl Registry for CrashInjector {
    async fn cluster_id(&self) -> Result<String, RegistryError> {
        self.registry.cluster_id().await
    }
    async fn grant(&self, ttl: Duration) -> Result<Incarnation, RegistryError> {
        self.registry.grant(ttl).await
    }
    async fn keep_alive(&self, lease: Incarnation, key: &str) -> Result<(), RegistryError> {
        self.registry.keep_alive(lease, key).await
    }
    async fn revoke(&self, lease: Incarnation) -> Result<(), RegistryError> {
        self.registry.revoke(lease).await
    }
    async fn read(&self, key: &str) -> Result<Reading, RegistryError> {
        self.registry.read(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Listing, RegistryError> {
        self.registry.list(prefix).await
    }
    async fn list_since(&self, prefix: &str, since: Revision) -> Result<Update, RegistryError> {
        self.registry.list_since(prefix, since).await
    }
    async fn commit(&self, guards: &[Guard], ops: &[Op]) -> Result<Commit, RegistryError> {
        self.write(self.registry.commit(guards, ops)).await
    }
    async fn compact(&self, revision: Revision) -> Result<(), RegistryError> {
        self.registry.compact(revision).await
    }
    async fn watch(
        &self,
        prefix: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        self.registry.watch(prefix, after).await
    }
    async fn watch_key(
        &self,
        key: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        self.registry.watch_key(key, after).await
    }
}

#[async_trait]
impl Ledger for CrashInjector {
    async fn seal(&self) -> Result<Seal, LedgerError> {
        self.ledger.seal().await
    }
    async fn take_store(&self, claim: &StoreClaim) -> Result<bool, LedgerError> {
        self.ledger.take_store(claim).await
    }
    async fn outrun(
        &self,
        term: Term,
        found: Generation,
        tenants: &[TenantId],
    ) -> Result<Vec<(TenantId, Generation)>, LedgerError> {
        self.write(self.ledger.outrun(term, found, tenants)).await
    }
    async fn begin_term(
        &self,
        etcd_cluster: &str,
        leader_revision: Revision,
        holder: &str,
    ) -> Result<Term, LedgerError> {
        self.ledger.begin_term(etcd_cluster, leader_revision, holder).await
    }
    async fn registry_was_at(&self, term: Term, revision: Revision) -> Result<(), LedgerError> {
        self.write(self.ledger.registry_was_at(term, revision)).await
    }
    async fn complain(&self, term: Term, complaint: Option<&Complaint>) -> Result<(), LedgerError> {
        self.write(self.ledger.complain(term, complaint)).await
    }
    async fn desired_tenants(&self) -> Result<Vec<DesiredTenant>, LedgerError> {
        self.ledger.desired_tenants().await
    }
    async fn orders(&self) -> Result<Orders, LedgerError> {
        self.ledger.orders().await
    }
    async fn record(&self, term: Term, records: &[LedgerRecord]) -> Result<(), LedgerError> {
        self.write(self.ledger.record(term, records)).await
    }
    async fn place(
        &self,
        term: Term,
        placements: &[(TenantId, NodeId)],
    ) -> Result<Vec<(TenantId, Generation)>, LedgerError> {
        self.write(self.ledger.place(term, placements)).await
    }
    async fn failover_facts(
        &self,
        placed_within: Duration,
        cut_off_within: Duration,
    ) -> Result<FailoverFacts, LedgerError> {
        self.ledger.failover_facts(placed_within, cut_off_within).await
    }
    async fn not_back(&self, operation: OperationId) -> Result<Vec<NotBack>, LedgerError> {
        self.ledger.not_back(operation).await
    }
    async fn fleet_members(&self, operation: OperationId, most: u32) -> Result<FleetMembers, LedgerError> {
        self.ledger.fleet_members(operation, most).await
    }
    async fn step_fleet(
        &self,
        term: Term,
        operation: OperationId,
        step: &FleetStep,
    ) -> Result<(), LedgerError> {
        self.write(self.ledger.step_fleet(term, operation, step)).await
    }
    async fn rollout_members(&self, operation: OperationId) -> Result<Vec<RolloutMember>, LedgerError> {
        self.ledger.rollout_members(operation).await
    }
    async fn step_rollout(
        &self,
        term: Term,
        operation: OperationId,
        step: &RolloutStep,
    ) -> Result<(), LedgerError> {
        self.write(self.ledger.step_rollout(term, operation, step)).await
    }
    async fn unplace(&self, term: Term, tenants: &[TenantId]) -> Result<usize, LedgerError> {
        self.write(self.ledger.unplace(term, tenants)).await
    }
    async fn mark_stale(&self, term: Term, older_than: Duration) -> Result<Vec<TenantId>, LedgerError> {
        self.write(self.ledger.mark_stale(term, older_than)).await
    }
    async fn changed(&self) {
        self.ledger.changed().await;
    }
}

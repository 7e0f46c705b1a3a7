//! The way of one controller to the ledger, which can be cut while the others' are sound, and where is seen what it asks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use roost_model::ids::{Generation, NodeId, OperationId, Revision, TenantId, Term};

use crate::ledger::{
    Complaint, DesiredTenant, FailoverFacts, FleetMembers, FleetStep, Ledger, LedgerError, LedgerRecord,
    MemoryLedger, NotBack, Orders, RolloutMember, RolloutStep, Seal, StoreClaim,
};

pub(super) struct SeverableLedger {
    ledger: Arc<MemoryLedger>,
    severed: AtomicBool,
    signs: AtomicUsize,
    facts: Mutex<Vec<FactsAsked>>,
}

/// The spans that facts were asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct FactsAsked {
    pub(super) placed_within: Duration,
    pub(super) cut_off_within: Duration,
}

impl SeverableLedger {
    pub(super) fn new(ledger: Arc<MemoryLedger>) -> Self {
        let (severed, signs, facts) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::default());
        Self { ledger, severed, signs, facts }
    }

    /// How often the controller has given a sign of life.
    pub(super) fn signs(&self) -> usize {
        self.signs.load(Ordering::Relaxed)
    }

    pub(super) fn facts_asked(&self) -> Vec<FactsAsked> {
        self.facts.lock().clone()
    }

    pub(super) fn sever(&self) {
        self.severed.store(true, Ordering::Relaxed);
    }

    pub(super) fn mend(&self) {
        self.severed.store(false, Ordering::Relaxed);
    }

    fn reach(&self) -> Result<&MemoryLedger, LedgerError> {
        if self.severed.load(Ordering::Relaxed) {
            return Err(LedgerError::Unavailable { reason: "severed".to_owned() });
        }
        Ok(&self.ledger)
    }
}

#[async_trait]
impl Ledger for SeverableLedger {
    async fn seal(&self) -> Result<Seal, LedgerError> {
        self.reach()?.seal().await
    }
    async fn take_store(&self, claim: &StoreClaim) -> Result<bool, LedgerError> {
        self.reach()?.take_store(claim).await
    }
    async fn outrun(
        &self,
        term: Term,
        found: Generation,
        tenants: &[TenantId],
    ) -> Result<Vec<(TenantId, Generation)>, LedgerError> {
        self.reach()?.outrun(term, found, tenants).await
    }
    async fn begin_term(
        &self,
        etcd_cluster: &str,
        leader_revision: Revision,
        holder: &str,
    ) -> Result<Term, LedgerError> {
        self.reach()?.begin_term(etcd_cluster, leader_revision, holder).await
    }
    async fn registry_was_at(&self, term: Term, revision: Revision) -> Result<(), LedgerError> {
        self.signs.fetch_add(1, Ordering::Relaxed);
        self.reach()?.registry_was_at(term, revision).await
    }
    async fn complain(&self, term: Term, complaint: Option<&Complaint>) -> Result<(), LedgerError> {
        self.reach()?.complain(term, complaint).await
    }
    async fn desired_tenants(&self) -> Result<Vec<DesiredTenant>, LedgerError> {
        self.reach()?.desired_tenants().await
    }
    async fn orders(&self) -> Result<Orders, LedgerError> {
        self.reach()?.orders().await
    }
    async fn record(&self, term: Term, records: &[LedgerRecord]) -> Result<(), LedgerError> {
        self.reach()?.record(term, records).await
    }
    async fn place(
        &self,
        term: Term,
        placements: &[(TenantId, NodeId)],
    ) -> Result<Vec<(TenantId, Generation)>, LedgerError> {
        self.reach()?.place(term, placements).await
    }
    async fn failover_facts(
        &self,
        placed_within: Duration,
        cut_off_within: Duration,
    ) -> Result<FailoverFacts, LedgerError> {
        self.facts.lock().push(FactsAsked { placed_within, cut_off_within });
        self.reach()?.failover_facts(placed_within, cut_off_within).await
    }
    async fn not_back(&self, operation: OperationId) -> Result<Vec<NotBack>, LedgerError> {
        self.reach()?.not_back(operation).await
    }
    async fn fleet_members(&self, operation: OperationId, most: u32) -> Result<FleetMembers, LedgerError> {
        self.reach()?.fleet_members(operation, most).await
    }
    async fn step_fleet(
        &self,
        term: Term,
        operation: OperationId,
        step: &FleetStep,
    ) -> Result<(), LedgerError> {
        self.reach()?.step_fleet(term, operation, step).await
    }
    async fn rollout_members(&self, operation: OperationId) -> Result<Vec<RolloutMember>, LedgerError> {
        self.reach()?.rollout_members(operation).await
    }
    async fn step_rollout(
        &self,
        term: Term,
        operation: OperationId,
        step: &RolloutStep,
    ) -> Result<(), LedgerError> {
        self.reach()?.step_rollout(term, operation, step).await
    }
    async fn unplace(&self, term: Term, tenants: &[TenantId]) -> Result<usize, LedgerError> {
        self.reach()?.unplace(term, tenants).await
    }
    async fn mark_stale(&self, term: Term, older_than: Duration) -> Result<Vec<TenantId>, LedgerError> {
        self.reach()?.mark_stale(term, older_than).await
    }
    async fn changed(&self) {
        self.ledger.changed().await;
    }
}

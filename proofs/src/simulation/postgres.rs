//! The database: the ledger in memory, and beside it the one thing that workers want of it: writes that name their
//! generation.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use roost_cluster::ledger::{
    Complaint, DesiredTenant, FailoverFacts, FleetMembers, FleetStep, Ledger, LedgerError, LedgerRecord,
    MemoryLedger, NotBack, Orders, RolloutMember, RolloutStep, Seal, StoreClaim,
};
use roost_model::ids::{Generation, NodeId, OperationId, Revision, TenantId, Term};
use tokio::sync::watch;

use super::{
    guards::Guards,
    judge::Judge,
    link::{Link, pass},
    process::Process,
};

pub struct Postgres {
    pub ledger: MemoryLedger,
    judge: Arc<Judge>,
    guards: Guards,
    is_down: Mutex<bool>,
    /// Moves with every change that is worth a look; every connection listens by itself.
    changes: watch::Sender<u64>,
}

/// A write that was refused: the tenant has a newer generation, or is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// Nobody reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Down;

impl Postgres {
    pub fn new(judge: Arc<Judge>, guards: Guards) -> Self {
        Self {
            ledger: MemoryLedger::new(),
            judge,
            guards,
            is_down: Mutex::new(false),
            changes: watch::Sender::new(0),
        }
    }

    /// Listeners are told.
    pub fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// The ledger, unless the database is down.
    pub fn reach(&self) -> Result<&MemoryLedger, Down> {
        if *self.is_down.lock() { Err(Down) } else { Ok(&self.ledger) }
    }

    pub fn set_down(&self, is_down: bool) {
        *self.is_down.lock() = is_down;
        if is_down { self.ledger.cut_off() } else { self.ledger.reconnect() }
    }

    /// What a worker writes. In one step with the check of its generation, as in the store's transactions.
    pub fn write(&self, tenant: &TenantId, generation: Generation) -> Result<(), Refused> {
        let newest = self.ledger.desired(tenant).ok_or(Refused)?.generation;
        if self.guards.generation && generation != newest {
            return Err(Refused);
        }
        self.ledger.seen(tenant);
        self.judge.wrote(tenant, generation, newest);
        Ok(())
    }

    /// The term that a write is checked against.
    fn admit(&self, term: Term) -> Term {
        if self.guards.term { term } else { self.ledger.term() }
    }
}

/// The database as one controller reaches it.
#[derive(Clone)]
pub struct LinkedLedger {
    pub postgres: Arc<Postgres>,
    pub link: Link,
    pub process: Process,
    /// The controller's own limit is shorter.
    pub timeout: Duration,
}

impl LinkedLedger {
    async fn call<T, F>(
        &self,
        step: &'static str,
        work: impl FnOnce(Arc<Postgres>) -> F,
    ) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, LedgerError>> + Send + 'static,
    {
        let work = work(self.postgres.clone());
        let answer = self.link.call(&self.process, step, self.timeout, work).await;
        answer.unwrap_or_else(|| Err(LedgerError::Unavailable { reason: "no answer".to_owned() }))
    }
}

#[async_trait]
impl Ledger for LinkedLedger {
    async fn seal(&self) -> Result<Seal, LedgerError> {
        self.call("seal", |postgres| async move { postgres.ledger.seal().await }).await
    }

    async fn take_store(&self, claim: &StoreClaim) -> Result<bool, LedgerError> {
        let claim = claim.clone();
        let work = move |postgres: Arc<Postgres>| async move { postgres.ledger.take_store(&claim).await };
        self.call("take the store", work).await
    }

    async fn outrun(
        &self,
        term: Term,
        found: Generation,
        tenants: &[TenantId],
    ) -> Result<Vec<(TenantId, Generation)>, LedgerError> {
        let tenants = tenants.to_vec();
        let work = move |postgres: Arc<Postgres>| async move {
            let outran = postgres.ledger.outrun(postgres.admit(term), found, &tenants).await?;
            postgres.judge.ledger_written(term);
            for (tenant, generation) in &outran {
                postgres.judge.placed(tenant, *generation);
            }
            Ok(outran)
        };
        self.call("outrun", work).await
    }

    async fn begin_term(
        &self,
        etcd_cluster: &str,
        leader_revision: Revision,
        holder: &str,
    ) -> Result<Term, LedgerError> {
        let (etcd_cluster, holder) = (etcd_cluster.to_owned(), holder.to_owned());
        let work = move |postgres: Arc<Postgres>| async move {
            let term = postgres.ledger.begin_term(&etcd_cluster, leader_revision, &holder).await?;
            postgres.judge.began(term);
            Ok(term)
        };
        self.call("begin term", work).await
    }

    async fn registry_was_at(&self, term: Term, revision: Revision) -> Result<(), LedgerError> {
        let work = move |postgres: Arc<Postgres>| async move {
            postgres.ledger.registry_was_at(postgres.admit(term), revision).await
        };
        self.call("registry was at", work).await
    }

    async fn complain(&self, term: Term, complaint: Option<&Complaint>) -> Result<(), LedgerError> {
        let complaint = complaint.cloned();
        let work = move |postgres: Arc<Postgres>| async move {
            postgres.ledger.complain(postgres.admit(term), complaint.as_ref()).await
        };
        self.call("complain", work).await
    }

    async fn desired_tenants(&self) -> Result<Vec<DesiredTenant>, LedgerError> {
        self.call("demands", |postgres| async move { postgres.ledger.desired_tenants().await }).await
    }

    async fn orders(&self) -> Result<Orders, LedgerError> {
        self.call("orders", |postgres| async move { postgres.ledger.orders().await }).await
    }

    async fn record(&self, term: Term, records: &[LedgerRecord]) -> Result<(), LedgerError> {
        let records = records.to_vec();
        let work = move |postgres: Arc<Postgres>| async move {
            postgres.ledger.record(postgres.admit(term), &records).await?;
            postgres.judge.ledger_written(term);
            postgres.changed();
            Ok(())
        };
        self.call("note", work).await
    }

    async fn place(
        &self,
        term: Term,
        placements: &[(TenantId, NodeId)],
    ) -> Result<Vec<(TenantId, Generation)>, LedgerError> {
        let placements = placements.to_vec();
        let work = move |postgres: Arc<Postgres>| async move {
            let placed = postgres.ledger.place(postgres.admit(term), &placements).await?;
            postgres.judge.ledger_written(term);
            for (tenant, generation) in &placed {
                postgres.judge.placed(tenant, *generation);
            }
            Ok(placed)
        };
        self.call("place", work).await
    }

    async fn failover_facts(
        &self,
        placed_within: Duration,
        cut_off_within: Duration,
    ) -> Result<FailoverFacts, LedgerError> {
        let work = move |postgres: Arc<Postgres>| async move {
            postgres.ledger.failover_facts(placed_within, cut_off_within).await
        };
        self.call("failover facts", work).await
    }

    async fn not_back(&self, operation: OperationId) -> Result<Vec<NotBack>, LedgerError> {
        let work = move |postgres: Arc<Postgres>| async move { postgres.ledger.not_back(operation).await };
        self.call("not back", work).await
    }

    async fn fleet_members(&self, operation: OperationId, most: u32) -> Result<FleetMembers, LedgerError> {
        let work = move |postgres: Arc<Postgres>| async move {
            postgres.ledger.fleet_members(operation, most).await
        };
        self.call("restart members", work).await
    }

    async fn step_fleet(
        &self,
        term: Term,
        operation: OperationId,
        step: &FleetStep,
    ) -> Result<(), LedgerError> {
        let step = step.clone();
        let work = move |postgres: Arc<Postgres>| async move {
            postgres.ledger.step_fleet(postgres.admit(term), operation, &step).await?;
            postgres.judge.ledger_written(term);
            Ok(())
        };
        self.call("step restart", work).await
    }

    async fn rollout_members(&self, operation: OperationId) -> Result<Vec<RolloutMember>, LedgerError> {
        let work =
            move |postgres: Arc<Postgres>| async move { postgres.ledger.rollout_members(operation).await };
        self.call("rollout members", work).await
    }

    async fn step_rollout(
        &self,
        term: Term,
        operation: OperationId,
        step: &RolloutStep,
    ) -> Result<(), LedgerError> {
        let step = step.clone();
        let work = move |postgres: Arc<Postgres>| async move {
            postgres.ledger.step_rollout(postgres.admit(term), operation, &step).await?;
            postgres.judge.ledger_written(term);
            Ok(())
        };
        self.call("step rollout", work).await
    }

    async fn unplace(&self, term: Term, tenants: &[TenantId]) -> Result<usize, LedgerError> {
        let tenants = tenants.to_vec();
        let work = move |postgres: Arc<Postgres>| async move {
            let unplaced = postgres.ledger.unplace(postgres.admit(term), &tenants).await?;
            postgres.judge.ledger_written(term);
            Ok(unplaced)
        };
        self.call("unplace", work).await
    }

    async fn mark_stale(&self, term: Term, older_than: Duration) -> Result<Vec<TenantId>, LedgerError> {
        let work = move |postgres: Arc<Postgres>| async move {
            postgres.ledger.mark_stale(postgres.admit(term), older_than).await
        };
        self.call("mark stale", work).await
    }

    async fn changed(&self) {
        let mut changes = self.postgres.changes.subscribe();
        let _changed = changes.changed().await;
        pass(self.link.transit("notification")).await;
        self.link.whole().await;
    }
}

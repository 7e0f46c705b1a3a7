//! What the controller needs of the database: the home of desired states, generations and terms (I3).
//!
//! `MemoryLedger` is for simulation and tests (the feature `memory`); the product's is in the store, which implements
//! this trait so that the rules of the cluster need not know of SQL.

use std::time::Duration;

use async_trait::async_trait;
use roost_model::ids::{Generation, NodeId, OperationId, Revision, SpecRevision, TenantId, Term};

mod complaint;
mod fleet;
mod history;
#[cfg(any(test, feature = "memory"))]
mod memory;
mod orders;
mod rollout;
mod seal;

pub use complaint::{Complaint, ComplaintKind};
pub use fleet::{
    FleetLimits, FleetMembers, FleetMove, FleetStep, MemberFailure, MemberState, MemberUnderWay,
    WaitingMember,
};
pub use history::{Event, EventKind, LedgerRecord, Outcome};
#[cfg(any(test, feature = "memory"))]
pub use memory::{MemoryLedger, OperationEnd};
pub use orders::{
    BreakerRecord, FailoverFacts, NodeOrder, NotBack, Operation, OperationKind, Orders, Policy, Progress,
    RestartWindow, RolloutLimits,
};
pub use rollout::{RolloutMember, RolloutStep};
pub use seal::{SILENT_FOR, Seal, SealedStore, StoreClaim};

#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Which database it is, and which registry it belongs to.
    async fn seal(&self) -> Result<Seal, LedgerError>;

    /// Makes the ledger belong to a store, and answers with whether it does. It does not while a controller of another
    /// store gives signs of life, unless the claim is an order. For the store that has it already what is claimed is noted.
    async fn take_store(&self, claim: &StoreClaim) -> Result<bool, LedgerError>;

    /// Begins the term of the controller whose leader key was created at `leader_revision` in the store named
    /// `etcd_cluster`. The term is one more than the last if the store is another one than the last term's or the
    /// revision is a later one than any that is known of it ([`Ledger::registry_was_at`]). The same key of the same holder is given the same term again, for the answer to its
    /// first call may have been lost. Else `Deposed`: a later controller has begun already, or the ledger belongs to
    /// another store.
    async fn begin_term(
        &self,
        etcd_cluster: &str,
        leader_revision: Revision,
        holder: &str,
    ) -> Result<Term, LedgerError>;

    /// The registry had got to this revision when the controller acted upon it. A later leader's key that is not beyond
    /// it belongs to a registry that has gone back. It is a sign of the controller's life, too.
    async fn registry_was_at(&self, term: Term, revision: Revision) -> Result<(), LedgerError>;

    /// Writes down what is in the controller's way, for operators, or that nothing is. Since when is kept while it is of the
    /// same kind.
    async fn complain(&self, term: Term, complaint: Option<&Complaint>) -> Result<(), LedgerError>;

    /// What is wanted, one for every tenant there is.
    async fn desired_tenants(&self) -> Result<Vec<DesiredTenant>, LedgerError>;

    /// What operators have ordered.
    async fn orders(&self) -> Result<Orders, LedgerError>;

    /// Writes the records, all or none, under the term. What a record is about may be gone by then: that is no error.
    /// A few thousand placements at once are as much as the ledger takes in good time.
    async fn record(&self, term: Term, records: &[LedgerRecord]) -> Result<(), LedgerError>;

    /// Gives each tenant to its node under a new generation, and answers with the generations. One statement that
    /// also checks the term: from its commit on every write of an earlier owner is refused (I2). Tenants that have
    /// been deleted are left out of the answer, and so are those that another transaction holds: nobody waits for them.
    async fn place(
        &self,
        term: Term,
        placements: &[(TenantId, NodeId)],
    ) -> Result<Vec<(TenantId, Generation)>, LedgerError>;

    /// Sees that every generation that is given from now on is later than `found`, one that the ledger has forgotten, by
    /// [`GENERATIONS_LEFT_OUT`] if it has to be; and gives these tenants a new one where they are, so that whoever has
    /// them has to let go. Answers with the tenants' new generations; left out are those that [`Ledger::place`] leaves out.
    async fn outrun(
        &self,
        term: Term,
        found: Generation,
        tenants: &[TenantId],
    ) -> Result<Vec<(TenantId, Generation)>, LedgerError>;

    /// How a failover gets on: of tenants placed within `placed_within`, of nodes cut off within `cut_off_within`.
    async fn failover_facts(
        &self,
        placed_within: Duration,
        cut_off_within: Duration,
    ) -> Result<FailoverFacts, LedgerError>;

    /// Of the tenants that the operation has moved and that are where it moved them, those that are not back.
    async fn not_back(&self, operation: OperationId) -> Result<Vec<NotBack>, LedgerError>;

    /// How the members of a fleet operation stand: of those that wait the first, `most` at the most.
    async fn fleet_members(&self, operation: OperationId, most: u32) -> Result<FleetMembers, LedgerError>;

    /// Goes on with a fleet operation, unless it is over. A member whose worker another transaction holds goes on waiting.
    async fn step_fleet(
        &self,
        term: Term,
        operation: OperationId,
        step: &FleetStep,
    ) -> Result<(), LedgerError>;

    /// How those of a rollout stand.
    async fn rollout_members(&self, operation: OperationId) -> Result<Vec<RolloutMember>, LedgerError>;

    /// Goes on with a rollout, unless it is over. A tenant whose worker another transaction holds goes on waiting.
    async fn step_rollout(
        &self,
        term: Term,
        operation: OperationId,
        step: &RolloutStep,
    ) -> Result<(), LedgerError>;

    /// Writes down that no node has these tenants any more, but for those that another transaction holds. Of how many.
    async fn unplace(&self, term: Term, tenants: &[TenantId]) -> Result<usize, LedgerError>;

    /// Marks the workers that should run and were last seen longer ago than `older_than`, and answers with them.
    async fn mark_stale(&self, term: Term, older_than: Duration) -> Result<Vec<TenantId>, LedgerError>;

    /// Resolves when [`Ledger::desired_tenants`] or [`Ledger::orders`] may have changed since the last call. A hint: it may
    /// resolve without need, and it may miss a change, so callers look from time to time anyway.
    async fn changed(&self);
}

/// A ledger that has gone back leaves out so many: what else it has forgotten is below.
pub const GENERATIONS_LEFT_OUT: i64 = 1_000_000;

/// What is wanted of one tenant, and where the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredTenant {
    pub tenant: TenantId,
    pub running: bool,
    /// Of the last placement.
    pub generation: Generation,
    /// Its owner has met a session of this generation, which is not below its own: the ledger has gone back.
    pub outrun_by: Option<Generation>,
    /// Of the last placement, until it is unplaced.
    pub node: Option<NodeId>,
    /// The only node that may have it.
    pub pin: Option<NodeId>,
    /// The memory that is to be kept free for it; its node's default unless it is set.
    pub memory_request_bytes: Option<u64>,
    pub spec_revision: SpecRevision,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// No answer in time or no connection: the outcome of a write is unknown.
    #[error("the database is unavailable: {reason}")]
    Unavailable { reason: String },
    /// Nothing was written: the database has answered that it does not carry this statement out, or not in time.
    #[error("the database refused: {reason}")]
    Refused { kind: RefusalKind, reason: String },
    /// It answers, and what it answers is not readable: the outcome of a write is unknown.
    #[error("what the database holds is not readable: {reason}")]
    Corrupt { reason: String },
    /// Nothing was written: another controller's term has begun.
    #[error("deposed: the ledger is at term {term}")]
    Deposed { term: Term },
}

/// Why a database that answers does not carry a statement out, by what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// It gave this one up: for its own time limits, for another one's sake, or because it is not fit for it now. The same one may be
    /// carried out later.
    Passing,
    /// No column holds such a value, or a check forbids it.
    Value,
    /// The database is not as the call needs it: what it refers to is missing or taken, or a right is.
    Precondition,
    /// A fault in the statement, or in what the database is made of.
    Fault,
}

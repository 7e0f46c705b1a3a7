//! One order on many workers, as the controller reads its members and moves them on. Whom it has chosen is written down when it
//! starts, so a tenant that gets the label later is not in it; how far it has come is what is written of them. What the
//! order is, and so when a member has carried it out, only the ledger knows.

use std::time::Duration;

use roost_model::ids::{NodeId, OperationId, TenantId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetLimits {
    /// Members under way at once; at least 1.
    pub max_concurrent: u32,
    /// 1 to 100: of the chosen that answered when they were chosen, how many may not answer at one moment.
    pub max_unavailable_percent: u32,
    /// It pauses once more members than these have failed; else it is halted by its breaker alone.
    pub pauses_after: Option<u32>,
}

/// How all members stand at one moment, but for those that are gone: deleted, or ordered otherwise by somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetMembers {
    pub waiting: u32,
    /// The first of those that wait, in the operation's order.
    pub next: Vec<WaitingMember>,
    pub under_way: Vec<MemberUnderWay>,
    pub done: u32,
    pub failed: u32,
    /// The first of those that have failed, in the operation's order.
    pub failures: Vec<MemberFailure>,
    /// Those that answered when they were chosen.
    pub answered: u32,
    /// Of these those that wait or are done, should run, and do not answer now.
    pub silent: u32,
    /// Of these those that have failed, should run, and do not answer now.
    pub silent_failed: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingMember {
    pub tenant: TenantId,
    /// Now.
    pub answers: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberUnderWay {
    pub tenant: TenantId,
    /// When it was chosen.
    pub answered: bool,
    pub ordered_ago: Duration,
    pub state: MemberState,
}

/// What has come of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberState {
    /// `condition`: what its worker waits for, in words.
    UnderWay { condition: String },
    /// It has connected since, or shows a code where there is no session to come back to; or it has stopped or is elsewhere, if that was the order.
    Done,
    /// It has been given up since.
    InError { error: String },
    /// Deleted, or ordered otherwise, since.
    Gone,
}

/// A member under way whose order is to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetMove {
    pub operation: OperationId,
    pub tenant: TenantId,
    /// Where it was when its turn came.
    pub from: Option<NodeId>,
    /// None: wherever the plan has a place for it, but not there.
    pub to: Option<NodeId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberFailure {
    pub tenant: TenantId,
    pub error: String,
}

/// What a pass changes of the members: all of it in one write, and nothing once the operation is over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetStep {
    pub done: Vec<TenantId>,
    pub failed: Vec<MemberFailure>,
    pub gone: Vec<TenantId>,
    /// Told. One for which there is nothing to do any more is gone instead.
    pub begin: Vec<TenantId>,
}

impl FleetStep {
    pub fn is_empty(&self) -> bool {
        let Self { done, failed, gone, begin } = self;
        done.is_empty() && failed.is_empty() && gone.is_empty() && begin.is_empty()
    }
}

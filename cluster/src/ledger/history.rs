//! What the controller writes to the ledger beside placements: events, placements made, how far operations have come.

use std::time::Duration;

use super::orders::{BreakerRecord, Progress};
use crate::records::ImpairmentKind;
use roost_model::ids::{NodeId, OperationId, TenantId};

/// What the controller tells the ledger, beside placements: for operators to read, and for the next controller to go
/// on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerRecord {
    Event(Event),
    /// A tenant was given to a node; `because` is the plan's reason, `operation` is [`super::Orders::cause_of`] if another
    /// live node has let go of it.
    Placed {
        tenant: TenantId,
        node: NodeId,
        because: String,
        operation: Option<OperationId>,
    },
    Progress {
        operation: OperationId,
        progress: Progress,
        /// In words; empty while it goes on as it should.
        waits_for: String,
    },
    /// The operation is over. Ending one that is over already changes nothing. The ledger writes the event itself, for
    /// it alone knows whether this was the end.
    Ended {
        operation: OperationId,
        progress: Progress,
        outcome: Outcome,
    },
    /// Nodes are lost one after the other. Pausing what is paused already keeps the first reason.
    PauseFailover {
        reason: String,
    },
    /// The controller's own pause is over. One that a person has ordered stays.
    ResumeFailover,
    /// How the failover breaker stands; none when it has closed.
    Breaker(Option<BreakerRecord>),
    /// The node came and went too often.
    Suspect {
        node: NodeId,
        span: Duration,
    },
    /// The node's tenants leave for this; none when they stay again.
    Shedding {
        node: NodeId,
        because: Option<ImpairmentKind>,
    },
    /// The policy's own rebalance, unless one is running. The ledger writes the event itself, for the same reason.
    StartRebalance,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Failed { reason: String },
}

/// Something that operators want to know of afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: EventKind,
    pub node: Option<NodeId>,
    pub tenant: Option<TenantId>,
    /// One line, for people.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    NodeJoined,
    NodeLeft,
    NodeLost,
    NodeSuspect,
    ControllerElected,
    FailoverPaused,
    FailoverResumed,
    /// The failover breaker opened, went on or closed.
    FailoverBreaker,
    OperationStarted,
    OperationEnded,
    /// The owner of a worker took its session back from a newer connection.
    Conflict,
    NodeCordoned,
    NodeUncordoned,
    RestartWindowSet,
    RestartWindowCleared,
    TenantPinned,
    TenantUnpinned,
    PolicyChanged,
    VersionPinned,
    /// What was kept of a tenant's chat was removed by order.
    ChatErased,
    /// A live node cannot do its work, or what follows from that has changed.
    NodeImpaired,
    /// What kept a node from its work is over.
    NodeRecovered,
    /// A node did not get ready for a tenant, which stays where it is.
    PreparationFailed,
    /// A live node does not let go of a tenant.
    ReleaseOverdue,
    /// The database did not name the newest snapshot of a session, which is restored.
    SnapshotPointerBehind,
    /// Messages and replies that were given up are tried again by order.
    DeadLettersRedriven,
    /// A session was forgotten by order, and WhatsApp did not unlink its device.
    LogoutFailed,
    /// The newest of a session is damaged, and it goes on from what is older.
    SessionDamaged,
    /// The last state of a session was not saved when its worker stopped, or it is too large to be.
    SessionNotSaved,
    /// A worker has restarted its browser because its tenant's schedule said so.
    RestartedOnSchedule,
    /// A worker has restarted its browser because that was over one of its tenant's limits.
    RestartedOverLimit,
    /// A worker has given up because its browser was over a limit soon after each of several starts.
    GaveUpOverLimit,
    /// A tenant is to go back to an older snapshot of its session, by order.
    SessionRestoreOrdered,
    /// It has.
    SessionRestored,
    /// It cannot, and goes on as it was.
    SessionRestoreFailed,
    /// Nobody has scanned a tenant's codes, and no more are shown.
    ScanPaused,
    /// They are again.
    ScanResumed,
    /// An operation that had paused goes on.
    OperationResumed,
    /// A node without enough memory has a tenant leave it, or has restarted its browser.
    ShedForMemory,
    /// Tenants were made what they are declared to be, by order.
    TenantsApplied,
    /// A tenant's session was taken over from a profile of whatsapp-web.js, by order.
    SessionImported,
    /// What is written in the log of a tenant's worker has changed for a time, by order.
    LogLevelChanged,
    /// A picture of a tenant's page was taken, by order.
    ScreenshotTaken,
}

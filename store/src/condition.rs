//! What a worker waits for, or does about a fault.

use time::OffsetDateTime;

/// Beside the three statuses: with it nobody reads well of a worker that does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub kind: ConditionKind,
    /// One sentence for people; empty where the kind says it all.
    pub reason: String,
    /// Since when it is of this kind.
    pub since: OffsetDateTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "worker_condition", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConditionKind {
    /// It is to be stopped, or nothing is known to wait for. Not that messages are answered.
    None,
    /// It is on its way to its node, or its browser to the first session or code.
    Starting,
    /// No node has room for it or takes it.
    WaitingForCapacity,
    /// Its node is lost, and failover is held or goes on a few tenants at a time.
    WaitingForFailover,
    /// Its node is away for a moment, says nothing, or lacks what a browser needs.
    WaitingForNode,
    /// WhatsApp turns it away, cannot be reached, or answers with an error.
    WaitingForWhatsapp,
    /// Postgres or the object store does not take or give its session.
    WaitingForStore,
    /// A QR code is shown and nobody has scanned it.
    WaitingForScan,
    /// Nobody has scanned the codes that were shown: no more are, and no browser runs, until it is started anew.
    ScanPaused,
    /// Its page does not prove itself any more, is loaded anew, or has its browser restarted after a fault.
    Healing,
    /// It has given up: a person is needed, and `last_error` says for what.
    Failed,
    /// Its page has answered the last probe, and so has WhatsApp behind it, lately.
    Answering,
    /// WhatsApp does not let this version of its page in.
    NeedsUpdate,
    /// Its device was unlinked, mostly on the phone: a new scan is needed.
    Unlinked,
    /// WhatsApp refuses its account or device: it has locked the one or does not know the other.
    SessionRefused,
}

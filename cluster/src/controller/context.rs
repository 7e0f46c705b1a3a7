//! What every part of the controller works with: its configuration, what it reports, its two stores, and the right to write
//! to them.

use std::{
    future::Future,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    clock::{BootClock, Clock},
    election::Leadership,
    lease::LeaseKeeper,
    lease_deadline::Standing,
    ledger::{Complaint, Ledger, LedgerError},
    records::LeaderRecord,
    registry::SharedRegistry,
    timing::Timing,
};
use roost_model::ids::{Incarnation, Term};

use super::error::ControllerError;

#[derive(Clone)]
pub struct ControllerConfig {
    pub timing: Timing,
    /// Who stands: `coordinator/<id>` or `node/<id>`, and its address for people.
    pub candidate: LeaderRecord,
    /// A worker that was not seen for so long is marked.
    pub stale_after: Duration,
    /// How much of etcd's history is kept; none where somebody else compacts it.
    pub etcd_history: Option<Duration>,
    /// The cluster's name, which the database and the registry know each other by.
    pub cluster: String,
    /// Takes the database and the registry, whoever they belong to. An order: good for one time.
    pub adopt_store: bool,
    pub clock: Arc<dyn Clock>,
}

impl ControllerConfig {
    /// On the machine's clock; compacts nothing and adopts nothing.
    pub fn new(cluster: &str, timing: Timing, candidate: LeaderRecord, stale_after: Duration) -> Self {
        let (cluster, clock) = (cluster.to_owned(), Arc::new(BootClock));
        Self { timing, candidate, stale_after, etcd_history: None, cluster, adopt_store: false, clock }
    }
}

/// For health checks and tests; the times are on the config's clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControllerStatus {
    pub leading: bool,
    /// Of the present term.
    pub term: Option<Term>,
    /// When the last pass that found nothing in its way ended.
    pub last_pass_at: Option<Duration>,
    /// What is in its way now, or in the way of some tenants.
    pub complaint: Option<Complaint>,
    /// Since when that is of its kind.
    pub complaint_since: Option<Duration>,
}

impl ControllerStatus {
    pub(super) fn set_complaint(&mut self, complaint: Option<Complaint>, now: Duration) {
        let kind = |of: &Option<Complaint>| of.as_ref().map(|complaint| complaint.kind);
        if kind(&self.complaint) != kind(&complaint) {
            self.complaint_since = complaint.as_ref().map(|_| now);
        }
        self.complaint = complaint;
    }
}

/// Everything that the parts of the controller share.
pub(super) struct Context {
    pub(super) registry: SharedRegistry,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) config: ControllerConfig,
    pub(super) status: watch::Sender<ControllerStatus>,
    pub(super) etcd: Mutex<EtcdContact>,
    /// The lease of the leader that this process has asked to give way.
    pub(super) challenged: Mutex<Option<Incarnation>>,
    /// Before that no leader is asked to give way.
    pub(super) challenge_from: Mutex<Duration>,
    /// An order to adopt that has not been carried out.
    pub(super) adopt_store: AtomicBool,
}

/// When etcd was heard from. Of this process, whether it leads or not: an outage that ends every lease ends the term too.
#[derive(Debug)]
pub(super) struct EtcdContact {
    ttl: Duration,
    heard_at: Option<Duration>,
    /// When it was heard from again after having been silent for longer than a lease lasts.
    back_at: Option<Duration>,
}

impl EtcdContact {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, heard_at: None, back_at: None }
    }

    pub(super) fn heard(&mut self, now: Duration) {
        // Whoever has nothing to do asks twice in a TTL.
        if self.heard_at.is_some_and(|at| at + self.ttl * 3 / 2 < now) {
            self.back_at = Some(now);
        }
        self.heard_at = Some(now);
    }

    pub(super) fn is_back_since(&self, now: Duration, span: Duration) -> bool {
        self.back_at.is_some_and(|at| at + span > now)
    }
}

impl Context {
    /// For the status; what a term tells the ledger is in [`super::complaints`].
    pub(super) fn complains(&self, complaint: Option<Complaint>) {
        let now = self.config.clock.now();
        self.status.send_modify(|status| status.set_complaint(complaint, now));
    }

    /// The ledger bounds its calls itself or not: here they end.
    pub(super) async fn ask_ledger<T>(
        &self,
        call: impl Future<Output = Result<T, LedgerError>>,
    ) -> Result<T, LedgerError> {
        let limit = self.config.timing.ledger_timeout;
        match tokio::time::timeout(limit, call).await {
            Ok(answered) => answered,
            Err(_) => Err(LedgerError::Unavailable { reason: format!("no answer within {limit:?}") }),
        }
    }
}

/// What one write to the ledger may be about: a cluster that starts places all of its tenants in one pass, and a database
/// that is busy must not be asked for more than it does within the call's time.
pub(super) const ROWS_AT_ONCE: usize = 5_000;

/// The rights that a pass acts under.
pub(super) struct WriteAuthority<'a> {
    pub(super) leadership: &'a Leadership,
    pub(super) term: Term,
    pub(super) keeper: &'a LeaseKeeper,
}

impl WriteAuthority<'_> {
    /// Asked before every write, for the guards turn away what is late but cost the tenants time.
    pub(super) fn check(&self) -> Result<(), ControllerError> {
        match self.keeper.standing() {
            Standing::Good => Ok(()),
            Standing::SoftStop | Standing::Expired => Err(ControllerError::LeaseInDoubt),
        }
    }
}

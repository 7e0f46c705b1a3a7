//! One term: from the election to the resignation; and what wakes it for its next pass.

use std::{future::Future, sync::Arc, time::Duration};

use roost_model::{
    causes,
    ids::{Revision, Term},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    election::Leadership,
    keys,
    lease::LeaseKeeper,
    ledger::{Complaint, ComplaintKind, Ledger},
    records::StoreRecord,
    registry::{Change, RegistryError, SharedRegistry},
    timing::Timing,
};

use super::{
    compaction::Compaction,
    complaints::ToldComplaint,
    context::{Context, WriteAuthority},
    error::{ControllerError, Dependency, DependencyHealth},
    history,
    pass::{PassOutcome, PassState},
    patience::Patience,
    store_identity,
};

/// How a term has ended, as far as it matters for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing that it tried has succeeded.
    Stuck,
    /// To a coordinator.
    GaveWay,
    Other,
}

pub(super) struct LeaderTerm<'a> {
    context: &'a Context,
    leadership: Leadership,
    keeper: LeaseKeeper,
    patience: Patience,
}

impl<'a> LeaderTerm<'a> {
    pub(super) fn new(context: &'a Context, leadership: Leadership) -> Self {
        let keeper = LeaseKeeper::spawn(
            context.registry.clone(),
            context.config.clock.clone(),
            context.config.timing,
            leadership.held(),
        );
        let patience = Patience::new(context.config.clock.clone(), context.config.timing);
        Self { context, leadership, keeper, patience }
    }

    /// Leads until it is deposed, its lease ends or `shutdown`; then gives up the leader's key.
    pub(super) async fn run(self, health: &mut DependencyHealth, shutdown: &CancellationToken) -> Ending {
        let revision = self.leadership.revision;
        tracing::info!(%revision, holder = self.context.config.candidate.holder, "elected as the controller");
        let (mut ending, mut complaint) = (Ending::Other, None);
        let ended_by = tokio::select! {
            biased;
            () = shutdown.cancelled() => None,
            () = self.keeper.ended() => {
                let reason = "the lease of the leader's key has ended".to_owned();
                complaint = Some(Complaint::new(ComplaintKind::Etcd, &reason));
                Some(reason)
            }
            error = self.lead(health) => {
                ending = match error {
                    ControllerError::Stuck { .. } => Ending::Stuck,
                    ControllerError::GivesWay => Ending::GaveWay,
                    _ => Ending::Other,
                };
                complaint = error.complaint();
                Some(causes(&error).to_string())
            }
        };
        match &ended_by {
            None => tracing::info!(%revision, "resigning"),
            Some(reason) => tracing::warn!(%revision, reason, "the term has ended"),
        }
        // What one who is stuck has failed at lasts.
        if ending != Ending::Stuck {
            self.context.complains(complaint);
        }
        self.context.status.send_modify(|status| (status.leading, status.term) = (false, None));
        self.resign().await;
        ending
    }

    async fn resign(self) {
        let Self { context, leadership, keeper, .. } = self;
        drop(keeper);
        if let Err(error) = context.registry.revoke(leadership.lease).await {
            tracing::debug!(error = %causes(&error), "the leader's key is left to end with its lease");
        }
    }

    /// Ends only with what ends the term.
    async fn lead(&self, health: &mut DependencyHealth) -> ControllerError {
        let term = match self.begin(health).await {
            Ok(term) => term,
            Err(error) => return error,
        };
        tracing::info!(%term, "the term has begun");
        let Timing { heartbeat_every, coalesce, .. } = self.context.config.timing;
        let authority = WriteAuthority { leadership: &self.leadership, term, keeper: &self.keeper };
        let mut wakeups = self.wakeups();
        let mut state = PassState::new(self.context.config.timing, self.context.config.clock.now());
        let mut told = ToldComplaint::default();
        let mut compaction = Compaction::new(self.context.config.etcd_history);
        state.pending.add_events([history::elected(&self.context.config.candidate.holder, term)]);
        // Time for workers to be seen again that could not be while there was no controller or no ledger.
        let mut stale_workers = StaleWorkerCheck::check_after(self.context, heartbeat_every * 2);
        loop {
            match self.pass(&authority, &mut state, &mut stale_workers).await {
                Ok(passed) => {
                    self.patience.succeeded();
                    self.compact(&mut compaction, passed.seen).await;
                    if self.is_well(health, term, passed.complaint.clone()) {
                        stale_workers = StaleWorkerCheck::check_after(self.context, heartbeat_every * 2);
                    }
                    self.context.tell_complaint(term, &mut told, passed.complaint).await;
                    if passed.is_challenged {
                        return ControllerError::GivesWay;
                    }
                    if passed.again {
                        tokio::time::sleep(coalesce).await;
                    } else {
                        wakeups.after(passed.seen, passed.recheck_after).await;
                    }
                }
                Err(error) if error.ends_the_term() => return error,
                Err(error) => {
                    self.is_unwell(health, &error);
                    // A ledger that does not answer would only be waited for once more.
                    if error.dependency() != Dependency::Ledger {
                        self.context.tell_complaint(term, &mut told, error.complaint()).await;
                    }
                    if let Err(stuck) = self.patience.failed(&error).await {
                        return stuck;
                    }
                }
            }
        }
    }

    /// Not needed by anything that this term does: if it fails, it is tried again a step later.
    async fn compact(&self, compaction: &mut Compaction, seen: Revision) {
        let Some(revision) = compaction.due(seen, self.context.config.clock.now()) else { return };
        match self.context.registry.compact(revision).await {
            Ok(()) => {
                compaction.done(revision);
                tracing::info!(%revision, "etcd's history up to here has been compacted");
            }
            Err(error) => {
                tracing::warn!(%revision, error = %causes(&error), "etcd's history could not be compacted")
            }
        }
    }

    async fn pass(
        &self,
        authority: &WriteAuthority<'_>,
        state: &mut PassState,
        stale_workers: &mut StaleWorkerCheck,
    ) -> Result<PassOutcome, ControllerError> {
        let passed = self.context.pass(authority, state).await?;
        stale_workers.check(self.context, authority.term).await?;
        Ok(passed)
    }

    fn wakeups(&self) -> Wakeups {
        let Context { registry, ledger, config, .. } = self.context;
        Wakeups::new(registry.clone(), ledger.clone(), config.timing)
    }

    /// What comes before the first pass: the store is known, the ledger has given the term, and nothing can be alive
    /// that the store does not know of.
    async fn begin(&self, health: &mut DependencyHealth) -> Result<Term, ControllerError> {
        let Context { registry, config, status, .. } = self.context;
        status.send_modify(|status| status.leading = true);
        let registry = registry.as_ref();
        let mut store =
            self.until_done(health, || store_identity::identify(self.context, &self.leadership)).await?;
        let term = match self.begin_term(health, &store).await {
            Err(ControllerError::Deposed { .. })
                if self.until_done(health, || self.still_leads()).await? =>
            {
                store = self
                    .until_done(health, || store_identity::initialise(self.context, &self.leadership))
                    .await?;
                self.begin_term(health, &store).await?
            }
            begun => begun?,
        };
        self.until_done(health, || self.context.outrun_registry(term)).await?;
        let desired_tenants = self.until_done(health, || self.context.desired_tenants()).await?;
        let wait = store_identity::wait_before_placing(&store, &desired_tenants, config.timing.ttl);
        if wait > Duration::ZERO {
            tracing::warn!(
                ?wait,
                "the store is new and nodes may run what it does not know of: waiting for them"
            );
            tokio::time::sleep(wait).await;
        }
        self.until_done(health, || store_identity::settle(registry, &self.leadership, &store)).await?;
        Ok(term)
    }

    async fn begin_term(
        &self,
        health: &mut DependencyHealth,
        store: &StoreRecord,
    ) -> Result<Term, ControllerError> {
        let holder = &self.context.config.candidate.holder;
        let ask = || async {
            let begun = self.context.ledger.begin_term(&store.id, self.leadership.revision, holder);
            // If an answer is lost it is asked for again: the ledger gives the same key the same term.
            self.context.ask_ledger(begun).await.map_err(ControllerError::reading_ledger)
        };
        self.until_done(health, ask).await
    }

    /// Asked when the ledger knows of a later term than this. If the leader's key is ours all the same, there was no
    /// later one in this store, whose revisions only grow: it has gone back in time, as one that was restored from a
    /// backup does, and is another store than the one the ledger knows.
    async fn still_leads(&self) -> Result<bool, ControllerError> {
        let leader = self.context.registry.get(keys::LEADER).await.map_err(ControllerError::Registry)?;
        Ok(leader.is_some_and(|entry| entry.lease == Some(self.leadership.lease)))
    }

    /// A step of the beginning, again and again until it is done or ends the term.
    async fn until_done<T, F>(
        &self,
        health: &mut DependencyHealth,
        step: impl Fn() -> F,
    ) -> Result<T, ControllerError>
    where
        F: Future<Output = Result<T, ControllerError>>,
    {
        loop {
            match step().await {
                Err(error) if !error.ends_the_term() => {
                    self.is_unwell(health, &error);
                    self.patience.failed(&error).await?;
                }
                ended => return ended,
            }
        }
    }

    /// Whether the ledger had been away. `complaint`: what is in the way of some tenants all the same.
    fn is_well(&self, health: &mut DependencyHealth, term: Term, complaint: Option<Complaint>) -> bool {
        health.recovered(Dependency::Etcd);
        health.recovered(Dependency::Records);
        health.recovered(Dependency::Identity);
        let ledger_is_back = health.recovered(Dependency::Ledger);
        let now = self.context.config.clock.now();
        self.context.status.send_modify(|status| {
            (status.leading, status.term, status.last_pass_at) = (true, Some(term), Some(now));
            status.set_complaint(complaint, now);
        });
        ledger_is_back
    }

    fn is_unwell(&self, health: &mut DependencyHealth, error: &ControllerError) {
        health.failed(error.dependency(), error);
        self.context.complains(error.complaint());
    }
}

/// Looks for workers that are silent, from time to time.
struct StaleWorkerCheck {
    next_check_at: Duration,
}

impl StaleWorkerCheck {
    fn check_after(context: &Context, pause: Duration) -> Self {
        Self { next_check_at: context.config.clock.now() + pause }
    }

    async fn check(&mut self, context: &Context, term: Term) -> Result<(), ControllerError> {
        if context.config.clock.now() < self.next_check_at {
            return Ok(());
        }
        *self = Self::check_after(context, context.config.timing.stale_check_every);
        let marked = context.ask_ledger(context.ledger.mark_stale(term, context.config.stale_after)).await;
        // Without an answer it may have been done: then it is done.
        for tenant in marked.map_err(ControllerError::reading_ledger)? {
            tracing::warn!(%tenant, "a worker was marked: it has not been seen for too long");
        }
        Ok(())
    }
}

/// What wakes the controller: a change in the registry that it has not seen, a change in the ledger, the timer. Listens until
/// it is dropped.
struct Wakeups {
    latest: watch::Receiver<Revision>,
    ledger_changed: Arc<Notify>,
    reconcile_every: Duration,
    coalesce: Duration,
    /// Aborted when dropped.
    _listeners: JoinSet<()>,
}

impl Wakeups {
    fn new(registry: SharedRegistry, ledger: Arc<dyn Ledger>, timing: Timing) -> Self {
        let (sender, latest) = watch::channel(Revision::default());
        let ledger_changed = Arc::new(Notify::new());
        let mut listeners = JoinSet::new();
        listeners.spawn(follow_registry(registry, timing.watch_retry, sender));
        listeners.spawn(follow_ledger(ledger, timing.coalesce, ledger_changed.clone()));
        let Timing { reconcile_every, coalesce, .. } = timing;
        Self { latest, ledger_changed, reconcile_every, coalesce, _listeners: listeners }
    }

    /// Resolves a moment after something has changed since `seen`, so that what comes together is seen together; at
    /// the latest after `recheck_after`.
    async fn after(&mut self, seen: Revision, recheck_after: Option<Duration>) {
        let at_the_latest = recheck_after.map_or(self.reconcile_every, |span| span.min(self.reconcile_every));
        tokio::select! {
            // In order, so that a simulation of the same seed is the same.
            biased;
            // An error means that the listener is gone, which it is only together with this.
            Ok(_) = self.latest.wait_for(|latest| *latest > seen) => {}
            () = self.ledger_changed.notified() => {}
            () = tokio::time::sleep(at_the_latest) => return,
        }
        tokio::time::sleep(self.coalesce).await;
    }
}

/// Keeps `latest` at the revision of the last change that was heard of; begins anew whenever a watch ends.
async fn follow_registry(registry: SharedRegistry, retry: Duration, latest: watch::Sender<Revision>) {
    loop {
        // A watch's end is no news here: the pass that fails for the same reason reports it.
        if let Err(error) = follow_one_watch(&registry, &latest).await {
            tracing::debug!(error = %causes(&error), "the controller's watch could not be started");
        }
        tokio::time::sleep(retry).await;
    }
}

async fn follow_one_watch(
    registry: &SharedRegistry,
    latest: &watch::Sender<Revision>,
) -> Result<(), RegistryError> {
    let now = registry.read(keys::LEADER).await?.revision;
    let mut changes = registry.watch(keys::ALL, now).await?;
    // What happened while there was no watch is in no batch, but it is older than this.
    latest.send_replace(now);
    while let Some(batch) = changes.recv().await {
        if let Some(newest) = batch.iter().map(Change::revision).max() {
            latest.send_replace(newest);
        }
    }
    Ok(())
}

async fn follow_ledger(ledger: Arc<dyn Ledger>, pause: Duration, changed: Arc<Notify>) {
    loop {
        ledger.changed().await;
        changed.notify_one();
        tokio::time::sleep(pause).await;
    }
}

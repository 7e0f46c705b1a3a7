//! One term: from the election to the resignation.

use std::{future::Future, time::Duration};

use roost_model::ids::Term;
use tokio_util::sync::CancellationToken;

use crate::{election::Leadership, keys, lease::LeaseKeeper, records::StoreRecord, timing::Timing};

use super::{
    context::{Context, ControllerStatus},
    error::{ControllerError, Dependency, DependencyHealth},
    history,
    pass::{PassOutcome, PassState, WriteAuthority},
    store_identity,
    wakeups::Wakeups,
};

pub(super) struct LeaderTerm<'a> {
    context: &'a Context,
    leadership: Leadership,
    keeper: LeaseKeeper,
}

impl<'a> LeaderTerm<'a> {
    pub(super) fn new(context: &'a Context, leadership: Leadership) -> Self {
        let keeper = LeaseKeeper::spawn(
            context.registry.clone(),
            context.config.clock.clone(),
            context.config.timing,
            leadership.lease,
            leadership.sent_at,
        );
        Self { context, leadership, keeper }
    }

    /// Leads until it is deposed, its lease ends or `shutdown`; then gives up the leader's key.
    pub(super) async fn run(self, health: &mut DependencyHealth, shutdown: &CancellationToken) {
        let revision = self.leadership.revision;
        tracing::info!(%revision, holder = self.context.config.candidate.holder, "elected as the controller");
        let ended_by = tokio::select! {
            biased;
            () = shutdown.cancelled() => None,
            () = self.keeper.ended() => Some("the lease of the leader's key has ended".to_owned()),
            error = self.lead(health) => Some(error.to_string()),
        };
        match &ended_by {
            None => tracing::info!(%revision, "resigning"),
            Some(reason) => tracing::warn!(%revision, reason, "the term has ended"),
        }
        self.context.status.send_modify(|status| {
            *status = ControllerStatus { last_error: ended_by, leading: false, term: None, ..status.clone() };
        });
        self.resign().await;
    }

    async fn resign(self) {
        let Self { context, leadership, keeper } = self;
        drop(keeper);
        if let Err(error) = context.registry.revoke(leadership.lease).await {
            tracing::debug!(%error, "the leader's key is left to end with its lease");
        }
    }

    /// Ends only with what ends the term.
    async fn lead(&self, health: &mut DependencyHealth) -> ControllerError {
        let term = match self.begin(health).await {
            Ok(term) => term,
            Err(error) => return error,
        };
        tracing::info!(%term, "the term has begun");
        let Timing { heartbeat_every, watch_retry, coalesce, .. } = self.context.config.timing;
        let authority = WriteAuthority { leadership: &self.leadership, term, keeper: &self.keeper };
        let mut wakeups = self.wakeups();
        let mut state = PassState::new(self.context.config.timing.ttl);
        state.pending.add_events([history::elected(&self.context.config.candidate.holder, term)]);
        // Time for workers to be seen again that could not be while there was no controller or no ledger.
        let mut stale_workers = StaleWorkerCheck::check_after(self.context, heartbeat_every * 2);
        loop {
            match self.pass(&authority, &mut state, &mut stale_workers).await {
                Ok(passed) => {
                    if self.is_well(health, term) {
                        stale_workers = StaleWorkerCheck::check_after(self.context, heartbeat_every * 2);
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
                    tokio::time::sleep(watch_retry).await;
                }
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
            self.until_done(health, || store_identity::identify(registry, &self.leadership)).await?;
        let term = match self.begin_term(health, &store).await {
            Err(ControllerError::Deposed { .. })
                if self.until_done(health, || self.still_leads()).await? =>
            {
                store = self
                    .until_done(health, || store_identity::initialise(registry, &self.leadership))
                    .await?;
                self.begin_term(health, &store).await?
            }
            begun => begun?,
        };
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
        Ok(leader.is_some_and(|entry| entry.create_revision == self.leadership.revision))
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
                Err(error) if !error.ends_the_term() => self.is_unwell(health, &error),
                ended => return ended,
            }
            tokio::time::sleep(self.context.config.timing.watch_retry).await;
        }
    }

    /// Whether the ledger had been away.
    fn is_well(&self, health: &mut DependencyHealth, term: Term) -> bool {
        health.recovered(Dependency::Etcd);
        health.recovered(Dependency::Records);
        let ledger_is_back = health.recovered(Dependency::Ledger);
        let now = self.context.config.clock.now();
        self.context.status.send_replace(ControllerStatus {
            leading: true,
            term: Some(term),
            last_pass_at: Some(now),
            last_error: None,
        });
        ledger_is_back
    }

    fn is_unwell(&self, health: &mut DependencyHealth, error: &ControllerError) {
        health.failed(error.dependency(), error);
        self.context.status.send_modify(|status| status.last_error = Some(error.to_string()));
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

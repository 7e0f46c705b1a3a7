//! One reign: from the election to the resignation.

use std::{future::Future, time::Duration};

use roost_model::ids::Term;
use tokio_util::sync::CancellationToken;

use crate::{election::Leadership, keys, lease::LeaseKeeper, records::StoreRecord, timing::Timing};

use super::{
    Context, ControllerStatus, events, founding,
    memory::Memory,
    pass::{Mandate, Passed},
    trouble::{Dependency, Trouble, Troubles},
    wake::Wake,
};

pub(super) struct Reign<'a> {
    context: &'a Context,
    leadership: Leadership,
    keeper: LeaseKeeper,
}

impl<'a> Reign<'a> {
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

    /// Governs until it is deposed, its lease ends or `shutdown`; then gives up the leader's key.
    pub(super) async fn run(self, troubles: &mut Troubles, shutdown: &CancellationToken) {
        let revision = self.leadership.revision;
        tracing::info!(%revision, holder = self.context.config.candidate.holder, "elected as the controller");
        let ended_by = tokio::select! {
            biased;
            () = shutdown.cancelled() => None,
            () = self.keeper.ended() => Some("the lease of the leader's key has ended".to_owned()),
            trouble = self.govern(troubles) => Some(trouble.to_string()),
        };
        match &ended_by {
            None => tracing::info!(%revision, "resigning"),
            Some(reason) => tracing::warn!(%revision, reason, "the reign has ended"),
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

    /// Ends only with what ends the reign.
    async fn govern(&self, troubles: &mut Troubles) -> Trouble {
        let term = match self.begin(troubles).await {
            Ok(term) => term,
            Err(trouble) => return trouble,
        };
        tracing::info!(%term, "the term has begun");
        let Timing { heartbeat_every, watch_retry, coalesce, .. } = self.context.config.timing;
        let mandate = Mandate { leadership: &self.leadership, term, keeper: &self.keeper };
        let mut wake = self.wake();
        let mut memory = Memory::new(self.context.config.timing.ttl);
        memory.untold.happened([events::elected(&self.context.config.candidate.holder, term)]);
        // Time for workers to be seen again that could not be while there was no controller or no ledger.
        let mut silence = Silence::check_after(self.context, heartbeat_every * 2);
        loop {
            match self.pass(&mandate, &mut memory, &mut silence).await {
                Ok(passed) => {
                    if self.is_well(troubles, term) {
                        silence = Silence::check_after(self.context, heartbeat_every * 2);
                    }
                    if passed.again {
                        tokio::time::sleep(coalesce).await;
                    } else {
                        wake.after(passed.seen, passed.look_in).await;
                    }
                }
                Err(trouble) if trouble.ends_the_reign() => return trouble,
                Err(trouble) => {
                    self.is_unwell(troubles, &trouble);
                    tokio::time::sleep(watch_retry).await;
                }
            }
        }
    }

    async fn pass(
        &self,
        mandate: &Mandate<'_>,
        memory: &mut Memory,
        silence: &mut Silence,
    ) -> Result<Passed, Trouble> {
        let passed = self.context.pass(mandate, memory).await?;
        silence.check(self.context, mandate.term).await?;
        Ok(passed)
    }

    fn wake(&self) -> Wake {
        let Context { registry, ledger, config, .. } = self.context;
        Wake::new(registry.clone(), ledger.clone(), config.timing)
    }

    /// What comes before the first pass: the store is known, the ledger has given the term, and nothing can be alive
    /// that the store does not know of.
    async fn begin(&self, troubles: &mut Troubles) -> Result<Term, Trouble> {
        let Context { registry, config, status, .. } = self.context;
        status.send_modify(|status| status.leading = true);
        let registry = registry.as_ref();
        let mut store = self.until_done(troubles, || founding::identify(registry, &self.leadership)).await?;
        let term = match self.begin_term(troubles, &store).await {
            Err(Trouble::Deposed { .. }) if self.until_done(troubles, || self.still_leads()).await? => {
                store = self.until_done(troubles, || founding::found(registry, &self.leadership)).await?;
                self.begin_term(troubles, &store).await?
            }
            begun => begun?,
        };
        let demands = self.until_done(troubles, || self.context.demands()).await?;
        let wait = founding::wait_before_placing(&store, &demands, config.timing.ttl);
        if wait > Duration::ZERO {
            tracing::warn!(
                ?wait,
                "the store is new and nodes may run what it does not know of: waiting for them"
            );
            tokio::time::sleep(wait).await;
        }
        self.until_done(troubles, || founding::settle(registry, &self.leadership, &store)).await?;
        Ok(term)
    }

    async fn begin_term(&self, troubles: &mut Troubles, store: &StoreRecord) -> Result<Term, Trouble> {
        let holder = &self.context.config.candidate.holder;
        let ask = || async {
            let begun = self.context.ledger.begin_term(&store.id, self.leadership.revision, holder);
            // If an answer is lost it is asked for again: the ledger gives the same key the same term.
            self.context.ask_ledger(begun).await.map_err(Trouble::reading_ledger)
        };
        self.until_done(troubles, ask).await
    }

    /// Asked when the ledger knows of a later reign than this. If the leader's key is ours all the same, there was no
    /// later one in this store, whose revisions only grow: it has gone back in time, as one that was restored from a
    /// backup does, and is another store than the one the ledger knows.
    async fn still_leads(&self) -> Result<bool, Trouble> {
        let leader = self.context.registry.get(keys::LEADER).await.map_err(Trouble::Registry)?;
        Ok(leader.is_some_and(|entry| entry.create_revision == self.leadership.revision))
    }

    /// A step of the beginning, again and again until it is done or ends the reign.
    async fn until_done<T, F>(&self, troubles: &mut Troubles, step: impl Fn() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        loop {
            match step().await {
                Err(trouble) if !trouble.ends_the_reign() => self.is_unwell(troubles, &trouble),
                ended => return ended,
            }
            tokio::time::sleep(self.context.config.timing.watch_retry).await;
        }
    }

    /// Whether the ledger had been away.
    fn is_well(&self, troubles: &mut Troubles, term: Term) -> bool {
        troubles.over(Dependency::Etcd);
        troubles.over(Dependency::Records);
        let ledger_is_back = troubles.over(Dependency::Ledger);
        let now = self.context.config.clock.now();
        self.context.status.send_replace(ControllerStatus {
            leading: true,
            term: Some(term),
            last_pass_at: Some(now),
            last_error: None,
        });
        ledger_is_back
    }

    fn is_unwell(&self, troubles: &mut Troubles, trouble: &Trouble) {
        troubles.met(trouble.dependency(), trouble);
        self.context.status.send_modify(|status| status.last_error = Some(trouble.to_string()));
    }
}

/// Looks for workers that are silent, from time to time.
struct Silence {
    next_check_at: Duration,
}

impl Silence {
    fn check_after(context: &Context, pause: Duration) -> Self {
        Self { next_check_at: context.config.clock.now() + pause }
    }

    async fn check(&mut self, context: &Context, term: Term) -> Result<(), Trouble> {
        if context.config.clock.now() < self.next_check_at {
            return Ok(());
        }
        *self = Self::check_after(context, context.config.timing.stale_check_every);
        let marked = context.ask_ledger(context.ledger.mark_stale(term, context.config.stale_after)).await;
        // Without an answer it may have been done: then it is done.
        for tenant in marked.map_err(Trouble::reading_ledger)? {
            tracing::warn!(%tenant, "a worker was marked: it has not been seen for too long");
        }
        Ok(())
    }
}

//! Standing for election and leading, again and again.

use std::sync::{Arc, atomic::AtomicBool};

use parking_lot::Mutex;
use roost_model::causes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    context::{Context, ControllerConfig, ControllerStatus, EtcdContact},
    error::{ControllerError, Dependency, DependencyHealth},
    leader_term::{Ending, LeaderTerm},
};
use crate::{
    election,
    ledger::{ComplaintKind, Ledger},
    registry::SharedRegistry,
};

pub struct Controller {
    context: Context,
}

impl Controller {
    pub fn new(registry: SharedRegistry, ledger: Arc<dyn Ledger>, config: ControllerConfig) -> Self {
        let (status, _) = watch::channel(ControllerStatus::default());
        let etcd = Mutex::new(EtcdContact::new(config.timing.ttl));
        let (challenged, challenge_from) = (Mutex::default(), Mutex::default());
        let adopt_store = AtomicBool::new(config.adopt_store);
        let context =
            Context { registry, ledger, config, status, etcd, challenged, challenge_from, adopt_store };
        Self { context }
    }

    /// To be taken before [`Controller::run`].
    pub fn status(&self) -> watch::Receiver<ControllerStatus> {
        self.context.status.subscribe()
    }

    /// Stands for election and leads, again and again, whatever is down, until `shutdown`; then resigns and returns.
    pub async fn run(self, shutdown: CancellationToken) {
        let context = &self.context;
        let mut health = DependencyHealth::new();
        // One step ends by itself, so that a term that is cut short here still resigns.
        while !shutdown.is_cancelled() {
            context.stand_or_wait(&mut health, &shutdown).await;
        }
    }
}

impl Context {
    /// One candidacy: to the end of the term if it is won, else until standing again is worth a try.
    async fn stand_or_wait(&self, health: &mut DependencyHealth, shutdown: &CancellationToken) {
        let (registry, timing) = (self.registry.as_ref(), &self.config.timing);
        // One who cannot reach the ledger could only keep the key from others.
        if let Err(error) = self.orders().await {
            health.failed(Dependency::Ledger, &error);
            self.complains(error.complaint());
            shutdown.run_until_cancelled(tokio::time::sleep(timing.watch_retry)).await;
            return;
        }
        health.recovered(Dependency::Ledger);
        // Not cut short by the shutdown: a key that was won and forgotten would keep others waiting for a TTL.
        let outcome =
            election::stand(registry, self.config.clock.as_ref(), timing, &self.config.candidate).await;
        let waited = match outcome {
            Ok(Some(leadership)) => {
                self.etcd.lock().heard(self.config.clock.now());
                health.recovered(Dependency::Etcd);
                let ending = LeaderTerm::new(self, leadership).run(health, shutdown).await;
                // Whatever ended it may be there still. One who could do nothing leaves the key to others for a while.
                if ending == Ending::Stuck {
                    // Whoever leads next may fare better, and is left alone for a while.
                    *self.challenge_from.lock() = self.config.clock.now() + timing.resign_after * 10;
                }
                let pause = match ending {
                    Ending::Other => timing.watch_retry,
                    Ending::Stuck | Ending::GaveWay => {
                        timing.ttl + election::stagger(&self.config.candidate.holder, timing.ttl)
                    }
                };
                shutdown.run_until_cancelled(tokio::time::sleep(pause)).await;
                return;
            }
            Ok(None) => {
                self.etcd.lock().heard(self.config.clock.now());
                health.recovered(Dependency::Etcd);
                self.is_standing_by();
                self.challenge().await;
                let turn = election::stagger(&self.config.candidate.holder, timing.ttl / 100);
                let vacancy = async {
                    let vacant = election::vacancy(registry, timing).await;
                    tokio::time::sleep(turn).await;
                    vacant
                };
                shutdown.run_until_cancelled(vacancy).await
            }
            Err(error) => Some(Err(error)),
        };
        if let Some(Err(error)) = waited {
            health.failed(Dependency::Etcd, &error);
            self.complains(ControllerError::Registry(error).complaint());
            shutdown.run_until_cancelled(tokio::time::sleep(timing.watch_retry)).await;
        }
    }

    /// Whoever leads speaks for etcd and the ledger, which have just answered here. That they are not of one cluster is not
    /// over by that.
    fn is_standing_by(&self) {
        let lasts = self.status.borrow().complaint.clone();
        self.complains(lasts.filter(|complaint| complaint.kind == ComplaintKind::Identity));
    }

    /// One who has just seen the ledger need not leave the lead to a node.
    async fn challenge(&self) {
        if self.config.clock.now() < *self.challenge_from.lock() {
            return;
        }
        let (timing, challenged) = (&self.config.timing, *self.challenged.lock());
        let asked =
            election::challenge(self.registry.as_ref(), timing, &self.config.candidate, challenged).await;
        match asked {
            Ok(leader) => *self.challenged.lock() = leader,
            Err(error) => tracing::debug!(error = %causes(&error), "whether a node leads is not known now"),
        }
    }
}

//! The loop that decides placement. Any number of processes run one; the elected one acts.
//!
//! ```text
//!   stand ──► lead: begin the term, know the store ──► pass ──► wait for a change or the timer ─┐
//!     ▲                                                  ▲                                       │
//!     │                                                  └───────────────────────────────────────┘
//!     └── deposed, lease lost, or a write whose outcome is not known
//! ```
//!
//! A pass takes no input: it reads everything (the `mirror` saves it from reading twice what has not changed), plans,
//! and does what the plan says, so it does not matter what the last one came to, or which process it ran in. No step is
//! retried inside a pass. Around the plan there are small state machines, pure, one file each: which nodes were lost
//! (`losses`), which are awaited (`windows`) or come and go (`flapping`), whether too many are gone (`brake`), whether
//! all is calm (`calm`); `senses` and `directions` bring them together, and `operations` reads from a plan how far each
//! operation has come. They live in the memory of one reign, and nothing that a later one needs is only there.
//!
//! What makes that safe:
//!
//! - **One controller writes.** Every commit is guarded by the create revision of the leader's key and by the mod
//!   revisions of the records it replaces; every write to the ledger names the term. A deposed one changes nothing.
//! - **Place, then publish.** The generation grows in the ledger before the assignment is published. After a crash
//!   between the two nothing is published, so the tenant is on no live node, so the next pass places it again, under
//!   the next generation. A generation is published by the pass that made it or never; no rule is needed for what the
//!   ledger says of a placement that nobody was told of.
//! - **A doubtful write ends the reign.** A commit without an answer may still arrive, and if a later pass had placed
//!   the same tenant on another node, both could be taken: they touch different records. So the controller resigns,
//!   and is elected anew at another revision (and term) that the late write does not name.
//! - **An operation is no script.** A drain, a rebalance or a move changes what the plan is made from and nothing else,
//!   so that any controller goes on with it from any point, and a cancelled one is a plan without it.
//! - **A commit is not a plan.** Large plans are published in several commits and a crash may leave some out. Each is
//!   complete for the nodes it is about, and a removal never shares a plan with the placement that follows it.

use std::{sync::Arc, time::Duration};

use roost_model::ids::Term;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{BootClock, Clock},
    election,
    ledger::Ledger,
    records::LeaderRecord,
    registry::SharedRegistry,
    timing::Timing,
};

mod brake;
mod calm;
mod directions;
mod events;
mod flapping;
mod founding;
mod journal;
mod losses;
mod memory;
mod mirror;
mod operations;
mod pass;
mod publish;
mod reign;
mod senses;
mod survey;
#[cfg(test)]
mod tests;
mod trouble;
mod view;
mod wake;
mod windows;

pub use survey::{Survey, SurveyError, survey};

use reign::Reign;
use trouble::{Dependency, Troubles};

#[derive(Clone)]
pub struct ControllerConfig {
    pub timing: Timing,
    /// Who stands: `coordinator/<id>` or `node/<id>`, and its address for people.
    pub candidate: LeaderRecord,
    /// A worker that was not seen for so long is marked.
    pub stale_after: Duration,
    pub clock: Arc<dyn Clock>,
}

impl ControllerConfig {
    /// On the machine's clock.
    pub fn new(timing: Timing, candidate: LeaderRecord, stale_after: Duration) -> Self {
        Self { timing, candidate, stale_after, clock: Arc::new(BootClock) }
    }
}

/// For health checks and tests; the times are on the config's clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControllerStatus {
    pub leading: bool,
    /// Of the present reign.
    pub term: Option<Term>,
    /// When the last pass that found nothing in its way ended.
    pub last_pass_at: Option<Duration>,
    /// What is in its way now.
    pub last_error: Option<String>,
}

/// Everything that the parts of the controller share.
struct Context {
    registry: SharedRegistry,
    ledger: Arc<dyn Ledger>,
    config: ControllerConfig,
    status: watch::Sender<ControllerStatus>,
}

pub struct Controller {
    context: Context,
}

impl Controller {
    pub fn new(registry: SharedRegistry, ledger: Arc<dyn Ledger>, config: ControllerConfig) -> Self {
        let (status, _) = watch::channel(ControllerStatus::default());
        Self { context: Context { registry, ledger, config, status } }
    }

    /// To be taken before [`Controller::run`].
    pub fn status(&self) -> watch::Receiver<ControllerStatus> {
        self.context.status.subscribe()
    }

    /// Stands for election and leads, again and again, whatever is down, until `shutdown`; then resigns and returns.
    pub async fn run(self, shutdown: CancellationToken) {
        let context = &self.context;
        let mut troubles = Troubles::new();
        // One step ends by itself, so that a reign that is cut short here still resigns.
        while !shutdown.is_cancelled() {
            context.stand_or_wait(&mut troubles, &shutdown).await;
        }
    }
}

impl Context {
    /// One candidacy: to the end of the reign if it is won, else until standing again is worth a try.
    async fn stand_or_wait(&self, troubles: &mut Troubles, shutdown: &CancellationToken) {
        let (registry, timing) = (self.registry.as_ref(), &self.config.timing);
        // Not cut short by the shutdown: a key that was won and forgotten would keep others waiting for a TTL.
        let outcome =
            election::stand(registry, self.config.clock.as_ref(), timing, &self.config.candidate).await;
        let waited = match outcome {
            Ok(Some(leadership)) => {
                troubles.over(Dependency::Etcd);
                Reign::new(self, leadership).run(troubles, shutdown).await;
                // Whatever ended it may be there still.
                shutdown.run_until_cancelled(tokio::time::sleep(timing.watch_retry)).await;
                return;
            }
            Ok(None) => {
                troubles.over(Dependency::Etcd);
                shutdown.run_until_cancelled(election::vacancy(registry, timing)).await
            }
            Err(error) => Some(Err(error)),
        };
        if let Some(Err(error)) = waited {
            troubles.met(Dependency::Etcd, &error);
            self.status.send_modify(|status| status.last_error = Some(error.to_string()));
            shutdown.run_until_cancelled(tokio::time::sleep(timing.watch_retry)).await;
        }
    }
}

//! The worker: one tenant's running automation. It owns the tenant's browser from launch to death, keeps its session
//! saved, and feeds its messages through the pipeline.
//!
//! Decisions are made by [`state`], a pure machine: an event goes in, effects come out. `actor` performs the effects
//! and turns what happens to them into the next events; it decides nothing. That split is what lets the rules that
//! matter (never two browsers, I1; ERROR only after every attempt, and only for the tenant's
//! own fault; every stop ends) be tested over arbitrary
//! sequences of events, without a browser.
//!
//! What a worker does NOT know: who else could own its tenant. It is told its generation once, writes with it, and
//! ends when a write is refused (I2) or when the node's standing expires (I1); it never tries to get ownership back.

mod actor;
mod browser;
mod browser_setup;
mod context;
mod end;
pub mod fault;
mod last_save;
mod launch_check;
mod liveness;
mod ordered_restore;
mod pairing;
mod perform;
mod planned_restart;
mod qr;
mod report;
mod session_store;
mod snapshot_schedule;
pub mod state;
mod timing;
mod timing_args;
mod turn;
#[cfg(test)]
pub(crate) mod unserved;
mod wakeups;
mod warm_standby;

use std::{fmt, sync::Arc, time::Duration};

use roost_engine::{EngineError, Page, Vitals};
use roost_model::ids::{Generation, TenantId};
use roost_store::{SendFigures, WorkerSpec};
use tokio::sync::{Mutex, mpsc, watch};

use crate::pipeline::{SendTally, Traffic};

pub use browser_setup::browser_setup;
pub use context::{OwnershipCheck, OwnershipUnknown, WorkerContext};
pub use end::WorkerEnd;
pub use liveness::Proof;
pub use state::{Ending, State, StopMode};
pub use timing::{OverLimitTiming, RestartTiming, Setting, WorkerTiming};
pub use timing_args::WorkerTimingArgs;
pub use warm_standby::WarmStandby;

/// Starts a worker. The browser lives no longer than the handle's worker: dropping every handle stops it gracefully.
pub struct Worker;

impl Worker {
    /// Returns at once; the worker starts its browser by itself.
    pub fn spawn(context: WorkerContext) -> WorkerHandle {
        let (commands, inbox) = mpsc::channel(ORDERS);
        let (specs, spec) = watch::channel(context.spec.clone());
        let (seen_tx, seen) = watch::channel(None);
        let (state_tx, state) = watch::channel(State::Starting);
        let (attempts_tx, attempts) = watch::channel(0);
        let timing = context.timing;
        let tenant = context.fence.tenant.clone();
        let generation = context.fence.generation;
        let (page_tx, page) = watch::channel(None);
        let (told, end) = watch::channel(None);
        let (traffic, sends) = (Traffic::default(), SendTally::default());
        let channels = actor::WorkerChannels {
            inbox,
            spec,
            seen: seen_tx,
            state: state_tx,
            attempts: attempts_tx,
            traffic: traffic.clone(),
            sends: sends.clone(),
            page: page_tx,
        };
        let task = tokio::spawn(actor::run(context, channels));
        tokio::spawn(end::tell_end(task, page.clone(), told));
        WorkerHandle {
            tenant,
            generation,
            commands,
            specs: Arc::new(specs),
            timing,
            seen,
            state,
            attempts,
            traffic,
            sends,
            page,
            end,
            picturing: Arc::default(),
        }
    }
}

/// Orders waiting for a worker; a stop is one, so a handful is plenty.
const ORDERS: usize = 8;

/// A running worker, seen from the supervisor. Cheap to clone.
#[derive(Clone)]
pub struct WorkerHandle {
    tenant: TenantId,
    generation: Generation,
    commands: mpsc::Sender<actor::WorkerCommand>,
    specs: Arc<watch::Sender<WorkerSpec>>,
    /// The node's.
    timing: WorkerTiming,
    seen: watch::Receiver<Option<Proof>>,
    state: watch::Receiver<State>,
    attempts: watch::Receiver<u32>,
    traffic: Traffic,
    sends: SendTally,
    page: watch::Receiver<Option<Arc<dyn Page>>>,
    end: watch::Receiver<Option<WorkerEnd>>,
    /// Held while a picture of the page is taken.
    picturing: Arc<Mutex<()>>,
}

/// Why there is no picture of the page.
#[derive(Debug, thiserror::Error)]
pub enum ScreenshotError {
    #[error("there is no browser now")]
    NoBrowser,
    #[error("one is being taken")]
    UnderWay,
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl WorkerHandle {
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Gives the worker a newer spec: settings count from the next message on, a higher `restart_seq` restarts it.
    pub fn update(&self, spec: WorkerSpec) {
        self.specs.send_replace(spec);
    }

    /// Stops the worker and waits until its browser is dead. Stopping one that has ended returns at once; a stricter
    /// mode overtakes a graceful stop that is under way.
    pub async fn stop(&self, mode: StopMode) {
        // An error means that the worker ended by itself, which is what is asked for.
        let _ended_by_itself = self.commands.send(actor::WorkerCommand::Stop { mode }).await;
        self.ended().await;
    }

    /// Has the page loaded anew, if it runs.
    pub fn reload(&self) {
        // One with so many orders waiting, or that has ended, is not served by its page anyway.
        let _is_taken = self.commands.try_send(actor::WorkerCommand::Reload);
    }

    /// That the page works, as it has proved last; `None` while it has not.
    pub fn seen(&self) -> Option<Proof> {
        *self.seen.borrow()
    }

    /// The worker's state, for the supervisor and for people.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// The attempts to reconnect since the last good connection.
    pub fn attempts(&self) -> u32 {
        *self.attempts.borrow()
    }

    /// What the worker goes by, of the tenant or of its node.
    pub fn settings(&self) -> Vec<Setting> {
        self.timing.settings(&self.specs.borrow().tenant.settings.timing)
    }

    /// A graceful stop is over by then.
    pub fn stops_within(&self) -> Duration {
        self.timing.with(&self.specs.borrow().tenant.settings.timing).stops_within()
    }

    /// Messages that it took in and replies that it sent, in the last minute.
    pub fn messages_per_minute(&self) -> u32 {
        self.traffic.last_minute()
    }

    /// What came of the sends of the browser that it has.
    pub fn send_figures(&self) -> SendFigures {
        self.sends.figures()
    }

    /// What runs its session, if a browser does.
    pub async fn vitals(&self) -> Option<Vitals> {
        let page = self.page.borrow().clone()?;
        Some(page.vitals().await)
    }

    /// What the page shows, as a PNG. One at a time; the worker itself goes on meanwhile and knows nothing of it.
    pub async fn screenshot(&self) -> Result<Vec<u8>, ScreenshotError> {
        let _turn = self.picturing.try_lock().map_err(|_| ScreenshotError::UnderWay)?;
        let page = self.page.borrow().clone().ok_or(ScreenshotError::NoBrowser)?;
        Ok(page.screenshot().await?)
    }

    /// Waits until the worker has ended, for whatever reason; its browser is dead then.
    pub async fn ended(&self) -> WorkerEnd {
        let mut end = self.end.clone();
        let told = end.wait_for(Option::is_some).await.ok().and_then(|end| end.clone());
        // Whoever tells ends without a word only with the runtime.
        told.unwrap_or(WorkerEnd::Ended(Ending::Killed))
    }
}

impl fmt::Debug for WorkerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerHandle")
            .field("tenant", &self.tenant)
            .field("generation", &self.generation)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pictures_of_one_page_are_taken_one_at_a_time() {
        let (handle, _) = unserved::Unserved::handle(&TenantId::new("asha").unwrap());
        let held = handle.picturing.lock().await;
        assert!(matches!(handle.screenshot().await, Err(ScreenshotError::UnderWay)));
        drop(held);
        assert!(matches!(handle.screenshot().await, Err(ScreenshotError::NoBrowser)));
    }
}

//! The loop of a worker: waits for whatever happens next (see [`super::wakeups`]), gives it to the state machine and has the
//! effects performed (see [`super::perform`]). One task owns all of a worker's state, so nothing is locked and events have
//! one order.
//!
//! Nothing here waits for anything but the next event: what takes time runs as a future in one of two places. The slot
//! `browser_task` holds what is being done to the browser as a whole, one at a time; `background` are calls to the page and
//! questions to the registry, which end with the browser they were sent to.

use std::{sync::Arc, time::Duration};

use futures::{future::BoxFuture, stream::FuturesUnordered};
use roost_engine::{EngineError, Page, PageEvent, PairingCode, Probe};
use roost_store::{ConditionKind, Fence, PairingOrder, StatusReport, StoreError, WorkerSpec};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tracing::{Instrument, debug, info, info_span};
use uuid::Uuid;

use super::{
    browser::BrowserTask,
    context::WorkerContext,
    fault::Surroundings,
    launch_check::CallOff,
    liveness::Proof,
    planned_restart::PlannedRestart,
    report::Reporter,
    session_store::{SessionStore, SessionStoreError},
    snapshot_schedule::SnapshotSchedule,
    state::{Ending, Event, Machine, State, StopMode, WorkerTime, step},
    turn::Turn,
    warm_standby::WarmStandby,
};
use crate::{
    launch_queue::{LaunchPermit, Starts},
    pipeline::{Pipeline, SendTally, Traffic},
    resources::Meter,
};

/// The longest an ending worker waits for its last report.
const LAST_REPORT: Duration = Duration::from_secs(2);

/// What the supervisor wants of a worker.
pub(super) enum WorkerCommand {
    Stop {
        mode: StopMode,
    },
    /// Load the page anew, if it runs.
    Reload,
}

/// The worker's ends of its handle's channels.
pub(super) struct WorkerChannels {
    pub inbox: mpsc::Receiver<WorkerCommand>,
    pub spec: watch::Receiver<WorkerSpec>,
    pub seen: watch::Sender<Option<Proof>>,
    pub state: watch::Sender<State>,
    /// See [`Machine::attempts`].
    pub attempts: watch::Sender<u32>,
    pub traffic: Traffic,
    pub sends: SendTally,
    /// The page of the browser that runs, for whoever outlives this worker.
    pub page: watch::Sender<Option<Arc<dyn Page>>>,
}

/// Runs a worker to its end.
pub(super) async fn run(context: WorkerContext, channels: WorkerChannels) -> Ending {
    let Fence { tenant, generation } = &context.fence;
    let span = info_span!("worker", %tenant, %generation);
    Actor::new(context, channels).run().instrument(span).await
}

/// The browser as the actor holds it.
pub(super) struct Browser {
    pub page: Arc<dyn Page>,
    pub events: mpsc::Receiver<PageEvent>,
}

/// What came of a call in the background.
pub(super) enum BackgroundOutcome {
    Done,
    /// A call after which the page should have gone on.
    Failed {
        step: &'static str,
        error: EngineError,
    },
    /// The page's turn to be loaded anew.
    Turn(LaunchPermit),
    Probed {
        expects_session: bool,
        /// What was being started when it was asked.
        starts: Starts,
        probe: Result<Probe, EngineError>,
    },
    Owner(Option<bool>),
    PairingCode {
        order: PairingOrder,
        given: Result<PairingCode, EngineError>,
    },
    Saved {
        link: u64,
        saved: Result<bool, SessionStoreError>,
    },
    /// Whether the session's files are other than in the last snapshot.
    Looked(bool),
    /// That a session was taken back, and how often by now.
    Counted(Result<u64, StoreError>),
    AskedToForgetAgain,
}

pub(super) struct Actor {
    pub context: WorkerContext,
    pub channels: WorkerChannels,
    pub machine: Machine,
    pub begun: Instant,
    pub session: Arc<SessionStore>,
    pub reporter: Reporter,
    /// Whether the reporter's task still runs.
    pub reporting: bool,
    pub pipeline: Option<Pipeline>,
    pub snapshot_schedule: SnapshotSchedule,
    /// The count of messages up to which the schedule knows.
    pub changes: Option<watch::Receiver<u64>>,
    pub planned_restart: PlannedRestart,
    /// What the browser uses is looked at.
    pub meter: Option<Meter>,
    /// While the browser ends whose restart was waited for: the turn of the next one. So no more are down for that at once
    /// than may start at once, whatever their schedules say.
    pub restart_turn: Option<LaunchPermit>,
    /// See [`Pipeline::idle`].
    pub idle: Option<watch::Receiver<bool>>,
    /// See [`Pipeline::page_faults`].
    pub page_faults: Option<watch::Receiver<u32>>,
    /// Until the first launch, or until the session that it was to open is forgotten.
    pub warm: Option<WarmStandby>,
    pub browser: Option<Browser>,
    pub browser_task: Option<BrowserTask>,
    /// Of the launch under way, or the last one.
    pub call_off: CallOff,
    /// While the page is on its way to a session or a code.
    pub turn: Option<Turn>,
    pub background: FuturesUnordered<BoxFuture<'static, BackgroundOutcome>>,
    pub next_probe: Instant,
    pub probing: bool,
    /// The last restart that was carried out, or that the start of this worker stands for.
    pub restarted: i64,
    /// The last wish for a code to type that was passed on.
    pub pairing: Option<Uuid>,
    pub handle_dropped: bool,
    pub ending: Option<Ending>,
}

impl Actor {
    fn new(mut context: WorkerContext, channels: WorkerChannels) -> Self {
        let warm = context.warm.take();
        let spec = &context.spec;
        let session = SessionStore::new(
            &context.env,
            context.fence.clone(),
            spec,
            warm.as_ref().map(WarmStandby::profile),
        );
        // Any number that differs between tenants and between owners spreads the attempts.
        let seed = spec.tenant.uid.as_u64_pair().1 ^ context.fence.generation.0.unsigned_abs();
        let settings = &spec.tenant.settings;
        let machine = Machine::new(context.timing, &settings.phone, seed).with_settings(settings);
        Self {
            machine: if spec.snapshot.is_some() { machine.with_saved_session() } else { machine },
            begun: Instant::now(),
            session: Arc::new(session),
            reporter: Reporter::spawn(context.env.store.clone(), context.fence.clone()),
            reporting: true,
            pipeline: None,
            snapshot_schedule: SnapshotSchedule::new(context.timing),
            changes: None,
            planned_restart: PlannedRestart::new(context.timing.planned_restart, &spec.tenant),
            meter: None,
            restart_turn: None,
            idle: None,
            page_faults: None,
            warm,
            browser: None,
            browser_task: None,
            call_off: CallOff::default(),
            turn: None,
            background: FuturesUnordered::new(),
            next_probe: Instant::now(),
            probing: false,
            restarted: spec.restart_seq,
            pairing: None,
            handle_dropped: false,
            ending: None,
            context,
            channels,
        }
    }

    async fn run(mut self) -> Ending {
        info!("the worker begins");
        self.begin();
        let mut standing = self.context.standing.clone();
        // A watch tells only of changes; what stands now counts too.
        standing.mark_changed();
        loop {
            if let Some(ending) = self.ending {
                self.conclude(ending).await;
                return ending;
            }
            let wakeup = self.next(&mut standing).await;
            for event in self.interpret(wakeup) {
                self.apply(event);
            }
        }
    }

    fn begin(&mut self) {
        let spec = &self.context.spec;
        let (forget, scan_paused) = (spec.forget_session.then_some(spec.restart_mode), spec.scan_paused);
        // Before the browser: what an earlier owner left is read and answered while it launches.
        if !scan_paused {
            self.ensure_pipeline();
        }
        let pairing = self.pairing_asked();
        self.apply(Event::Begin { forget, scan_paused });
        if let Some(event) = pairing {
            self.apply(event);
        }
        // It was prepared before the scan was paused.
        if *self.machine.state() == State::ScanPaused
            && let Some(warm) = self.warm.take()
        {
            self.background.push(Box::pin(async move {
                warm.kill().await;
                BackgroundOutcome::Done
            }));
        }
    }

    /// Each wish once, however often the spec is read.
    pub fn pairing_asked(&mut self) -> Option<Event> {
        let order = self.context.spec.pairing.clone().filter(|order| self.pairing != Some(order.id))?;
        self.pairing = Some(order.id);
        Some(Event::PairingAsked(order))
    }

    /// Turns what happened into events of the state machine.
    fn apply(&mut self, event: Event) {
        let before = self.machine.state().clone();
        let is_tick = event == Event::Tick;
        let condition_before = self.machine.condition();
        let machine = self.machine.clone().amid(self.surroundings());
        let (machine, effects) = step(machine, event, self.now());
        self.machine = machine;
        let after = self.machine.state();
        if std::mem::discriminant(&before) != std::mem::discriminant(after) {
            let after_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            info!(from = %before, to = %after, after_ms, "the worker's state changed");
        }
        if before != *after {
            debug!(state = %after, "the worker's state is told");
            self.channels.state.send_replace(after.clone());
        }
        self.channels.attempts.send_replace(self.machine.attempts());
        if !self.may_restart() {
            self.planned_restart.put_off();
        }
        if !matches!(self.machine.state(), State::Stopping { .. }) {
            self.restart_turn = None;
        }
        if !self.machine.awaits_page() {
            self.end_turn(is_tick);
        }
        for effect in effects {
            self.perform(effect);
        }
        let condition = self.machine.condition();
        if condition != condition_before {
            let proof = (*self.channels.seen.borrow()).filter(|_| condition.0 == ConditionKind::Answering);
            let evident_for =
                proof.map(|proof| proof.evident_for(self.context.reported_every, std::time::Instant::now()));
            let condition = Some(condition);
            self.reporter.tell(StatusReport { condition, evident_for, ..StatusReport::default() });
        }
        self.set_gate();
    }

    /// Whether the restart that is due next may be made as things are.
    pub fn may_restart(&self) -> bool {
        match self.planned_restart.excess() {
            Some(_) => self.machine.may_restart_over_limit(),
            None => self.machine.may_restart(),
        }
    }

    /// The page is there, or has failed.
    fn end_turn(&mut self, is_overdue: bool) {
        let Some(turn) = self.turn.take() else { return };
        let times = &self.context.env.start_times;
        match self.machine.state() {
            State::QrReady { .. } | State::Connecting { .. } | State::Running { .. } => turn.succeeded(times),
            _ if is_overdue => turn.overdue(times),
            _ => {}
        }
    }

    fn surroundings(&self) -> Surroundings {
        let env = &self.context.env;
        let has_own_way = self.context.spec.proxy.is_some();
        let login = env.logins.of_another(&self.context.fence.tenant).filter(|_| !has_own_way);
        Surroundings {
            slowest_start: env.start_times.slowest(),
            is_impaired: env.impairments.any(),
            other_login: login.and_then(|at| at.checked_duration_since(self.begun)),
        }
    }

    pub fn now(&self) -> WorkerTime {
        self.begun.elapsed()
    }

    /// The end: the browser is dead.
    async fn conclude(mut self, ending: Ending) {
        drop(self.pipeline.take());
        self.background.clear();
        if let Some(warm) = self.warm.take() {
            warm.kill().await;
        }
        match ending {
            Ending::Stopped => self.reporter.flush(LAST_REPORT).await,
            Ending::Deleted => self.session.remove().await,
            Ending::Killed | Ending::NotOwner | Ending::Expired => {}
        }
        info!(?ending, "the worker has ended");
    }
}

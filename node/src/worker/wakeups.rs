//! What wakes a worker: whatever happens next, of all that can, and what it is as events of the state machine.

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::StreamExt;
use roost_cluster::lease_deadline::Standing;
use roost_engine::{EngineError, InboundMessage, PageEvent, Probe};
use roost_model::causes;
use roost_store::{Fence, StoreError};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::{debug, info, warn};

use super::{
    actor::{Actor, BackgroundOutcome, Browser, WorkerCommand},
    browser::{BrowserTask, BrowserTaskOutcome},
    fault::Failure,
    liveness::{self, Proof, Unproven},
    planned_restart::Clock,
    session_store::SessionStoreError,
    state::{Effect, Event, State, StopMode},
};
use crate::{
    launch_queue::Starts,
    pipeline::{Intake, Pipeline, PipelineError},
    resources::{Excess, Meter, Over, Urgency},
};

/// Since a page has proved that it works: longer it is not believed to be only slow, whatever starts beside it.
const LATE_AT_MOST: Duration = Duration::from_secs(300);

/// What woke the actor.
pub(super) enum Wakeup {
    Command(Option<WorkerCommand>),
    Spec,
    Standing,
    BrowserTask(BrowserTaskOutcome),
    Page(Option<PageEvent>),
    /// The pipeline had no room for messages, and has some again.
    RoomAgain,
    Background(BackgroundOutcome),
    PipelineEnded(PipelineError),
    ReportRefused,
    Changed,
    Idle,
    RestartDue,
    /// The browser uses too much, or does so no more.
    Excess,
    PageFaults,
    ProbeDue,
    SaveDue,
    LookDue,
    Tick,
}

impl Actor {
    /// Waits for the next thing to happen. Every branch may be dropped unfinished without losing anything.
    pub(super) async fn next(&mut self, standing: &mut watch::Receiver<Standing>) -> Wakeup {
        let now = Instant::now();
        let tick = self.machine.wake_at().map(|due| self.begun + due);
        let probe = (self.machine.wants_probes() && !self.probing).then_some(self.next_probe);
        let intake = self.pipeline.as_ref().map(|pipeline| pipeline.intake().clone());
        let may_save = self.machine.may_save();
        let save_due = self.snapshot_schedule.due().filter(|_| may_save);
        let save = save_due.map(|due| (self.begun + due).max(now));
        let look = self.snapshot_schedule.look_due().filter(|_| may_save).map(|due| self.begun + due);
        // By the clock as it is now, at each wake-up: a page that serves is probed every few seconds, so the timer follows the
        // clock wherever that is set.
        let is_good = *standing.borrow() == Standing::Good;
        let may_restart = self.may_restart() && is_good && self.context.env.launches.has_free();
        let clock = may_restart.then(|| self.clock());
        let restart = clock.and_then(|clock| self.planned_restart.due(clock)).map(|due| self.begun + due);
        tokio::select! {
            biased;
            // What ends the right to act comes first, what people ask for next.
            Ok(()) = standing.changed() => Wakeup::Standing,
            () = self.reporter.fenced(), if self.reporting => Wakeup::ReportRefused,
            error = ended(&mut self.pipeline) => Wakeup::PipelineEnded(error),
            command = self.channels.inbox.recv(), if !self.handle_dropped => Wakeup::Command(command),
            Ok(()) = self.channels.spec.changed() => Wakeup::Spec,
            outcome = done(&mut self.browser_task) => Wakeup::BrowserTask(outcome),
            event = page_event(&mut self.browser) => Wakeup::Page(event),
            () = room_again(intake) => Wakeup::RoomAgain,
            Some(outcome) = self.background.next() => Wakeup::Background(outcome),
            () = metered(&mut self.meter) => Wakeup::Excess,
            () = changed(&mut self.page_faults) => Wakeup::PageFaults,
            () = changed(&mut self.changes) => Wakeup::Changed,
            () = changed(&mut self.idle) => Wakeup::Idle,
            () = until(tick) => Wakeup::Tick,
            () = until(save) => Wakeup::SaveDue,
            () = until(probe) => Wakeup::ProbeDue,
            () = until(look) => Wakeup::LookDue,
            () = until(restart) => Wakeup::RestartDue,
        }
    }

    pub(super) fn interpret(&mut self, wakeup: Wakeup) -> Vec<Event> {
        match wakeup {
            Wakeup::Command(Some(WorkerCommand::Stop { mode })) => vec![Event::StopAsked(mode)],
            Wakeup::Command(Some(WorkerCommand::Reload)) => vec![Event::ReloadAsked],
            Wakeup::Command(None) => {
                self.handle_dropped = true;
                vec![Event::StopAsked(StopMode::Graceful)]
            }
            Wakeup::Spec => self.spec_changed(),
            Wakeup::Standing => self.standing_changed(),
            Wakeup::BrowserTask(outcome) => self.browser_task_ended(outcome),
            Wakeup::Page(Some(event)) => self.page_event(event),
            Wakeup::Page(None) => self.page_event(PageEvent::Exited { reason: "its events ended".into() }),
            Wakeup::RoomAgain => {
                // Else it is swept when it runs.
                if matches!(self.machine.state(), State::Running { .. }) {
                    self.sweep();
                }
                Vec::new()
            }
            Wakeup::Background(outcome) => self.background_ended(outcome),
            Wakeup::PipelineEnded(error) => self.pipeline_ended(&error),
            Wakeup::ReportRefused => {
                self.reporting = false;
                vec![Event::Fenced]
            }
            Wakeup::Changed => {
                self.snapshot_schedule.changed(self.now());
                self.planned_restart.moved(self.now());
                Vec::new()
            }
            Wakeup::Idle => {
                let is_idle = self.idle.as_mut().is_some_and(|idle| *idle.borrow_and_update());
                self.planned_restart.set_idle(is_idle, self.now());
                Vec::new()
            }
            Wakeup::RestartDue => self.restart_due(),
            Wakeup::Excess => self.excess(),
            Wakeup::PageFaults => self.page_faults(),
            Wakeup::ProbeDue => self.probe(),
            Wakeup::SaveDue => self.save(),
            Wakeup::LookDue => self.look(),
            Wakeup::Tick => vec![Event::Tick],
        }
    }

    fn restart_due(&mut self) -> Vec<Event> {
        if !self.planned_restart.is_now(self.clock()) {
            return Vec::new();
        }
        self.restart_turn = self.context.env.launches.take_if_free();
        let event = match self.planned_restart.excess() {
            Some(Excess { over: Over::Limit, told, .. }) => {
                Event::OverLimit { reason: told.clone(), at_once: false }
            }
            Some(Excess { over: Over::Request, told, .. }) => Event::MemoryNeeded { reason: told.clone() },
            None => Event::RestartScheduled,
        };
        self.restart_turn.is_some().then_some(event).into_iter().collect()
    }

    /// What serves is restarted at a quiet moment, if it can be waited for.
    fn excess(&mut self) -> Vec<Event> {
        let excess = self.meter.as_mut().and_then(Meter::excess);
        let serves = matches!(self.machine.state(), State::Running { .. });
        match excess {
            Some(excess) if serves && excess.urgency == Urgency::WhenQuiet => {
                info!(told = excess.told, "the browser uses too much, and is restarted at a quiet moment");
                self.planned_restart.set_excess(Some(excess));
                Vec::new()
            }
            // One that does not serve is about to be restarted anyway, or is on its way up.
            Some(Excess { over: Over::Request, .. }) | None => {
                self.planned_restart.set_excess(None);
                Vec::new()
            }
            Some(Excess { over: Over::Limit, urgency, told }) => {
                warn!(told, "the browser is over a limit, and is restarted");
                vec![Event::OverLimit { reason: told, at_once: urgency == Urgency::AtOnce }]
            }
        }
    }

    fn meter(&self, pid: u32) -> Meter {
        let Fence { tenant, .. } = &self.context.fence;
        self.context.env.resources.meter(tenant, pid, &self.context.spec.tenant.settings.limits)
    }

    fn clock(&self) -> Clock {
        Clock { now: self.now(), wall: SystemTime::now() }
    }

    fn spec_changed(&mut self) -> Vec<Event> {
        let spec = self.channels.spec.borrow_and_update().clone();
        self.machine = self.machine.clone().with_settings(&spec.tenant.settings);
        // Not only after a wait as long as it was before.
        self.next_probe = self.next_probe.min(Instant::now() + self.machine.timing().probe_every);
        if let Some(pipeline) = &self.pipeline {
            pipeline.update(Arc::new(spec.tenant.clone()));
        }
        self.planned_restart.change(&spec.tenant);
        if let Some(meter) = &self.meter {
            meter.set_limits(&spec.tenant.settings.limits);
        }
        let asked = spec.restart_seq > self.restarted;
        self.restarted = self.restarted.max(spec.restart_seq);
        if spec.restore_ordered {
            self.session.hear_of_restore();
        }
        let event = match spec.restore_ordered && !spec.forget_session {
            true => Event::RestoreAsked,
            false => Event::RestartAsked(spec.restart_mode),
        };
        self.context.spec = spec;
        // After the restart, which it may be that this needs.
        asked.then_some(event).into_iter().chain(self.pairing_asked()).collect()
    }

    fn standing_changed(&mut self) -> Vec<Event> {
        let standing = *self.context.standing.borrow_and_update();
        self.set_gate();
        if standing == Standing::Expired { vec![Event::StandingExpired] } else { Vec::new() }
    }

    fn browser_task_ended(&mut self, outcome: BrowserTaskOutcome) -> Vec<Event> {
        self.browser_task = None;
        match outcome {
            BrowserTaskOutcome::Launched(launched, permit) => {
                self.context.env.symptoms.launched();
                self.planned_restart.launched(SystemTime::now());
                self.meter = launched.pid.map(|pid| self.meter(pid));
                self.channels.page.send_replace(Some(launched.page.clone()));
                self.browser = Some(Browser { page: launched.page, events: launched.events });
                self.next_probe = Instant::now() + self.machine.timing().probe_every;
                self.begin_turn(permit);
                vec![Event::Launched]
            }
            BrowserTaskOutcome::LaunchFailed(error) => {
                let reason = causes(&error).to_string();
                if error.is_called_off() {
                    info!("the launch was called off");
                } else {
                    warn!(reason, "the browser did not launch");
                    // A tenant's own proxy says nothing of its node.
                    if error.failure() != Failure::ProxyAway {
                        self.context.env.symptoms.launch_failed(&self.context.fence.tenant);
                    }
                }
                vec![Event::LaunchFailed { reason, failure: error.failure() }]
            }
            BrowserTaskOutcome::Gone => {
                self.let_go_of_browser();
                vec![Event::BrowserGone]
            }
            BrowserTaskOutcome::LoggedOut { failure } => {
                self.let_go_of_browser();
                let failed = failure.map(|reason| Event::LogOutFailed { reason });
                failed.into_iter().chain([Event::BrowserGone]).collect()
            }
            BrowserTaskOutcome::Forgotten(Ok(())) => vec![Event::SessionForgotten],
            BrowserTaskOutcome::Forgotten(Err(error)) if error.is_fenced() => vec![Event::Fenced],
            BrowserTaskOutcome::Forgotten(Err(error)) => {
                warn!(error = %causes(&error), "the session is not forgotten yet");
                self.forget_again();
                Vec::new()
            }
        }
    }

    fn page_event(&mut self, event: PageEvent) -> Vec<Event> {
        match event {
            PageEvent::Message(message) => {
                self.hand_over(message);
                Vec::new()
            }
            PageEvent::SweepBegun => {
                if let Some(pipeline) = &self.pipeline {
                    pipeline.intake().begin_sweep();
                }
                Vec::new()
            }
            PageEvent::Loaded => vec![Event::Loaded],
            PageEvent::Qr { text, expires_in } => vec![Event::Code { text, expires_in }],
            PageEvent::Ready { phone } => vec![Event::Ready { phone }],
            // Of a phone that was logged out again nothing is kept.
            PageEvent::Account(account) => {
                if self.machine.is_linked() {
                    self.reporter.account(account);
                }
                Vec::new()
            }
            PageEvent::Online(false) => vec![Event::WentOffline],
            // What the page believes is no proof; it is asked for at once.
            PageEvent::Online(true) | PageEvent::StreamInfo(_) => {
                self.next_probe = Instant::now();
                Vec::new()
            }
            PageEvent::LoggedOut { reason } => vec![Event::LoggedOut { reason }],
            PageEvent::Conflict => vec![Event::Conflicted],
            PageEvent::Outdated => vec![Event::Outdated],
            PageEvent::TurnedAway { status } => vec![Event::TurnedAway { status }],
            PageEvent::Crashed { reason } => {
                vec![Event::Crashed { reason: format!("the page crashed: {reason}") }]
            }
            PageEvent::OverMemory { reason } => vec![Event::OverLimit { reason, at_once: true }],
            PageEvent::Exited { reason } => {
                // One that is being stopped is let go of when that has ended.
                if self.browser_task.is_none() {
                    self.let_go_of_browser();
                } else if let Some(browser) = &mut self.browser {
                    browser.events.close();
                }
                vec![Event::Exited { reason: format!("the browser ended: {reason}") }]
            }
        }
    }

    /// Without a pipeline, or room in it, a message is dropped: the page has not acknowledged it, and the sweep at the next
    /// start of the flow, or when there is room, finds it.
    fn hand_over(&self, message: InboundMessage) {
        if let Some(pipeline) = &self.pipeline
            && !pipeline.intake().offer(message)
        {
            debug!("the page tells more messages than it may; it is asked for them later");
        }
    }

    fn background_ended(&mut self, outcome: BackgroundOutcome) -> Vec<Event> {
        match outcome {
            BackgroundOutcome::Done => Vec::new(),
            BackgroundOutcome::Failed { step, error } => {
                warn!(error = %causes(&error), step, "the page did not do as told");
                vec![Event::Broke { reason: format!("{step} failed: {}", causes(&error)) }]
            }
            BackgroundOutcome::Turn(permit) => {
                self.begin_turn(permit);
                vec![Event::TurnTaken]
            }
            BackgroundOutcome::Probed { expects_session, starts, probe } => {
                self.probed(expects_session, starts, probe)
            }
            BackgroundOutcome::Owner(answer) => vec![Event::Owner(answer)],
            BackgroundOutcome::PairingCode { order, given } => self.pairing_code(order, given),
            BackgroundOutcome::Saved { link, saved } => self.saved(link, saved),
            BackgroundOutcome::Looked(has_changed) => {
                self.snapshot_schedule.looked(self.now(), has_changed);
                Vec::new()
            }
            BackgroundOutcome::Counted(counted) => self.counted(counted),
            BackgroundOutcome::AskedToForgetAgain => {
                self.perform(Effect::ForgetSession);
                Vec::new()
            }
        }
    }

    fn probed(
        &mut self,
        expects_session: bool,
        starts: Starts,
        probe: Result<Probe, EngineError>,
    ) -> Vec<Event> {
        self.probing = false;
        self.next_probe = Instant::now() + self.machine.timing().probe_every;
        if expects_session != self.machine.expects_session() {
            return Vec::new();
        }
        let verdict =
            probe.map_err(Unproven::from).and_then(|probe| liveness::check(&probe, expects_session));
        match verdict {
            Ok(()) => {
                self.channels.seen.send_replace(Some(Proof::now(self.machine.timing())));
                vec![Event::Proved]
            }
            Err(unproven) if unproven.is_late() && self.may_be_late(starts) => Vec::new(),
            Err(unproven) => vec![Event::Unproved { reason: causes(&unproven).to_string() }],
        }
    }

    /// A page is slow beside others that start, and no worse for it: it is not loaded anew, which would be one start more.
    fn may_be_late(&self, starts: Starts) -> bool {
        let was_well = self.channels.seen.borrow().is_some_and(|proof| proof.at.elapsed() < LATE_AT_MOST);
        was_well && starts.any_until(&self.context.env.launches.starts())
    }

    fn saved(&mut self, link: u64, saved: Result<bool, SessionStoreError>) -> Vec<Event> {
        match saved {
            Ok(_) => {
                self.snapshot_schedule.done();
                vec![Event::SessionSaved { link }]
            }
            Err(error) if error.is_fenced() => vec![Event::Fenced],
            Err(error) => {
                warn!(error = %causes(&error), "the session was not saved; it is tried again");
                self.context.env.symptoms.snapshot_failed();
                let is_overdue = self.snapshot_schedule.failed(self.now());
                let reason = format!("the session cannot be saved: {}", causes(&error));
                vec![Event::SessionNotSaved { reason, is_overdue }]
            }
        }
    }

    fn counted(&mut self, counted: Result<u64, StoreError>) -> Vec<Event> {
        match counted {
            Ok(conflicts) => info!(conflicts, "the conflict is counted"),
            Err(StoreError::Fenced { .. }) => return vec![Event::Fenced],
            Err(error) => warn!(error = %causes(&error), "a conflict was not counted"),
        }
        Vec::new()
    }

    fn page_faults(&mut self) -> Vec<Event> {
        let in_a_row = self.page_faults.as_ref().map_or(0, |page_faults| *page_faults.borrow());
        vec![if in_a_row == 0 { Event::SendsAcknowledged } else { Event::SendsUnacknowledged { in_a_row } }]
    }

    fn pipeline_ended(&mut self, error: &PipelineError) -> Vec<Event> {
        self.drop_pipeline();
        if error.is_fenced() {
            info!("a write of the pipeline was refused");
            return vec![Event::Fenced];
        }
        warn!(error = %causes(&error), "the pipeline ended");
        vec![Event::Broke { reason: causes(error).to_string() }]
    }

    /// The browser is gone, and with it everything that was asked of it.
    pub fn let_go_of_browser(&mut self) {
        self.browser = None;
        self.meter = None;
        self.channels.page.send_replace(None);
        self.background.clear();
        self.probing = false;
        self.snapshot_schedule.abandon();
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

async fn done(browser_task: &mut Option<BrowserTask>) -> BrowserTaskOutcome {
    match browser_task {
        Some(browser_task) => browser_task.await,
        None => pending().await,
    }
}

async fn page_event(browser: &mut Option<Browser>) -> Option<PageEvent> {
    match browser {
        Some(browser) if !browser.events.is_closed() || !browser.events.is_empty() => {
            browser.events.recv().await
        }
        _ => pending().await,
    }
}

async fn ended(pipeline: &mut Option<Pipeline>) -> PipelineError {
    match pipeline {
        Some(pipeline) => pipeline.failed().await,
        None => pending().await,
    }
}

async fn metered(meter: &mut Option<Meter>) {
    match meter {
        Some(meter) => meter.changed().await,
        None => pending().await,
    }
}

async fn room_again(intake: Option<Arc<Intake>>) {
    match intake {
        Some(intake) => intake.room_again().await,
        None => pending().await,
    }
}

async fn changed<T>(changes: &mut Option<watch::Receiver<T>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    pending().await
}

//! The loop of a worker: waits for whatever happens next, gives it to the state machine and has the effects performed
//! (see [`super::perform`]). One task owns all of a worker's state, so nothing is locked and events have one order.
//!
//! Nothing here waits for anything but the next event: what takes time runs as a future in one of two places. The slot
//! `operation` holds what is being done to the browser as a whole, one at a time; `errands` are calls to the page and
//! questions to the registry, which end with the browser they were sent to.

use std::{collections::VecDeque, future::pending, sync::Arc, time::Duration};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use roost_cluster::fence::Standing;
use roost_store::{Fence, WorkerSpec};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};
use tracing::{Instrument, info, info_span, warn};

use super::{
    StopMode, WorkerContext,
    browser::{Operation, Outcome},
    home::{Home, HomeError},
    report::Reporter,
    saver::Saver,
    state::{Effect, Ending, Event, Machine, Now, State, step},
};
use crate::{
    engine::{EngineError, InboundMessage, Page, PageEvent, Probe},
    pipeline::{Pipeline, PipelineError},
    worker::health,
};

/// The longest an ending worker waits for its last report.
const LAST_REPORT: Duration = Duration::from_secs(2);

/// What the supervisor wants of a worker.
pub(super) enum Order {
    /// `done` is dropped when the worker has ended.
    Stop { mode: StopMode, done: oneshot::Sender<()> },
}

/// The worker's ends of its handle's channels.
pub(super) struct Channels {
    pub inbox: mpsc::Receiver<Order>,
    pub spec: watch::Receiver<WorkerSpec>,
    pub seen: watch::Sender<Option<std::time::Instant>>,
    pub state: watch::Sender<State>,
}

/// Runs a worker to its end.
pub(super) async fn run(context: WorkerContext, channels: Channels) {
    let Fence { tenant, generation } = &context.fence;
    let span = info_span!("worker", %tenant, %generation);
    Actor::new(context, channels).live().instrument(span).await;
}

/// The browser as the actor holds it.
pub(super) struct Browser {
    pub page: Arc<dyn Page>,
    pub events: mpsc::Receiver<PageEvent>,
}

/// What came of an errand.
pub(super) enum Errand {
    Done,
    /// A call after which the page should have gone on.
    Failed { step: &'static str, error: EngineError },
    Probed { expects_session: bool, probe: Result<Probe, EngineError> },
    Swept(Vec<InboundMessage>),
    Owner(Option<bool>),
    Saved(Result<bool, HomeError>),
    AskedToForgetAgain,
}

pub(super) struct Actor {
    pub context: WorkerContext,
    pub channels: Channels,
    pub machine: Machine,
    pub begun: Instant,
    pub home: Arc<Home>,
    pub reporter: Reporter,
    /// Whether the reporter's task still runs.
    pub reporting: bool,
    pub pipeline: Option<Pipeline>,
    pub saver: Saver,
    /// The count of messages up to which the saver knows.
    pub changes: Option<watch::Receiver<u64>>,
    pub browser: Option<Browser>,
    pub operation: Option<Operation>,
    pub errands: FuturesUnordered<BoxFuture<'static, Errand>>,
    /// Messages on their way to a pipeline that is full.
    pub held: VecDeque<InboundMessage>,
    pub next_probe: Instant,
    pub probing: bool,
    /// The last restart that was carried out, or that the start of this worker stands for.
    restarted: i64,
    /// Those who wait for the end.
    stoppers: Vec<oneshot::Sender<()>>,
    orphaned: bool,
    pub ending: Option<Ending>,
}

/// What woke the actor.
enum Happening {
    Order(Option<Order>),
    Spec,
    Standing,
    Operation(Outcome),
    Page(Option<PageEvent>),
    /// The pipeline has room for a held message.
    Room,
    Errand(Errand),
    PipelineEnded(PipelineError),
    ReportRefused,
    Changed,
    ProbeDue,
    SaveDue,
    Tick,
}

impl Actor {
    fn new(context: WorkerContext, channels: Channels) -> Self {
        let spec = &context.spec;
        let home =
            Home::new(context.store.clone(), context.fence.clone(), context.vault.clone(), &context.profiles, spec);
        // Any number that differs between tenants and between owners spreads the attempts.
        let seed = spec.tenant.uid.as_u64_pair().1 ^ context.fence.generation.0.unsigned_abs();
        Self {
            machine: Machine::new(context.pace, &spec.tenant.phone, seed),
            begun: Instant::now(),
            home: Arc::new(home),
            reporter: Reporter::spawn(context.store.clone(), context.fence.clone()),
            reporting: true,
            pipeline: None,
            saver: Saver::new(context.pace),
            changes: None,
            browser: None,
            operation: None,
            errands: FuturesUnordered::new(),
            held: VecDeque::new(),
            next_probe: Instant::now(),
            probing: false,
            restarted: spec.restart_seq,
            stoppers: Vec::new(),
            orphaned: false,
            ending: None,
            context,
            channels,
        }
    }

    async fn live(mut self) {
        info!("the worker begins");
        // Before the browser: what an earlier owner left is read and answered while it launches.
        self.ensure_pipeline();
        let spec = &self.context.spec;
        self.apply(Event::Begin { forget: spec.forget_session.then_some(spec.restart_mode) });
        let mut standing = self.context.standing.clone();
        // A watch tells only of changes; what stands now counts too.
        standing.mark_changed();
        while self.ending.is_none() {
            let happening = self.next(&mut standing).await;
            for event in self.interpret(happening) {
                self.apply(event);
            }
        }
        self.conclude().await;
    }

    /// Waits for the next thing to happen. Every branch may be dropped unfinished without losing anything.
    async fn next(&mut self, standing: &mut watch::Receiver<Standing>) -> Happening {
        let now = Instant::now();
        let tick = self.machine.wake_at().map(|due| self.begun + due);
        let probe = (self.machine.wants_probes() && !self.probing).then_some(self.next_probe);
        let running = matches!(self.machine.state(), State::Running { .. });
        let intake = self.pipeline.as_ref().map(|pipeline| pipeline.intake().clone());
        let save = self.saver.due().filter(|_| running).map(|due| (self.begun + due).max(now));
        tokio::select! {
            biased;
            // What ends the right to act comes first, what people ask for next.
            Ok(()) = standing.changed() => Happening::Standing,
            () = self.reporter.fenced(), if self.reporting => Happening::ReportRefused,
            error = ended(&mut self.pipeline) => Happening::PipelineEnded(error),
            order = self.channels.inbox.recv(), if !self.orphaned => Happening::Order(order),
            Ok(()) = self.channels.spec.changed() => Happening::Spec,
            outcome = done(&mut self.operation) => Happening::Operation(outcome),
            event = page_event(&mut self.browser), if self.held.is_empty() => Happening::Page(event),
            () = room(intake), if !self.held.is_empty() => Happening::Room,
            Some(errand) = self.errands.next() => Happening::Errand(errand),
            () = changed(&mut self.changes) => Happening::Changed,
            () = until(tick) => Happening::Tick,
            () = until(save) => Happening::SaveDue,
            () = until(probe) => Happening::ProbeDue,
        }
    }

    /// Turns what happened into events of the state machine.
    fn interpret(&mut self, happening: Happening) -> Vec<Event> {
        match happening {
            Happening::Order(Some(Order::Stop { mode, done })) => {
                self.stoppers.push(done);
                vec![Event::StopAsked(mode)]
            }
            Happening::Order(None) => {
                self.orphaned = true;
                vec![Event::StopAsked(StopMode::Graceful)]
            }
            Happening::Spec => self.spec_changed(),
            Happening::Standing => self.standing_changed(),
            Happening::Operation(outcome) => self.operation_ended(outcome),
            Happening::Page(Some(event)) => self.page_event(event),
            Happening::Page(None) => self.page_event(PageEvent::Exited { reason: "its events ended".into() }),
            Happening::Room => self.hand_over(),
            Happening::Errand(errand) => self.errand_ended(errand),
            Happening::PipelineEnded(error) => self.pipeline_ended(&error),
            Happening::ReportRefused => {
                self.reporting = false;
                vec![Event::Fenced]
            }
            Happening::Changed => {
                self.saver.changed(self.now());
                Vec::new()
            }
            Happening::ProbeDue => self.probe(),
            Happening::SaveDue => self.save(),
            Happening::Tick => vec![Event::Tick],
        }
    }

    fn apply(&mut self, event: Event) {
        let before = self.machine.state().clone();
        let (machine, effects) = step(self.machine.clone(), event, self.now());
        self.machine = machine;
        let after = self.machine.state();
        if std::mem::discriminant(&before) != std::mem::discriminant(after) {
            info!(from = %before, to = %after, "the worker's state changed");
        }
        if before != *after {
            self.channels.state.send_replace(after.clone());
        }
        for effect in effects {
            self.perform(effect);
        }
        self.set_gate();
    }

    pub fn now(&self) -> Now {
        self.begun.elapsed()
    }

    fn spec_changed(&mut self) -> Vec<Event> {
        let spec = self.channels.spec.borrow_and_update().clone();
        self.machine = self.machine.clone().with_phone(&spec.tenant.phone);
        if let Some(pipeline) = &self.pipeline {
            pipeline.update(Arc::new(spec.tenant.clone()));
        }
        let asked = spec.restart_seq > self.restarted;
        self.restarted = self.restarted.max(spec.restart_seq);
        self.context.spec = spec;
        asked.then_some(Event::RestartAsked(self.context.spec.restart_mode)).into_iter().collect()
    }

    fn standing_changed(&mut self) -> Vec<Event> {
        let standing = *self.context.standing.borrow_and_update();
        self.set_gate();
        if standing == Standing::Expired { vec![Event::StandingExpired] } else { Vec::new() }
    }

    fn operation_ended(&mut self, outcome: Outcome) -> Vec<Event> {
        self.operation = None;
        match outcome {
            Outcome::Launched(launched) => {
                self.browser = Some(Browser { page: launched.page, events: launched.events });
                self.next_probe = Instant::now() + self.context.pace.probe_every;
                vec![Event::Launched]
            }
            Outcome::LaunchFailed(error) => {
                warn!(%error, "the browser did not launch");
                vec![Event::LaunchFailed { reason: error.to_string() }]
            }
            Outcome::Gone => {
                self.let_go_of_browser();
                vec![Event::BrowserGone]
            }
            Outcome::Forgotten(Ok(())) => vec![Event::SessionForgotten],
            Outcome::Forgotten(Err(error)) if error.is_fenced() => vec![Event::Fenced],
            Outcome::Forgotten(Err(error)) => {
                warn!(%error, "the session is not forgotten yet");
                self.forget_again();
                Vec::new()
            }
        }
    }

    fn page_event(&mut self, event: PageEvent) -> Vec<Event> {
        match event {
            PageEvent::Message(message) => {
                self.held.push_back(message);
                return self.hand_over();
            }
            PageEvent::Qr { text, expires_in } => vec![Event::Code { text, expires_in }],
            PageEvent::Ready { phone } => vec![Event::Ready { phone }],
            PageEvent::Online(false) => vec![Event::WentOffline],
            // What the page believes is no proof; it is asked for at once.
            PageEvent::Online(true) | PageEvent::StreamInfo(_) => {
                self.next_probe = Instant::now();
                Vec::new()
            }
            PageEvent::LoggedOut { reason } => vec![Event::LoggedOut { reason }],
            PageEvent::Conflict => vec![Event::Conflicted],
            PageEvent::Outdated => vec![Event::Outdated],
            PageEvent::Crashed { reason } => vec![Event::Broke { reason: format!("the page crashed: {reason}") }],
            PageEvent::Exited { reason } => {
                // One that is being stopped is let go of when that has ended.
                if self.operation.is_none() {
                    self.let_go_of_browser();
                } else if let Some(browser) = &mut self.browser {
                    browser.events.close();
                }
                vec![Event::Exited { reason: format!("the browser ended: {reason}") }]
            }
        }
    }

    /// Moves held messages on while the pipeline has room. Without a pipeline they are dropped: the page has not
    /// acknowledged them, and the sweep at the next start of the flow finds them.
    fn hand_over(&mut self) -> Vec<Event> {
        while let Some(message) = self.held.pop_front() {
            let Some(pipeline) = &self.pipeline else { continue };
            if let Err(mpsc::error::TrySendError::Full(message)) = pipeline.intake().try_send(message) {
                self.held.push_front(message);
                break;
            }
        }
        Vec::new()
    }

    fn errand_ended(&mut self, errand: Errand) -> Vec<Event> {
        match errand {
            Errand::Done => Vec::new(),
            Errand::Failed { step, error } => {
                warn!(%error, step, "the page did not do as told");
                vec![Event::Broke { reason: format!("{step} failed: {error}") }]
            }
            Errand::Probed { expects_session, probe } => self.probed(expects_session, probe),
            Errand::Swept(messages) => {
                self.held.extend(messages);
                self.hand_over()
            }
            Errand::Owner(answer) => vec![Event::Owner(answer)],
            Errand::Saved(saved) => self.saved(saved),
            Errand::AskedToForgetAgain => {
                self.perform(Effect::ForgetSession);
                Vec::new()
            }
        }
    }

    fn probed(&mut self, expects_session: bool, probe: Result<Probe, EngineError>) -> Vec<Event> {
        self.probing = false;
        self.next_probe = Instant::now() + self.context.pace.probe_every;
        if expects_session != self.machine.expects_session() {
            return Vec::new();
        }
        let verdict = match probe {
            Ok(probe) => health::judge(&probe, expects_session).map_err(|unproven| unproven.to_string()),
            Err(error) => Err(format!("the page does not answer: {error}")),
        };
        match verdict {
            Ok(()) => {
                self.channels.seen.send_replace(Some(std::time::Instant::now()));
                vec![Event::Proved]
            }
            Err(reason) => vec![Event::Unproved { reason }],
        }
    }

    fn saved(&mut self, saved: Result<bool, HomeError>) -> Vec<Event> {
        match saved {
            Ok(_) => self.saver.done(),
            Err(error) if error.is_fenced() => return vec![Event::Fenced],
            Err(error) => {
                warn!(%error, "the session was not saved; it is tried again");
                self.saver.failed(self.now());
            }
        }
        Vec::new()
    }

    fn pipeline_ended(&mut self, error: &PipelineError) -> Vec<Event> {
        self.pipeline = None;
        self.changes = None;
        if error.is_fenced() {
            info!("a write of the pipeline was refused");
            return vec![Event::Fenced];
        }
        warn!(%error, "the pipeline ended");
        vec![Event::Broke { reason: error.to_string() }]
    }

    /// The browser is gone, and with it everything that was asked of it.
    pub fn let_go_of_browser(&mut self) {
        self.browser = None;
        self.errands.clear();
        self.held.clear();
        self.probing = false;
        self.saver.abandon();
    }

    /// The end: the browser is dead. Whoever waits for that is told when `self` is dropped.
    async fn conclude(mut self) {
        let Some(ending) = self.ending else { return };
        drop(self.pipeline.take());
        self.errands.clear();
        match ending {
            Ending::Stopped => self.reporter.flush(LAST_REPORT).await,
            Ending::Deleted => self.home.remove().await,
            Ending::Killed | Ending::NotOwner | Ending::Expired => {}
        }
        info!(?ending, "the worker has ended");
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

async fn done(operation: &mut Option<Operation>) -> Outcome {
    match operation {
        Some(operation) => operation.await,
        None => pending().await,
    }
}

async fn page_event(browser: &mut Option<Browser>) -> Option<PageEvent> {
    match browser {
        Some(browser) if !browser.events.is_closed() || !browser.events.is_empty() => browser.events.recv().await,
        _ => pending().await,
    }
}

async fn ended(pipeline: &mut Option<Pipeline>) -> PipelineError {
    match pipeline {
        Some(pipeline) => pipeline.failed().await,
        None => pending().await,
    }
}

/// Waits until the pipeline takes a message, or is gone.
async fn room(intake: Option<mpsc::Sender<InboundMessage>>) {
    if let Some(intake) = intake {
        // An error says that it is closed; the message is then dealt with like one without a pipeline.
        let _permit = intake.reserve().await;
    }
}

async fn changed(changes: &mut Option<watch::Receiver<u64>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    pending().await
}

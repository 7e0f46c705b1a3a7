//! The loop of a worker: waits for whatever happens next (see [`super::wait`]), gives it to the state machine and has the
//! effects performed (see [`super::perform`]). One task owns all of a worker's state, so nothing is locked and events have
//! one order.
//!
//! Nothing here waits for anything but the next event: what takes time runs as a future in one of two places. The slot
//! `operation` holds what is being done to the browser as a whole, one at a time; `errands` are calls to the page and
//! questions to the registry, which end with the browser they were sent to.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{future::BoxFuture, stream::FuturesUnordered};
use roost_engine::{EngineError, InboundMessage, Page, PageEvent, Probe};
use roost_store::{Fence, StoreError, WorkerSpec};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tracing::{Instrument, info, info_span};

use super::{
    StopMode, WorkerContext,
    browser::Operation,
    home::{Home, HomeError},
    report::Reporter,
    saver::Saver,
    state::{Ending, Event, Machine, Now, State, step},
    warm::Warmed,
};
use crate::pipeline::Pipeline;

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
    Failed {
        step: &'static str,
        error: EngineError,
    },
    Probed {
        expects_session: bool,
        probe: Result<Probe, EngineError>,
    },
    Swept(Vec<InboundMessage>),
    Owner(Option<bool>),
    Saved {
        link: u64,
        saved: Result<bool, HomeError>,
    },
    /// That a session was taken back, and how often by now.
    Counted(Result<u64, StoreError>),
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
    /// Until the first launch, or until the session that it was to open is forgotten.
    pub warm: Option<Warmed>,
    pub browser: Option<Browser>,
    pub operation: Option<Operation>,
    pub errands: FuturesUnordered<BoxFuture<'static, Errand>>,
    /// Messages on their way to a pipeline that is full.
    pub held: VecDeque<InboundMessage>,
    pub next_probe: Instant,
    pub probing: bool,
    /// The last restart that was carried out, or that the start of this worker stands for.
    pub restarted: i64,
    /// Those who wait for the end.
    pub stoppers: Vec<oneshot::Sender<()>>,
    pub orphaned: bool,
    pub ending: Option<Ending>,
}

impl Actor {
    fn new(mut context: WorkerContext, channels: Channels) -> Self {
        let warm = context.warm.take();
        let spec = &context.spec;
        let home = Home::new(
            context.store.clone(),
            context.fence.clone(),
            context.vault.clone(),
            &context.profiles,
            spec,
            warm.as_ref().map(Warmed::profile),
        );
        // Any number that differs between tenants and between owners spreads the attempts.
        let seed = spec.tenant.uid.as_u64_pair().1 ^ context.fence.generation.0.unsigned_abs();
        let machine = Machine::new(context.pace, &spec.tenant.settings.phone, seed);
        Self {
            machine: if spec.snapshot.is_some() { machine.with_saved_session() } else { machine },
            begun: Instant::now(),
            home: Arc::new(home),
            reporter: Reporter::spawn(context.store.clone(), context.fence.clone()),
            reporting: true,
            pipeline: None,
            saver: Saver::new(context.pace),
            changes: None,
            warm,
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

    /// Turns what happened into events of the state machine.
    fn apply(&mut self, event: Event) {
        let before = self.machine.state().clone();
        let (machine, effects) = step(self.machine.clone(), event, self.now());
        self.machine = machine;
        let after = self.machine.state();
        if std::mem::discriminant(&before) != std::mem::discriminant(after) {
            let after_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            info!(from = %before, to = %after, after_ms, "the worker's state changed");
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

    /// The end: the browser is dead. Whoever waits for that is told when `self` is dropped.
    async fn conclude(mut self) {
        let Some(ending) = self.ending else { return };
        drop(self.pipeline.take());
        self.errands.clear();
        if let Some(warm) = self.warm.take() {
            warm.kill().await;
        }
        match ending {
            Ending::Stopped => self.reporter.flush(LAST_REPORT).await,
            Ending::Deleted => self.home.remove().await,
            Ending::Killed | Ending::NotOwner | Ending::Expired => {}
        }
        info!(?ending, "the worker has ended");
    }
}

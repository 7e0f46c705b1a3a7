//! A machine with a node on it: a guard, the process that it guards, and browsers that live and die by themselves.

mod browsers;
mod guard;
mod pipe;
mod runtime;
mod work;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use parking_lot::Mutex;
use roost_cluster::{
    clock::Clock,
    records::{NodeMemory, NodeRecord},
    registry::SharedRegistry,
};
use roost_model::ids::{Incarnation, NodeId};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    clock::{MachineClock, StoppedClock},
    dice::Dice,
    link::Link,
    process::Process,
    registry::LinkedRegistry,
    shared::Shared,
};
use browsers::Browsers;
use pipe::PipeReader;

/// What a tenant is taken to need. A machine's memory is full before its capacity is reached.
const REQUEST_BYTES: u64 = 100 << 20;

pub struct Machine {
    pub shared: Arc<Shared>,
    pub id: NodeId,
    zone: String,
    dice: Dice,
    clock: MachineClock,
    pub to_registry: Link,
    pub to_ledger: Link,
    /// The node's working process; the guard makes a new one for each life of it.
    child: Mutex<Process>,
    /// The machine as a whole: its guard.
    whole: Process,
    browsers: Browsers,
    child_killed: Notify,
    is_asleep: AtomicBool,
    /// The present guard's end of the pipe.
    pipe: Mutex<Option<Arc<Mutex<PipeReader>>>>,
    power: Mutex<Power>,
}

/// What a power cut ends.
#[derive(Default)]
struct Power {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Machine {
    pub fn new(shared: Arc<Shared>, id: NodeId, zone: String) -> Arc<Self> {
        let dice = shared.dice.of(id.as_str());
        let link = |name: &str| Link::new(dice.of(name), shared.weather.subscribe());
        Arc::new(Self {
            clock: MachineClock::draw(dice.of("clock")),
            to_registry: link("registry"),
            to_ledger: link("ledger"),
            child: Mutex::default(),
            whole: Process::default(),
            browsers: Browsers::new(shared.judge.clone(), id.clone(), shared.timing, dice.of("browsers")),
            child_killed: Notify::new(),
            is_asleep: AtomicBool::new(false),
            pipe: Mutex::default(),
            power: Mutex::default(),
            shared,
            id,
            zone,
            dice,
        })
    }

    /// SIGTERM to the guard.
    pub fn ask_to_stop(&self) {
        self.power.lock().stop.cancel();
    }

    /// Nothing of it goes on; nobody ends its lease.
    pub fn cut_power(&self) {
        self.child().kill();
        *self.power.lock() = Power::default();
        *self.pipe.lock() = None;
        self.browsers.vanish();
    }

    /// SIGKILL to the working process.
    pub fn kill_child(&self) {
        self.child_killed.notify_one();
    }

    /// SIGSTOP to the working process.
    pub fn freeze_child(&self) {
        self.child().freeze();
    }

    /// SIGCONT, which a machine that sleeps does not hear.
    pub fn thaw_child(&self) {
        if !self.is_asleep.load(Relaxed) {
            self.child().thaw();
        }
    }

    /// The machine sleeps, and its browsers with it: none of them does anything meanwhile.
    pub fn suspend(&self) {
        self.is_asleep.store(true, Relaxed);
        self.child().freeze();
        self.whole.freeze();
        self.browsers.suspend();
    }

    /// The guard's timer fires before anything else of the machine gets anywhere; the moment between is not judged.
    pub fn resume(&self) {
        if !self.is_asleep.swap(false, Relaxed) {
            return;
        }
        let pipe = self.pipe.lock().clone();
        let deadline = pipe.and_then(|pipe| pipe.lock().read().deadline);
        let is_over = deadline.is_some_and(|at| self.clock.now() >= at) && self.shared.guards.deadline;
        self.browsers.resume(!is_over);
        self.whole.thaw();
        self.child().thaw();
    }

    fn child(&self) -> Process {
        self.child.lock().clone()
    }

    fn registry(&self, process: &Process) -> LinkedRegistry {
        LinkedRegistry {
            store: self.shared.registry.clone(),
            link: self.to_registry.clone(),
            process: process.clone(),
            request_timeout: self.shared.timing.request_timeout,
            judge: self.shared.judge.clone(),
            guarded: true,
        }
    }

    fn child_registry(&self) -> SharedRegistry {
        Arc::new(self.registry(&self.child()))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        if self.shared.guards.deadline { Arc::new(self.clock) } else { Arc::new(StoppedClock) }
    }

    fn record(&self) -> NodeRecord {
        NodeRecord {
            node: self.id.clone(),
            incarnation: Incarnation(0),
            address: String::new(),
            capacity: 20,
            weight: 100,
            zone: self.zone.clone(),
            version: String::new(),
            leaving: false,
            rpc_address: String::new(),
            spare_browsers: 0,
            started_at_ms: 0,
            impairments: Vec::new(),
            memory: Some(NodeMemory {
                allocatable_bytes: 10 * REQUEST_BYTES,
                p95_bytes: Some(REQUEST_BYTES),
            }),
        }
    }
}

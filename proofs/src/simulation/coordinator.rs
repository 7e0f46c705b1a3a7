//! A process that stands as the controller, with the product's controller in it.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use parking_lot::Mutex;
use roost_cluster::{
    controller::{Controller, ControllerConfig},
    records::LeaderRecord,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    clock::MachineClock, link::Link, postgres::LinkedLedger, process::Process, registry::LinkedRegistry,
    shared::Shared,
};

pub struct Coordinator {
    shared: Arc<Shared>,
    pub name: String,
    pub process: Process,
    pub to_registry: Link,
    pub to_ledger: Link,
    clock: MachineClock,
    running: Mutex<Option<Running>>,
}

struct Running {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Coordinator {
    pub fn new(shared: Arc<Shared>, name: &str) -> Self {
        let dice = shared.dice.of(name);
        let link = |to: &str| Link::new(dice.of(to), shared.weather.subscribe());
        Self {
            to_registry: link("registry"),
            to_ledger: link("ledger"),
            clock: MachineClock::draw(dice.of("clock")),
            process: Process::default(),
            name: name.to_owned(),
            running: Mutex::default(),
            shared,
        }
    }

    /// Starts it, unless it runs.
    pub fn start(&self) {
        self.check();
        let mut running = self.running.lock();
        if running.as_ref().is_some_and(|running| !running.task.is_finished()) {
            return;
        }
        self.process.thaw();
        let stop = CancellationToken::new();
        let config = ControllerConfig {
            timing: self.shared.timing,
            candidate: LeaderRecord { holder: format!("coordinator/{}", self.name), address: String::new() },
            stale_after: Duration::from_secs(120),
            etcd_history: None,
            cluster: "simulated".to_owned(),
            adopt_store: false,
            clock: Arc::new(self.clock),
        };
        let controller = Controller::new(Arc::new(self.registry()), Arc::new(self.ledger()), config);
        let task = tokio::spawn(self.process.clone().run(controller.run(stop.clone())));
        *running = Some(Running { task, stop });
    }

    /// SIGKILL: its key stays until its lease ends.
    pub fn kill(&self) {
        self.check();
        if let Some(running) = self.running.lock().take() {
            running.task.abort();
        }
    }

    /// SIGTERM.
    pub fn resign(&self) {
        if let Some(running) = self.running.lock().as_ref() {
            running.stop.cancel();
        }
    }

    /// A controller never ends by itself.
    pub fn check(&self) {
        let mut running = self.running.lock();
        if let Some(running) = running.as_mut().filter(|running| running.task.is_finished())
            && let Some(Err(error)) = (&mut running.task).now_or_never()
        {
            self.shared.judge.violated(&format!("{} has ended: {error}", self.name));
        }
        running.take_if(|running| running.task.is_finished());
    }

    fn registry(&self) -> LinkedRegistry {
        LinkedRegistry {
            store: self.shared.registry.clone(),
            link: self.to_registry.clone(),
            process: self.process.clone(),
            request_timeout: self.shared.timing.request_timeout,
            judge: self.shared.judge.clone(),
            guarded: self.shared.guards.commit,
        }
    }

    fn ledger(&self) -> LinkedLedger {
        LinkedLedger {
            postgres: self.shared.postgres.clone(),
            link: self.to_ledger.clone(),
            process: self.process.clone(),
            timeout: self.shared.timing.ledger_timeout * 2,
        }
    }
}

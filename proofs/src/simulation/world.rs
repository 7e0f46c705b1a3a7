//! One seed's cluster, from its first start to the verdict.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use roost_cluster::{registry::MemoryRegistry, timing::Timing};
use roost_model::ids::{NodeId, OperationId, TenantId};
use tokio::{sync::watch, time::sleep};

use super::{
    coordinator::Coordinator, dice::Dice, faults::Order, guards::Guards, judge::Judge, link::Weather,
    node::Machine, postgres::Postgres, shared::Shared,
};

/// In which everything runs again once nothing is broken any more, in TTLs: at the worst a request of the storm is two TTLs
/// on its way, the leader's lease has to end, then a node's, and each is followed by a start.
const RECOVERY_TTLS: u32 = 8;

pub struct World {
    pub shared: Arc<Shared>,
    pub machines: Vec<Arc<Machine>>,
    pub retired: BTreeSet<usize>,
    pub coordinators: Vec<Coordinator>,
    /// Those that there were; some have been removed.
    pub tenants: Vec<TenantId>,
    pub operations: Vec<(Order, OperationId)>,
}

/// How a seed went.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub seed: u64,
    pub violations: Vec<String>,
    pub digest: u64,
    /// Of simulated time.
    pub lasted: Duration,
    /// From the end of the storm until everything ran again.
    pub recovered_in: Duration,
    pub browsers: u64,
    pub history: String,
}

/// Runs a seed, on a runtime of its own.
pub fn run(seed: u64, guards: Guards, verbose: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let mut world = World::build(seed, guards, verbose);
        let recovered_in = world.live().await;
        let judge = &world.shared.judge;
        Outcome {
            seed,
            violations: judge.violations(),
            digest: judge.digest(),
            lasted: judge.now(),
            recovered_in,
            browsers: judge.opened_count(),
            history: judge.history(),
        }
    })
}

impl World {
    fn build(seed: u64, guards: Guards, verbose: bool) -> Self {
        let dice = Dice::of_seed(seed);
        let ttl = Duration::from_secs(if dice.of("ttl").below(2) == 0 { 2 } else { 5 });
        let judge = Arc::new(Judge::new(verbose));
        let shared = Arc::new(Shared {
            dice,
            timing: Timing::from_ttl(ttl).expect("a usable TTL"),
            guards,
            registry: Arc::new(MemoryRegistry::new("memory")),
            postgres: Arc::new(Postgres::new(judge.clone(), guards)),
            judge,
            weather: watch::Sender::new(Weather::Calm),
        });
        let names = ["one", "two", "three"];
        let coordinators = 2 + usize::from(dice.of("coordinators").below(4) == 0);
        let mut world = Self {
            coordinators: names[..coordinators]
                .iter()
                .map(|name| Coordinator::new(shared.clone(), name))
                .collect(),
            machines: Vec::new(),
            retired: BTreeSet::new(),
            tenants: Vec::new(),
            operations: Vec::new(),
            shared,
        };
        (0..3).for_each(|_| world.add_machine());
        (0..4 + dice.of("tenants").below(3)).for_each(|_| world.add_tenant());
        world
    }

    /// Peace, storm, calm. Answers with how long it took until everything ran again.
    async fn live(&mut self) -> Duration {
        self.coordinators.iter().for_each(Coordinator::start);
        self.until_all_is_well().await;
        self.weather_the_storm().await;
        let recovered_in = self.until_all_is_well().await;
        self.coordinators.iter().for_each(Coordinator::check);
        recovered_in
    }

    async fn until_all_is_well(&self) -> Duration {
        let since = self.shared.judge.now();
        loop {
            let (wanted, waited) = (self.wanted(), self.shared.judge.now() - since);
            let (live, useful) = (self.shared.judge.live(), self.shared.judge.useful());
            let running = self.running_operations();
            if live == wanted && useful == wanted && running.is_empty() {
                return waited;
            }
            if waited > self.shared.timing.ttl * RECOVERY_TTLS {
                self.shared.judge.violated(&format!(
                    "not all is well after {waited:?}: wanted {wanted:?}, live {live:?}, useful {useful:?}, running {running:?}"
                ));
                return waited;
            }
            if !self.shared.judge.violations().is_empty() {
                return waited;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The tenants that should run.
    fn wanted(&self) -> BTreeSet<TenantId> {
        let running = |tenant: &&TenantId| {
            self.shared.postgres.ledger.desired(tenant).is_some_and(|demand| demand.running)
        };
        self.tenants.iter().filter(running).cloned().collect()
    }

    pub fn add_machine(&mut self) {
        let number = self.machines.len();
        let id = NodeId::new(&format!("n{number}")).expect("an id");
        let zone = format!("z{}", number % 2);
        let machine = Machine::new(self.shared.clone(), id, zone);
        machine.start();
        self.machines.push(machine);
    }

    pub fn start_machine(&self, number: usize) {
        if !self.retired.contains(&number) {
            self.machines[number].start();
        }
    }

    /// One machine at most, so that the others have room for all tenants.
    pub fn retire(&mut self, number: usize) {
        if self.retired.is_empty() {
            self.retired.insert(number);
            self.machines[number].ask_to_stop();
        }
    }

    pub fn add_tenant(&mut self) {
        let tenant = TenantId::new(&format!("t{}", self.tenants.len())).expect("an id");
        self.shared.postgres.ledger.add(&tenant, true);
        self.tenants.push(tenant);
        self.shared.postgres.changed();
    }

    pub fn remove_tenant(&mut self, number: usize) {
        self.shared.postgres.ledger.remove(&self.tenants[number]);
        self.shared.postgres.changed();
    }

    pub fn set_running(&mut self, number: usize, running: bool) {
        self.shared.postgres.ledger.set_running(&self.tenants[number], running);
        self.shared.postgres.changed();
    }
}

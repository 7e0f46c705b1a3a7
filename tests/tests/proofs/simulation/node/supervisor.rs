//! The tenants that this life holds, and those that it prepares for. The decisions are the product's (`steps`), and so is
//! the order of acknowledgement and launch; what runs is a tenure of the simulation, and a preparation takes time only.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use roost_cluster::{
    ids::{Generation, Incarnation, TenantId},
    records::{AckRecord, HeldTenant},
};
use roost_node::{
    host::{
        acks::{Acks, Published},
        assignments::Assigned,
        reconcile::{Held, Now, Preparing, Step, steps},
    },
    worker::StopMode,
};
use tokio::{sync::watch, task::JoinSet, time::sleep};

use super::tenure::{Post, Tenure};

/// For fetching a snapshot and starting a browser, at the worst that the simulation has.
const PREPARED_WITHIN: Duration = Duration::from_millis(800);

pub struct Supervisor {
    post: Arc<Post>,
    incarnation: Incarnation,
    acks: Acks,
    assigned: Assigned,
    leaving: bool,
    tenures: BTreeMap<TenantId, Running>,
    preparations: BTreeMap<TenantId, Prospect>,
    tasks: JoinSet<Done>,
}

enum Done {
    Tenure(TenantId),
    /// The preparation under that generation.
    Prepared(TenantId, Generation),
    Undone(TenantId),
}

struct Running {
    held: Held,
    stop: watch::Sender<Option<StopMode>>,
}

struct Prospect {
    generation: Generation,
    is_ready: bool,
    is_ending: bool,
}

impl Supervisor {
    pub fn new(post: Arc<Post>, incarnation: Incarnation, acks: Acks) -> Self {
        Self {
            post,
            incarnation,
            acks,
            assigned: Assigned::default(),
            leaving: false,
            tenures: BTreeMap::new(),
            preparations: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.tenures.is_empty()
    }

    pub fn assign(&mut self, assigned: Assigned) {
        self.assigned = assigned;
        self.reconcile();
    }

    pub fn leave(&mut self) {
        self.leaving = true;
        self.tenures.values_mut().for_each(|running| running.stop(StopMode::Graceful));
        let preparing: Vec<TenantId> = self.preparations.keys().cloned().collect();
        preparing.into_iter().for_each(|tenant| self.undo(tenant));
    }

    /// Waits for the next thing to be done and acknowledges it. Never resolves while there is none.
    pub async fn progress(&mut self) {
        match self.tasks.join_next().await {
            Some(done) => {
                self.take(done.expect("a tenure or a preparation"));
                self.reconcile();
            }
            None => std::future::pending().await,
        }
    }

    /// Acknowledges nothing.
    pub async fn kill_all(&mut self) {
        self.leaving = true;
        self.tenures.values_mut().for_each(|running| running.stop(StopMode::Kill));
        while let Some(done) = self.tasks.join_next().await {
            self.take(done.expect("a tenure or a preparation"));
        }
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Tenure(tenant) => drop(self.tenures.remove(&tenant)),
            Done::Prepared(tenant, generation) => {
                // It may have been given up, and another begun.
                let prospect = self.preparations.get_mut(&tenant);
                if let Some(prospect) = prospect.filter(|prospect| prospect.generation == generation) {
                    prospect.is_ready = true;
                }
            }
            Done::Undone(tenant) => drop(self.preparations.remove(&tenant)),
        }
    }

    fn reconcile(&mut self) {
        let mut begun = Vec::new();
        for step in steps(&self.now(), &self.assigned.entries, self.leaving) {
            match step {
                Step::Begin { tenant, generation, spec_revision } => {
                    let held = Held { generation, spec_revision, stopping: None };
                    self.tenures.insert(tenant.clone(), Running { held, stop: watch::Sender::new(None) });
                    begun.push(tenant);
                }
                Step::Look { tenant, spec_revision } => {
                    self.tenures
                        .entry(tenant)
                        .and_modify(|running| running.held.spec_revision = spec_revision);
                }
                Step::Stop { tenant, mode } => {
                    self.tenures.entry(tenant).and_modify(|running| running.stop(mode));
                }
                Step::Prepare { tenant, generation } => self.prepare(tenant, generation),
                Step::Forget { tenant } => self.undo(tenant),
            }
        }
        for tenant in &begun {
            self.preparations.remove(tenant);
        }
        let published = self.acks.publish(self.ack());
        for tenant in begun {
            self.begin(tenant, published.clone());
        }
    }

    fn now(&self) -> Now {
        let held = self.tenures.iter().map(|(tenant, running)| (tenant.clone(), running.held));
        let preparing = self.preparations.iter().map(|(tenant, prospect)| {
            let preparing = Preparing { generation: prospect.generation, ending: prospect.is_ending };
            (tenant.clone(), preparing)
        });
        Now { held: held.collect(), preparing: preparing.collect() }
    }

    fn begin(&mut self, tenant: TenantId, published: Published) {
        let Some(running) = self.tenures.get(&tenant) else { return };
        let tenure = Tenure {
            post: self.post.clone(),
            tenant,
            generation: running.held.generation,
            published,
            stop: running.stop.subscribe(),
        };
        let run = async move { Done::Tenure(tenure.run().await) };
        self.tasks.spawn(self.post.process.clone().run(run));
    }

    fn prepare(&mut self, tenant: TenantId, generation: Generation) {
        let dice = self.post.machine.dice.of("prepare").of(tenant.as_str()).nth(generation.0 as u64);
        let takes = dice.between(Duration::ZERO, PREPARED_WITHIN);
        self.preparations.insert(tenant.clone(), Prospect { generation, is_ready: false, is_ending: false });
        let run = async move {
            sleep(takes).await;
            Done::Prepared(tenant, generation)
        };
        self.tasks.spawn(self.post.process.clone().run(run));
    }

    /// Its browser takes a moment to die.
    fn undo(&mut self, tenant: TenantId) {
        let Some(prospect) = self.preparations.get_mut(&tenant).filter(|prospect| !prospect.is_ending) else {
            return;
        };
        prospect.is_ending = true;
        let takes = self.post.machine.shared.timing.kill_time / 2;
        let run = async move {
            sleep(takes).await;
            Done::Undone(tenant)
        };
        self.tasks.spawn(self.post.process.clone().run(run));
    }

    fn ack(&self) -> AckRecord {
        let named = |tenant: &TenantId, generation| HeldTenant { tenant: tenant.clone(), generation };
        let held = self.tenures.iter().map(|(tenant, running)| named(tenant, running.held.generation));
        let prepared =
            self.preparations.iter().filter(|(_, prospect)| prospect.is_ready && !prospect.is_ending);
        let prepared = prepared.map(|(tenant, prospect)| named(tenant, prospect.generation));
        AckRecord {
            incarnation: self.incarnation,
            applied: self.assigned.revision,
            held: held.collect(),
            prepared: prepared.collect(),
        }
    }
}

impl Running {
    fn stop(&mut self, mode: StopMode) {
        if self.held.stopping != Some(StopMode::Kill) {
            self.held.stopping = Some(mode);
            self.stop.send_replace(Some(mode));
        }
    }
}

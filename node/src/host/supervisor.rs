//! The tenants that this life of the node holds: begins and ends tenures as the assignments say, and keeps the published
//! acknowledgement true. One loop, so no two decisions about a tenant are made at once.

use std::{collections::BTreeMap, sync::Arc};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use roost_cluster::records::{AckRecord, HeldTenant};
use roost_model::ids::{Generation, Incarnation, SpecRevision, TenantId};
use roost_store::Fence;
use tokio::{
    sync::{oneshot, watch},
    task::{JoinError, JoinSet},
};

use super::{
    acks::{Acks, Published},
    assignments::Assigned,
    crew::{Charge, Crew, Errand, Fate},
    reconcile::{Held, Now, Preparing, Step, steps},
};
use crate::worker::StopMode;

pub struct Supervisor<C: Crew> {
    crew: Arc<C>,
    incarnation: Incarnation,
    acks: Acks,
    assigned: Assigned,
    leaving: bool,
    tenures: BTreeMap<TenantId, Running>,
    preparations: BTreeMap<TenantId, Prospect<C::Warmed>>,
    tasks: JoinSet<Done>,
}

enum Done {
    Tenure(TenantId),
    Preparation(TenantId),
}

/// A preparation's strings.
struct Prospect<W> {
    /// The owner's when it was begun.
    generation: Generation,
    ready: watch::Receiver<bool>,
    /// As it was acknowledged.
    is_ready: bool,
    /// None once it has been told that it is given up.
    fate: Option<oneshot::Sender<Fate<W>>>,
}

/// A tenure's strings.
struct Running {
    held: Held,
    spec_revision: watch::Sender<SpecRevision>,
    stop: watch::Sender<Option<StopMode>>,
}

impl<C: Crew> Supervisor<C> {
    pub fn new(crew: Arc<C>, incarnation: Incarnation, acks: Acks) -> Self {
        Self {
            crew,
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

    /// Takes a newer record in.
    pub fn assign(&mut self, assigned: Assigned) {
        self.assigned = assigned;
        self.reconcile();
    }

    /// Begins nothing more, and stops everything; [`Supervisor::progress`] tells of each.
    pub fn leave(&mut self) {
        self.leaving = true;
        self.stop_all(StopMode::Graceful);
        for preparing in self.preparations.values_mut() {
            preparing.give_up();
        }
    }

    pub fn stop_all(&mut self, mode: StopMode) {
        for running in self.tenures.values_mut() {
            running.stop(mode);
        }
    }

    /// Waits for the next tenure or preparation to end, or preparation to be ready, and acknowledges it. Never resolves while
    /// there is none; may be cancelled.
    pub async fn progress(&mut self) {
        let ready = self.preparations.values_mut().filter(|preparing| !preparing.is_ready);
        let mut ready: FuturesUnordered<_> = ready.map(Prospect::readiness).collect();
        let ended = tokio::select! {
            Some(ended) = self.tasks.join_next() => ended,
            Some(()) = ready.next() => {
                drop(ready);
                for preparing in self.preparations.values_mut() {
                    preparing.is_ready = *preparing.ready.borrow();
                }
                drop(self.acks.publish(self.ack()));
                return;
            }
            else => return std::future::pending().await,
        };
        drop(ready);
        self.forget(ended);
        self.reconcile();
    }

    /// Kills every worker and returns when all browsers are dead. Nothing is acknowledged: the lease is no more.
    pub async fn kill_all(&mut self) {
        self.leaving = true;
        self.stop_all(StopMode::Kill);
        for preparing in self.preparations.values_mut() {
            preparing.give_up();
        }
        while let Some(ended) = self.tasks.join_next().await {
            self.forget(ended);
        }
    }

    fn forget(&mut self, ended: Result<Done, JoinError>) {
        match ended {
            Ok(Done::Tenure(tenant)) => drop(self.tenures.remove(&tenant)),
            // One that was handed over is the tenure's.
            Ok(Done::Preparation(tenant)) => drop(self.preparations.remove(&tenant)),
            Err(error) => propagate(error),
        }
    }

    fn reconcile(&mut self) {
        let mut begun = Vec::new();
        for step in steps(&self.now(), &self.assigned.entries, self.leaving) {
            match step {
                Step::Begin { tenant, generation, spec_revision } => {
                    let running = Running::new(Held { generation, spec_revision, stopping: None });
                    self.tenures.insert(tenant.clone(), running);
                    begun.push(tenant);
                }
                Step::Look { tenant, spec_revision } => {
                    self.tenures.entry(tenant).and_modify(|running| running.look(spec_revision));
                }
                Step::Stop { tenant, mode } => {
                    self.tenures.entry(tenant).and_modify(|running| running.stop(mode));
                }
                Step::Prepare { tenant, generation } => self.prepare(tenant, generation),
                Step::Forget { tenant } => {
                    self.preparations.entry(tenant).and_modify(Prospect::give_up);
                }
            }
        }
        // Taken out before the state is published: from here on they are held.
        let begun: Vec<_> = begun
            .into_iter()
            .map(|tenant| {
                let prospect = self.preparations.remove(&tenant);
                (tenant, prospect)
            })
            .collect();
        // Held first, launched after: the tenures wait for this write.
        let published = self.acks.publish(self.ack());
        for (tenant, prospect) in begun {
            self.begin(tenant, prospect, published.clone());
        }
    }

    fn begin(&mut self, tenant: TenantId, prospect: Option<Prospect<C::Warmed>>, published: Published) {
        let Some(running) = self.tenures.get(&tenant) else { return };
        let generation = running.held.generation;
        if let Some(prospect) = &prospect {
            // `steps` sees to it; a mistake there must not open the session beside its owner's browser.
            assert!(
                generation > prospect.generation,
                "I1: {tenant} was prepared under {}, begun as {generation}",
                prospect.generation
            );
        }
        tracing::info!(%tenant, %generation, prepared = prospect.is_some(), "a tenant is assigned to this node");
        let charge = Charge {
            fence: Fence { tenant: tenant.clone(), generation },
            published,
            warm: prospect.and_then(Prospect::hand_over),
            spec_revision: running.spec_revision.subscribe(),
            stop: running.stop.subscribe(),
        };
        let tenure = self.crew.tenure(charge);
        self.tasks.spawn(tenure.map(|()| Done::Tenure(tenant)));
    }

    fn prepare(&mut self, tenant: TenantId, generation: Generation) {
        let (fate_tx, fate) = oneshot::channel();
        let (ready_tx, ready) = watch::channel(false);
        let preparation =
            self.crew.preparation(Errand { tenant: tenant.clone(), generation, ready: ready_tx, fate });
        let done = Done::Preparation(tenant.clone());
        self.tasks.spawn(preparation.map(|()| done));
        let prospect = Prospect { generation, ready, is_ready: false, fate: Some(fate_tx) };
        self.preparations.insert(tenant, prospect);
    }

    fn now(&self) -> Now {
        let held = self.tenures.iter().map(|(tenant, running)| (tenant.clone(), running.held));
        let preparing = self.preparations.iter().map(|(tenant, prospect)| {
            let preparing = Preparing { generation: prospect.generation, ending: prospect.fate.is_none() };
            (tenant.clone(), preparing)
        });
        Now { held: held.collect(), preparing: preparing.collect() }
    }

    fn ack(&self) -> AckRecord {
        let held = self.tenures.iter();
        let held = held.map(|(tenant, running)| HeldTenant {
            tenant: tenant.clone(),
            generation: running.held.generation,
        });
        let prepared =
            self.preparations.iter().filter(|(_, prospect)| prospect.is_ready && prospect.fate.is_some());
        let prepared = prepared
            .map(|(tenant, prospect)| HeldTenant { tenant: tenant.clone(), generation: prospect.generation });
        AckRecord {
            incarnation: self.incarnation,
            applied: self.assigned.revision,
            held: held.collect(),
            prepared: prepared.collect(),
        }
    }
}

impl<W> Prospect<W> {
    fn readiness(&mut self) -> impl Future<Output = ()> + use<'_, W> {
        // An error says that it has ended, which is told by itself.
        self.ready.wait_for(|ready| *ready).map(drop)
    }

    fn give_up(&mut self) {
        if let Some(fate) = self.fate.take() {
            drop(fate.send(Fate::GiveUp));
        }
    }

    /// What the tenure is to wait for.
    fn hand_over(mut self) -> Option<oneshot::Receiver<Option<W>>> {
        let (to, warm) = oneshot::channel();
        drop(self.fate.take()?.send(Fate::HandOver(to)));
        Some(warm)
    }
}

impl Running {
    fn new(held: Held) -> Self {
        Self { held, spec_revision: watch::Sender::new(held.spec_revision), stop: watch::Sender::new(None) }
    }

    fn look(&mut self, spec_revision: SpecRevision) {
        self.held.spec_revision = spec_revision;
        self.spec_revision.send_replace(spec_revision);
    }

    fn stop(&mut self, mode: StopMode) {
        // Never gentler than before.
        if self.held.stopping != Some(StopMode::Kill) {
            self.held.stopping = Some(mode);
            self.stop.send_replace(Some(mode));
        }
    }
}

/// Whether the browser of a tenure that panicked is dead is unknown, so this process may not go on: the guard kills
/// what is left and starts anew. A cancelled one cannot be, for nobody cancels them.
fn propagate(error: JoinError) {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => unreachable!("a tenure was cancelled: {error}"),
    }
}

//! The tenants that this life of the node holds: begins and ends tenures as the assignments say, and keeps the published
//! acknowledgement true. One loop, so no two decisions about a tenant are made at once.

use std::{collections::BTreeMap, sync::Arc};

use roost_cluster::{
    ids::{Incarnation, SpecRevision, TenantId},
    records::{AckRecord, HeldTenant},
};
use roost_store::Fence;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};

use super::{
    acks::{Acks, Published},
    assignments::Assigned,
    reconcile::{Held, Step, steps},
    tenure::{Shared, Tenure},
};
use crate::worker::StopMode;

pub(super) struct Supervisor {
    shared: Arc<Shared>,
    incarnation: Incarnation,
    acks: Acks,
    assigned: Assigned,
    leaving: bool,
    tenures: BTreeMap<TenantId, Running>,
    tasks: JoinSet<TenantId>,
}

/// A tenure's strings.
struct Running {
    held: Held,
    spec_revision: watch::Sender<SpecRevision>,
    stop: watch::Sender<Option<StopMode>>,
}

impl Supervisor {
    pub(super) fn new(shared: Arc<Shared>, incarnation: Incarnation, acks: Acks) -> Self {
        Self {
            shared,
            incarnation,
            acks,
            assigned: Assigned::default(),
            leaving: false,
            tenures: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tenures.is_empty()
    }

    /// Takes a newer record in.
    pub(super) fn assign(&mut self, assigned: Assigned) {
        self.assigned = assigned;
        self.reconcile();
    }

    /// Begins nothing more, and stops everything; [`Supervisor::ended`] tells of each.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.stop_all(StopMode::Graceful);
    }

    pub(super) fn stop_all(&mut self, mode: StopMode) {
        for running in self.tenures.values_mut() {
            running.stop(mode);
        }
    }

    /// Waits for the next tenure to end and acknowledges it. Never resolves while there is none; may be cancelled.
    pub(super) async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(tenant)) => {
                self.tenures.remove(&tenant);
                self.reconcile();
            }
            Some(Err(error)) => propagate(error),
            None => std::future::pending().await,
        }
    }

    /// Kills every worker and returns when all browsers are dead. Nothing is acknowledged: the lease is no more.
    pub(super) async fn kill_all(&mut self) {
        self.leaving = true;
        self.stop_all(StopMode::Kill);
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(tenant) => drop(self.tenures.remove(&tenant)),
                Err(error) => propagate(error),
            }
        }
    }

    fn reconcile(&mut self) {
        let held = self.tenures.iter().map(|(tenant, running)| (tenant.clone(), running.held)).collect();
        let mut begun = Vec::new();
        for step in steps(&held, &self.assigned.entries, self.leaving) {
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
            }
        }
        // Held first, launched after: the tenures wait for this write.
        let published = self.acks.publish(self.ack());
        for tenant in begun {
            self.begin(tenant, published.clone());
        }
    }

    fn begin(&mut self, tenant: TenantId, published: Published) {
        let Some(running) = self.tenures.get(&tenant) else { return };
        tracing::info!(%tenant, generation = %running.held.generation, "a tenant is assigned to this node");
        let tenure = Tenure {
            shared: self.shared.clone(),
            fence: Fence { tenant, generation: running.held.generation },
            published,
            spec_revision: running.spec_revision.subscribe(),
            stop: running.stop.subscribe(),
        };
        self.tasks.spawn(tenure.run());
    }

    fn ack(&self) -> AckRecord {
        let held = self.tenures.iter();
        let held = held.map(|(tenant, running)| HeldTenant {
            tenant: tenant.clone(),
            generation: running.held.generation,
        });
        AckRecord { incarnation: self.incarnation, applied: self.assigned.revision, held: held.collect() }
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

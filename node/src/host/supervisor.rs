//! The tenants that this life of the node holds: starts and ends their runs as the assignments say, and keeps the published
//! acknowledgement true. One loop, so no two decisions about a tenant are made at once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use roost_cluster::records::{AckRecord, FailedPreparation, HeldTenant};
use roost_model::ids::{Generation, Incarnation, SpecRevision, TenantId};
use roost_store::Fence;
use tokio::{
    sync::{oneshot, watch},
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    assignments::{AckPublisher, Assigned, Published},
    reconcile::{ActualState, Held, Preparing, Step, steps},
    tenant_runtime::{Disposition, PrepareRequest, Readiness, RunRequest, TenantRuntime},
};
use crate::worker::StopMode;

/// How long the tenants may take to be handed over. What follows, giving the lease back and resigning, takes seconds
/// when etcd is slow, and at 20 s the guard kills.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(16);

/// How an incarnation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncarnationEnd {
    /// The lease is gone, and what runs must be killed.
    Lost,
    /// Asked to; the tenants have been handed over, or the time for it is over.
    Stopped,
}

pub struct Supervisor<R: TenantRuntime> {
    runtime: Arc<R>,
    incarnation: Incarnation,
    acks: AckPublisher,
    assigned: Assigned,
    leaving: bool,
    runs: BTreeMap<TenantId, RunHandle>,
    preparations: BTreeMap<TenantId, PreparationHandle<R::Standby>>,
    tasks: JoinSet<TaskEnd>,
}

enum TaskEnd {
    Run(TenantId),
    Preparation(TenantId),
}

/// By which a preparation is steered.
struct PreparationHandle<W> {
    /// The owner's when it was begun.
    generation: Generation,
    readiness: watch::Receiver<Readiness>,
    /// As it was acknowledged.
    acknowledged: Readiness,
    /// None once it has been told that it is given up.
    disposition: Option<oneshot::Sender<Disposition<W>>>,
}

/// By which a run is steered.
struct RunHandle {
    held: Held,
    spec_revision: watch::Sender<SpecRevision>,
    stop: watch::Sender<Option<StopMode>>,
}

impl<R: TenantRuntime> Supervisor<R> {
    pub fn new(runtime: Arc<R>, incarnation: Incarnation, acks: AckPublisher) -> Self {
        Self {
            runtime,
            incarnation,
            acks,
            assigned: Assigned::default(),
            leaving: false,
            runs: BTreeMap::new(),
            preparations: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Takes in what is assigned and acknowledges what has come of it, until the lease is lost, or the node has been asked to
    /// stop and its tenants are handed over. `lost` resolves with the lease; `leave` is called when the hand-over begins.
    pub async fn serve(
        &mut self,
        assigned: &mut watch::Receiver<Assigned>,
        lost: impl Future<Output = ()>,
        stop: &CancellationToken,
        mut leave: impl FnMut(),
    ) -> IncarnationEnd {
        let mut lost = std::pin::pin!(lost);
        let mut hand_over_by: Option<Instant> = None;
        loop {
            if hand_over_by.is_some() && self.is_empty() {
                return IncarnationEnd::Stopped;
            }
            tokio::select! {
                biased;
                () = &mut lost => return IncarnationEnd::Lost,
                () = stop.cancelled(), if hand_over_by.is_none() => {
                    tracing::info!("handing the tenants over");
                    hand_over_by = Some(Instant::now() + HAND_OVER_WITHIN);
                    self.leave();
                    leave();
                }
                () = tokio::time::sleep_until(hand_over_by.unwrap_or_else(Instant::now)), if hand_over_by.is_some() => {
                    tracing::warn!("not every tenant could be handed over in time");
                    return IncarnationEnd::Stopped;
                }
                // A leaving node still takes records in: they say that its tenants are released.
                changed = assigned.changed() => match changed {
                    Ok(()) => {
                        let assigned = assigned.borrow_and_update().clone();
                        self.assign(assigned);
                    }
                    Err(_) => unreachable!("the follower lives as long as its receiver"),
                },
                () = self.progress() => {}
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Takes a newer record in.
    fn assign(&mut self, assigned: Assigned) {
        self.assigned = assigned;
        self.reconcile();
    }

    /// Begins nothing more, and stops everything; [`Supervisor::progress`] tells of each.
    fn leave(&mut self) {
        self.leaving = true;
        self.stop_all(StopMode::Graceful);
        for preparing in self.preparations.values_mut() {
            preparing.give_up();
        }
    }

    fn stop_all(&mut self, mode: StopMode) {
        for running in self.runs.values_mut() {
            running.stop(mode);
        }
    }

    /// Waits for the next run or preparation to end, or preparation to be ready or to fail, and acknowledges it. Never resolves while
    /// there is none; may be cancelled.
    async fn progress(&mut self) {
        let pending =
            self.preparations.values_mut().filter(|preparing| preparing.acknowledged == Readiness::Pending);
        let mut known: FuturesUnordered<_> = pending.map(PreparationHandle::known).collect();
        let ended = tokio::select! {
            Some(ended) = self.tasks.join_next() => ended,
            Some(()) = known.next() => {
                drop(known);
                for preparing in self.preparations.values_mut() {
                    preparing.acknowledged = preparing.readiness.borrow().clone();
                }
                drop(self.acks.publish(self.ack()));
                return;
            }
            else => return std::future::pending().await,
        };
        drop(known);
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

    fn forget(&mut self, ended: Result<TaskEnd, JoinError>) {
        match ended {
            Ok(TaskEnd::Run(tenant)) => drop(self.runs.remove(&tenant)),
            // One that was handed over is the run's.
            Ok(TaskEnd::Preparation(tenant)) => drop(self.preparations.remove(&tenant)),
            Err(error) => propagate(error),
        }
    }

    fn reconcile(&mut self) {
        let mut begun = Vec::new();
        for step in steps(&self.actual(), &self.assigned.entries, self.leaving) {
            match step {
                Step::Start { tenant, generation, spec_revision } => {
                    let running = RunHandle::new(Held { generation, spec_revision, stopping: None });
                    self.runs.insert(tenant.clone(), running);
                    begun.push(tenant);
                }
                Step::ReadSpec { tenant, spec_revision } => {
                    self.runs.entry(tenant).and_modify(|running| running.look(spec_revision));
                }
                Step::Stop { tenant, mode } => {
                    self.runs.entry(tenant).and_modify(|running| running.stop(mode));
                }
                Step::Prepare { tenant, generation } => self.prepare(tenant, generation),
                Step::CancelPreparation { tenant } => {
                    self.preparations.entry(tenant).and_modify(PreparationHandle::give_up);
                }
            }
        }
        // Taken out before the state is published: from here on they are held.
        let begun: Vec<_> = begun
            .into_iter()
            .map(|tenant| {
                let preparation = self.preparations.remove(&tenant);
                (tenant, preparation)
            })
            .collect();
        // Held first, launched after: the runs wait for this write.
        let published = self.acks.publish(self.ack());
        for (tenant, preparation) in begun {
            self.begin(tenant, preparation, published.clone());
        }
    }

    fn begin(
        &mut self,
        tenant: TenantId,
        preparation: Option<PreparationHandle<R::Standby>>,
        published: Published,
    ) {
        let Some(running) = self.runs.get(&tenant) else { return };
        let generation = running.held.generation;
        if let Some(preparation) = &preparation {
            // `steps` sees to it; a mistake there must not open the session beside its owner's browser.
            assert!(
                generation > preparation.generation,
                "I1: {tenant} was prepared under {}, begun as {generation}",
                preparation.generation
            );
        }
        tracing::info!(%tenant, %generation, prepared = preparation.is_some(), "a tenant is assigned to this node");
        let request = RunRequest {
            fence: Fence { tenant: tenant.clone(), generation },
            published,
            warm: preparation.and_then(PreparationHandle::hand_over),
            spec_revision: running.spec_revision.subscribe(),
            stop: running.stop.subscribe(),
        };
        let run = self.runtime.run(request);
        self.tasks.spawn(run.map(|()| TaskEnd::Run(tenant)));
    }

    fn prepare(&mut self, tenant: TenantId, generation: Generation) {
        let (disposition_tx, disposition) = oneshot::channel();
        let (readiness_tx, readiness) = watch::channel(Readiness::Pending);
        let preparation = self.runtime.prepare(PrepareRequest {
            tenant: tenant.clone(),
            generation,
            readiness: readiness_tx,
            disposition,
        });
        let done = TaskEnd::Preparation(tenant.clone());
        self.tasks.spawn(preparation.map(|()| done));
        let preparation = PreparationHandle {
            generation,
            readiness,
            acknowledged: Readiness::Pending,
            disposition: Some(disposition_tx),
        };
        self.preparations.insert(tenant, preparation);
    }

    fn actual(&self) -> ActualState {
        let held = self.runs.iter().map(|(tenant, running)| (tenant.clone(), running.held));
        let preparing = self.preparations.iter().map(|(tenant, preparation)| {
            let preparing =
                Preparing { generation: preparation.generation, ending: preparation.disposition.is_none() };
            (tenant.clone(), preparing)
        });
        ActualState { held: held.collect(), preparing: preparing.collect() }
    }

    fn ack(&self) -> AckRecord {
        let held = self.runs.iter();
        let held = held.map(|(tenant, running)| HeldTenant {
            tenant: tenant.clone(),
            generation: running.held.generation,
        });
        let (mut prepared, mut failed) = (Vec::new(), Vec::new());
        let wanted = self.preparations.iter().filter(|(_, preparation)| preparation.disposition.is_some());
        for (tenant, preparation) in wanted {
            let (tenant, generation) = (tenant.clone(), preparation.generation);
            match &preparation.acknowledged {
                Readiness::Pending => {}
                Readiness::Ready => prepared.push(HeldTenant { tenant, generation }),
                Readiness::Failed { reason } => {
                    failed.push(FailedPreparation { tenant, generation, reason: reason.clone() });
                }
            }
        }
        AckRecord {
            incarnation: self.incarnation,
            applied: self.assigned.revision,
            held: held.collect(),
            prepared,
            failed,
        }
    }
}

impl<W> PreparationHandle<W> {
    fn known(&mut self) -> impl Future<Output = ()> + use<'_, W> {
        // An error says that it has ended, which is told by itself.
        self.readiness.wait_for(|readiness| *readiness != Readiness::Pending).map(drop)
    }

    fn give_up(&mut self) {
        if let Some(disposition) = self.disposition.take() {
            drop(disposition.send(Disposition::GiveUp));
        }
    }

    /// What the run is to wait for.
    fn hand_over(mut self) -> Option<oneshot::Receiver<Option<W>>> {
        let (to, warm) = oneshot::channel();
        drop(self.disposition.take()?.send(Disposition::HandOver(to)));
        Some(warm)
    }
}

impl RunHandle {
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

/// Whether the browser of a run that panicked is dead is unknown, so this process may not go on: the guard kills
/// what is left and starts anew. A cancelled one cannot be, for nobody cancels them.
fn propagate(error: JoinError) {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => unreachable!("a run was cancelled: {error}"),
    }
}

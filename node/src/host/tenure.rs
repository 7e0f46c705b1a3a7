//! One tenant on this node under one generation: from the acknowledgement that it is held until its browser is dead.
//!
//! ```text
//!   acknowledged --> spec read --> worker runs --+--> stopped ---------> over
//!                     ^   |                      |
//!                     |   +-- not ours (yet) <---+--> ended by itself
//!                     +--------- pause
//! ```
//!
//! The supervisor starts and stops tenures and decides nothing else about them. A worker that ends by itself, because a
//! write of it was refused or because it failed, is started again only if the store still names this generation:
//! else a newer assignment is on its way, and the tenure waits for the supervisor to hear of it.

use std::{sync::Arc, time::Duration};

use roost_cluster::lease_deadline::Standing;
use roost_engine::Engine;
use roost_store::{
    Fence, Store, StoreError,
    workers::{DesiredState, WorkerSpec},
};
use tokio::sync::{Notify, watch};

use super::{
    crew::{Charge, Crew, Errand},
    preparation::Preparation,
    roster::Roster,
};
use crate::{
    launches::LaunchQueue,
    session::{Profiles, Vault},
    worker::{OwnershipCheck, Pace, StopMode, Warmed, Worker, WorkerContext, WorkerHandle},
};

/// From a spec that could not be read, or a worker that ended by itself, to the next look.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What all tenures of one life of the node share.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) vault: Vault,
    pub(super) profiles: Profiles,
    pub(super) launches: Arc<LaunchQueue>,
    pub(super) standing: watch::Receiver<Standing>,
    pub(super) ownership: Arc<dyn OwnershipCheck>,
    pub(super) roster: Roster,
    /// Told when a deleted tenant has left the node.
    pub(super) removed: Arc<Notify>,
}

impl Crew for Shared {
    type Warmed = Warmed;

    fn tenure(self: &Arc<Self>, charge: Charge<Warmed>) -> impl Future<Output = ()> + Send + 'static {
        Tenure { shared: self.clone(), charge }.run()
    }

    fn preparation(self: &Arc<Self>, errand: Errand<Warmed>) -> impl Future<Output = ()> + Send + 'static {
        Preparation { shared: self.clone(), errand }.run()
    }
}

struct Tenure {
    shared: Arc<Shared>,
    charge: Charge<Warmed>,
}

enum Happened {
    /// Asked for, or the supervisor is gone without a word and this life of the node with it.
    Stop,
    Ended,
    NewSpec,
}

impl Tenure {
    async fn run(mut self) {
        let is_published = tokio::select! {
            biased;
            () = self.charge.stopped() => false,
            published = self.charge.published.wait() => published.is_ok(),
        };
        // Here in any case: its browser is this tenure's from now on, and its profile is free once it has ended.
        let mut warm = self.charge.take_warm().await;
        if is_published {
            let Fence { tenant, generation } = &self.charge.fence;
            self.shared.roster.hold(tenant, *generation);
            self.serve(&mut warm).await;
            self.shared.roster.drop_hold(&self.charge.fence.tenant);
        }
        if let Some(warm) = warm {
            warm.kill().await;
        }
    }

    /// One worker after the other, until the tenure is to end.
    async fn serve(&mut self, warm: &mut Option<Warmed>) {
        while let Some(spec) = self.spec_to_run().await {
            let worker = Worker::spawn(self.context(spec, warm.take()));
            self.shared.roster.set_worker(&self.charge.fence.tenant, Some(worker.clone()));
            let over = self.attend(&worker).await;
            self.shared.roster.set_worker(&self.charge.fence.tenant, None);
            if over {
                break;
            }
        }
    }

    /// The spec, once the tenant is to run under this generation; None when the tenure is to end instead.
    async fn spec_to_run(&mut self) -> Option<WorkerSpec> {
        loop {
            tokio::select! {
                biased;
                () = self.charge.stopped() => return None,
                spec = self.shared.store.worker_spec(&self.charge.fence.tenant) => match spec {
                    Ok(spec) if spec.generation == self.charge.fence.generation && spec.desired == DesiredState::Running => {
                        return Some(spec);
                    }
                    // The controller is about to release it or to assign it anew.
                    Ok(_) | Err(StoreError::NotFound { .. }) => {}
                    Err(error) => tracing::warn!(tenant = %self.charge.fence.tenant, %error, "the spec is not read yet"),
                },
            }
            tokio::select! {
                () = self.charge.stopped() => return None,
                // A change makes it worth looking at once.
                _ = self.charge.spec_revision.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Sees a worker through. True when the tenure is over, false when the worker ended by itself.
    async fn attend(&mut self, worker: &WorkerHandle) -> bool {
        loop {
            let happened = tokio::select! {
                biased;
                () = self.charge.stopped() => Happened::Stop,
                () = worker.ended() => Happened::Ended,
                changed = self.charge.spec_revision.changed() => changed.map_or(Happened::Stop, |()| Happened::NewSpec),
            };
            match happened {
                Happened::Stop => {
                    self.stop_worker(worker).await;
                    return true;
                }
                Happened::Ended => {
                    tracing::warn!(tenant = %self.charge.fence.tenant, generation = %self.charge.fence.generation, "a worker ended by itself");
                    let is_over = tokio::time::timeout(LOOK_AGAIN, self.charge.stopped()).await;
                    return is_over.is_ok();
                }
                Happened::NewSpec => self.pass_spec_on(worker).await,
            }
        }
    }

    async fn pass_spec_on(&mut self, worker: &WorkerHandle) {
        match self.shared.store.worker_spec(&self.charge.fence.tenant).await {
            Ok(spec) => worker.update(spec),
            // Deleted; the controller releases it.
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => {
                tracing::warn!(tenant = %self.charge.fence.tenant, %error, "a changed spec is not read yet");
                self.charge.spec_revision.mark_changed();
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// Stops in the way that was asked for, and harder when that is asked for meanwhile.
    async fn stop_worker(&self, worker: &WorkerHandle) {
        let asked = *self.charge.stop.borrow();
        let mode = match asked.unwrap_or(StopMode::Kill) {
            StopMode::Graceful => tokio::select! {
                mode = self.graceful_or_deleted() => mode,
                () = self.charge.killed() => StopMode::Kill,
            },
            other => other,
        };
        tokio::select! {
            () = worker.stop(mode) => {}
            () = self.charge.killed(), if mode != StopMode::Kill => {
                worker.stop(StopMode::Kill).await;
            }
        }
        if mode == StopMode::Deleted {
            self.shared.removed.notify_one();
        }
    }

    /// A tenant that is released because it was deleted leaves no profile behind.
    async fn graceful_or_deleted(&self) -> StopMode {
        match self.shared.store.worker_spec(&self.charge.fence.tenant).await {
            Err(StoreError::NotFound { .. }) => StopMode::Deleted,
            Ok(_) => StopMode::Graceful,
            Err(error) => {
                tracing::warn!(tenant = %self.charge.fence.tenant, %error, "a stop does not know whether its tenant was deleted; the sweep will");
                StopMode::Graceful
            }
        }
    }

    fn context(&self, spec: WorkerSpec, warm: Option<Warmed>) -> WorkerContext {
        let shared = &self.shared;
        WorkerContext {
            fence: self.charge.fence.clone(),
            spec,
            store: shared.store.clone(),
            engine: shared.engine.clone(),
            vault: shared.vault.clone(),
            profiles: shared.profiles.clone(),
            launches: shared.launches.clone(),
            warm,
            standing: shared.standing.clone(),
            ownership: shared.ownership.clone(),
            pace: Pace::default(),
        }
    }
}

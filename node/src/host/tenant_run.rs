//! One tenant on this node under one generation: from the acknowledgement that it is held until its browser is dead.
//!
//! ```text
//!   acknowledged --> spec read --> worker runs --+--> stopped ---------> over
//!                     ^   |                      |
//!                     |   +-- not ours (yet) <---+--> ended by itself, or panicked: counted (`endings`)
//!                     +--------- pause, longer each time
//! ```
//!
//! The supervisor starts and stops such runs and decides nothing else about them. A worker that ends by itself, because a
//! write of it was refused or because it failed, is started again only if the store still names this generation:
//! else a newer assignment is on its way, and the run waits for the supervisor to hear of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use roost_model::causes;
use roost_store::{
    ConditionKind, Fence, SessionStatus, StatusReport, StoreError,
    workers::{DesiredState, WorkerSpec},
};

use uuid::Uuid;

use super::{endings::Failures, env::IncarnationEnv, tenant_runtime::RunRequest};
use crate::{
    worker::{StopMode, WarmStandby, Worker, WorkerContext, WorkerEnd, WorkerHandle},
    worker_log::TenantLevels,
};

/// From a spec that could not be read to the next look.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
pub(super) struct TenantRun {
    pub(super) env: Arc<IncarnationEnv>,
    pub(super) request: RunRequest<WarmStandby>,
    /// Of the tenant that runs, once its spec was read.
    pub(super) uid: Option<Uuid>,
}

enum RunEvent {
    /// Asked for, or the supervisor is gone without a word and this life of the node with it.
    Stop,
    Ended(WorkerEnd),
    NewSpec,
}

impl TenantRun {
    pub(super) async fn run(mut self) {
        let is_published = tokio::select! {
            biased;
            () = self.request.stopped() => false,
            published = self.request.published.wait() => published.is_ok(),
        };
        // Here in any case: its browser is this run's from now on, and its profile is free once it has ended.
        let mut warm = self.request.take_warm().await;
        if is_published {
            let Fence { tenant, generation } = &self.request.fence;
            self.env.host.workers.insert(tenant, *generation);
            self.serve(&mut warm).await;
            let Fence { tenant, generation } = &self.request.fence;
            self.env.host.workers.remove(tenant);
            self.env.host.worker_log.ended(tenant, *generation).await;
            self.env.host.worker_log.levels.set(tenant, TenantLevels::default());
        }
        if let Some(warm) = warm {
            warm.kill().await;
        }
    }

    /// One worker after the other, until the run is to end.
    async fn serve(&mut self, warm: &mut Option<WarmStandby>) {
        loop {
            let failures = self.env.host.endings.failures(&self.request.fence, Instant::now());
            if !self.sat_out(failures.wait).await {
                break;
            }
            let Some(spec) = self.spec_to_run().await else { break };
            self.uid = Some(spec.tenant.uid);
            let worker = Worker::spawn(self.context(spec, warm.take(), failures.count));
            self.env.host.workers.set_worker(&self.request.fence.tenant, Some(worker.clone()));
            let over = self.attend(&worker).await;
            self.env.host.workers.set_worker(&self.request.fence.tenant, None);
            if over {
                break;
            }
        }
    }

    /// Waits, but not for an operator who asks for something. False when the run is to end instead.
    async fn sat_out(&mut self, wait: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.request.stopped() => false,
            () = tokio::time::sleep(wait) => true,
            changed = self.request.spec_revision.changed(), if !wait.is_zero() => changed.is_ok(),
        }
    }

    /// The spec, once the tenant is to run under this generation; None when the run is to end instead.
    async fn spec_to_run(&mut self) -> Option<WorkerSpec> {
        loop {
            tokio::select! {
                biased;
                () = self.request.stopped() => return None,
                spec = self.env.host.node.store.worker_spec(&self.request.fence.tenant) => match spec {
                    Ok(spec) if spec.generation == self.request.fence.generation && spec.desired == DesiredState::Running => {
                        self.log_as_set(&spec);
                        return Some(spec);
                    }
                    // The controller is about to release it or to assign it anew.
                    Ok(_) | Err(StoreError::NotFound { .. }) => {}
                    Err(error) => tracing::warn!(tenant = %self.request.fence.tenant, error = %causes(&error), "the spec is not read yet"),
                },
            }
            tokio::select! {
                () = self.request.stopped() => return None,
                // A change makes it worth looking at once.
                _ = self.request.spec_revision.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Sees a worker through. True when the run is over, false when the worker ended by itself.
    async fn attend(&mut self, worker: &WorkerHandle) -> bool {
        let since = Instant::now();
        loop {
            let happened = tokio::select! {
                biased;
                () = self.request.stopped() => RunEvent::Stop,
                end = worker.ended() => RunEvent::Ended(end),
                changed = self.request.spec_revision.changed() => changed.map_or(RunEvent::Stop, |()| RunEvent::NewSpec),
            };
            match happened {
                RunEvent::Stop => {
                    self.stop_worker(worker).await;
                    return true;
                }
                RunEvent::Ended(end) => {
                    self.take_down(&end, since.elapsed()).await;
                    return false;
                }
                RunEvent::NewSpec => self.pass_spec_on(worker).await,
            }
        }
    }

    /// A worker that lived so long has ended by itself.
    async fn take_down(&self, end: &WorkerEnd, lived: Duration) {
        let Fence { tenant, generation } = &self.request.fence;
        let Failures { count, wait } =
            self.env.host.endings.record(&self.request.fence, end, lived, Instant::now());
        let WorkerEnd::Panicked { reason } = end else {
            tracing::warn!(%tenant, %generation, ?end, count, ?wait, "a worker ended by itself");
            return;
        };
        tracing::error!(%tenant, %generation, reason, count, ?wait, "a worker panicked; a fault of this program");
        let report = StatusReport {
            session_status: Some(SessionStatus::Disconnected),
            last_error: Some(format!("the worker panicked: {reason}; failure {count} in a row")),
            condition: Some((ConditionKind::Healing, reason.clone())),
            restarted: true,
            ..StatusReport::default()
        };
        let reported = tokio::select! {
            biased;
            () = self.request.stopped() => Ok(()),
            reported = self.env.host.node.store.report(&self.request.fence, &report) => reported,
        };
        if let Err(error) = reported {
            tracing::warn!(%tenant, error = %causes(&error), "a panic could not be reported");
        }
    }

    async fn pass_spec_on(&mut self, worker: &WorkerHandle) {
        match self.env.host.node.store.worker_spec(&self.request.fence.tenant).await {
            Ok(spec) => {
                self.log_as_set(&spec);
                worker.update(spec);
            }
            // Deleted; the controller releases it.
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => {
                tracing::warn!(tenant = %self.request.fence.tenant, error = %causes(&error), "a changed spec is not read yet");
                self.request.spec_revision.mark_changed();
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// What is written in the tenant's log follows its settings.
    fn log_as_set(&self, spec: &WorkerSpec) {
        let temporary = spec.tenant.temporary_log_level.map(|set| (set.level, set.until.into()));
        let levels = TenantLevels { own: spec.tenant.settings.log_level, temporary };
        self.env.host.worker_log.levels.set(&self.request.fence.tenant, levels);
    }

    /// Stops in the way that was asked for, and harder when that is asked for meanwhile.
    async fn stop_worker(&self, worker: &WorkerHandle) {
        let asked = *self.request.stop.borrow();
        let mode = match asked.unwrap_or(StopMode::Kill) {
            StopMode::Graceful => tokio::select! {
                mode = self.graceful_or_deleted() => mode,
                () = self.request.killed() => StopMode::Kill,
            },
            other => other,
        };
        let stops_within = worker.stops_within();
        tokio::select! {
            () = worker.stop(mode) => {}
            () = self.request.killed(), if mode != StopMode::Kill => {
                worker.stop(StopMode::Kill).await;
            }
            () = tokio::time::sleep(stops_within), if mode == StopMode::Graceful => {
                tracing::warn!(tenant = %self.request.fence.tenant, "a graceful stop took too long; the browser is killed");
                worker.stop(StopMode::Kill).await;
            }
        }
        if mode == StopMode::Deleted {
            self.env.host.worker_log.remove(&self.request.fence.tenant).await;
            self.env.host.removed.notify_one();
        }
    }

    /// A tenant that is released because it was deleted leaves no profile behind.
    async fn graceful_or_deleted(&self) -> StopMode {
        match self.env.host.node.store.worker_spec(&self.request.fence.tenant).await {
            Err(StoreError::NotFound { .. }) if self.was_removed().await => StopMode::Deleted,
            Ok(_) | Err(StoreError::NotFound { .. }) => StopMode::Graceful,
            Err(error) => {
                tracing::warn!(tenant = %self.request.fence.tenant, error = %causes(&error), "a stop does not know whether its tenant was deleted; the sweep will");
                StopMode::Graceful
            }
        }
    }

    /// A database that was restored from a backup does not know every tenant: only a removal that it remembers is one.
    async fn was_removed(&self) -> bool {
        let Some(uid) = self.uid else { return false };
        match self.env.host.node.store.removed_uids(&[uid]).await {
            Ok(removed) => !removed.is_empty(),
            Err(error) => {
                tracing::warn!(tenant = %self.request.fence.tenant, error = %causes(&error), "a stop does not know whether its tenant was deleted; the sweep will");
                false
            }
        }
    }

    fn context(&self, spec: WorkerSpec, warm: Option<WarmStandby>, failures: u32) -> WorkerContext {
        WorkerContext {
            fence: self.request.fence.clone(),
            spec,
            env: self.env.host.node.clone(),
            failures,
            warm,
            standing: self.env.standing.clone(),
            ownership: self.env.ownership.clone(),
            timing: self.env.host.worker_timing,
            reported_every: self.env.host.timing.heartbeat_every,
        }
    }
}

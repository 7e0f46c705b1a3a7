//! WatchWorkers: every worker, or one, as it is, then each change.

use std::sync::Arc;

use roost_model::ids::TenantId;
use roost_store::{StoreError, Worker};

use super::{
    state_feed::{Follower, Source},
    state_log::Change,
    streams::Watched,
    worker_source::{AllWorkers, EachWorker, WorkerReading, WorkerWakeups},
};
use crate::app::{App, Error};

/// What became of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerChange {
    pub worker: Worker,
    /// The tenant was deleted; this is its worker's last known form.
    pub deleted: bool,
}

impl From<Change<Worker>> for WorkerChange {
    fn from(change: Change<Worker>) -> Self {
        Self { worker: Arc::unwrap_or_clone(change.state), deleted: change.is_gone }
    }
}

impl App {
    /// Every worker, or one tenant's, as it is, then each change. `NotFound` when it is to be one tenant and there is none.
    pub async fn watch_workers(&self, only: Option<TenantId>) -> Result<Watched<WorkerChange>, Error> {
        let reading = self.worker_reading()?;
        let Some(tenant) = only else {
            let begin = async { (AllWorkers::new(reading.clone()), WorkerWakeups::begin(&reading).await) };
            let follower = self.feeds.workers.follow(None, begin).await?;
            return self.stream_workers(follower);
        };
        let begin = async { (EachWorker::new(reading.clone()), WorkerWakeups::begin(&reading).await) };
        let follower = self.feeds.each_worker.follow(Some(tenant.clone()), begin).await?;
        if follower.present().is_empty() {
            return Err(StoreError::NotFound { kind: "tenant", id: tenant.into() }.into());
        }
        self.stream_workers(follower)
    }

    fn stream_workers<S: Source<State = Worker>>(
        &self,
        follower: Follower<S>,
    ) -> Result<Watched<WorkerChange>, Error> {
        self.streams.open(|outlet| follower.run(outlet, WorkerChange::from))
    }

    fn worker_reading(&self) -> Result<WorkerReading, Error> {
        Ok(WorkerReading::new(self.store()?.clone(), self.waiting_tenants.clone()))
    }
}

//! Workers. What is asked for is written to the database and nothing else; the controller and the node that owns the
//! worker see it there and act.

use roost_model::ids::TenantId;
use roost_store::{Worker, WorkerFilter};

use super::{App, Error, Waits};

impl App {
    /// True beside it when it ran already and nothing was changed.
    pub async fn start_worker(&self, tenant: &TenantId) -> Result<(Worker, bool), Error> {
        let (worker, already_running) = self.store()?.start_worker(tenant).await?;
        tracing::info!(%tenant, already_running, "worker asked to start");
        Ok((worker, already_running))
    }

    pub async fn stop_worker(&self, tenant: &TenantId) -> Result<Worker, Error> {
        let worker = self.store()?.stop_worker(tenant).await?;
        tracing::info!(%tenant, "worker asked to stop");
        Ok(worker)
    }

    pub async fn restart_worker(&self, tenant: &TenantId) -> Result<Worker, Error> {
        let worker = self.store()?.restart_worker(tenant).await?;
        tracing::info!(%tenant, "worker asked to restart");
        Ok(worker)
    }

    pub async fn force_restart_worker(&self, tenant: &TenantId, wipe: bool) -> Result<Worker, Error> {
        let worker = self.store()?.force_restart_worker(tenant, wipe).await?;
        tracing::info!(%tenant, wipe, "worker asked to restart by force");
        Ok(worker)
    }

    pub async fn get_worker(&self, tenant: &TenantId) -> Result<Worker, Error> {
        let worker = self.store()?.get_worker(tenant).await?;
        Ok(Waits::new(self).tell(worker).await)
    }

    /// In the order of the tenants' ids, from the one after `after` on. `waits` is one for all calls of a page.
    pub async fn list_workers(
        &self,
        waits: &Waits<'_>,
        filter: &WorkerFilter,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Worker>, Error> {
        let mut workers = Vec::new();
        for worker in self.store()?.list_workers(filter, after, limit).await? {
            workers.push(waits.tell(worker).await);
        }
        Ok(workers)
    }
}

//! WorkerService. What an operator asks for is written to the database and nothing else; the controller and the node
//! that owns the worker see it there and act.

use roost_model::ids::TenantId;
use roost_proto::v1::{self, worker_service_server::WorkerService};
use roost_store::WorkerFilter;
use tonic::{Request, Response, Status, async_trait};

use super::{paging, watch_workers::WatchWorkers};
use crate::{
    backend::Backend,
    fault::from_store,
    request::{Checks, List, page},
    stream::{Answers, Streams},
    wire,
};

pub struct Workers {
    pub backend: Backend,
    pub streams: Streams,
}

fn tenant_id(given: &str) -> Result<TenantId, Status> {
    let mut checks = Checks::default();
    checks.tenant_id("tenant_id", given).ok_or_else(|| checks.refusal().into())
}

#[async_trait]
impl WorkerService for Workers {
    async fn start_worker(
        &self,
        request: Request<v1::StartWorkerRequest>,
    ) -> Result<Response<v1::StartWorkerResponse>, Status> {
        let id = tenant_id(&request.get_ref().tenant_id)?;
        let (worker, already_running) = self.backend.store()?.start_worker(&id).await.map_err(from_store)?;
        tracing::info!(tenant = %id, already_running, "worker asked to start");
        Ok(Response::new(v1::StartWorkerResponse { worker: Some(wire::worker(worker)), already_running }))
    }

    async fn stop_worker(
        &self,
        request: Request<v1::StopWorkerRequest>,
    ) -> Result<Response<v1::Worker>, Status> {
        let id = tenant_id(&request.get_ref().tenant_id)?;
        let worker = self.backend.store()?.stop_worker(&id).await.map_err(from_store)?;
        tracing::info!(tenant = %id, "worker asked to stop");
        Ok(Response::new(wire::worker(worker)))
    }

    async fn restart_worker(
        &self,
        request: Request<v1::RestartWorkerRequest>,
    ) -> Result<Response<v1::Worker>, Status> {
        let id = tenant_id(&request.get_ref().tenant_id)?;
        let worker = self.backend.store()?.restart_worker(&id).await.map_err(from_store)?;
        tracing::info!(tenant = %id, "worker asked to restart");
        Ok(Response::new(wire::worker(worker)))
    }

    async fn force_restart_worker(
        &self,
        request: Request<v1::ForceRestartWorkerRequest>,
    ) -> Result<Response<v1::Worker>, Status> {
        let id = tenant_id(&request.get_ref().tenant_id)?;
        let wipe = request.get_ref().wipe_session;
        let worker = self.backend.store()?.force_restart_worker(&id, wipe).await.map_err(from_store)?;
        tracing::info!(tenant = %id, wipe, "worker asked to restart by force");
        Ok(Response::new(wire::worker(worker)))
    }

    async fn get_worker(
        &self,
        request: Request<v1::GetWorkerRequest>,
    ) -> Result<Response<v1::Worker>, Status> {
        let id = tenant_id(&request.get_ref().tenant_id)?;
        let worker = self.backend.store()?.get_worker(&id).await.map_err(from_store)?;
        Ok(Response::new(wire::worker(worker)))
    }

    async fn list_workers(
        &self,
        request: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<v1::ListWorkersResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let status_text = request.status.to_string();
        let chosen = [request.node_id.as_str(), &status_text];
        let size = checks.page_size(request.page_size);
        let after =
            checks.page_token(List::Workers, &chosen, &request.page_token, |key| TenantId::new(key).ok());
        let node = checks.optional_node_id("node_id", &request.node_id);
        let status = checks.optional_enum("status", request.status);
        let (Some(size), Some(after), Some(node), Some(status)) = (size, after, node, status) else {
            return Err(checks.refusal().into());
        };
        let (store, filter) = (
            self.backend.store()?,
            &WorkerFilter { node, status: status.and_then(wire::worker_status_filter) },
        );
        let fetch = move |after, limit| store.list_workers(filter, after, limit);
        let page = paging::fill(size, after, fetch, |row| (row.tenant.clone(), wire::worker(row))).await;
        let page = page.map_err(from_store)?;
        let next = page.last.map(|last| page::encode(List::Workers, &chosen, last.as_str()));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListWorkersResponse { workers: page.items, next_page_token }))
    }

    type WatchWorkersStream = Answers<v1::WatchWorkersResponse>;

    async fn watch_workers(
        &self,
        request: Request<v1::WatchWorkersRequest>,
    ) -> Result<Response<Self::WatchWorkersStream>, Status> {
        let mut checks = Checks::default();
        let Some(only) = checks.optional_tenant_id("tenant_id", &request.get_ref().tenant_id) else {
            return Err(checks.refusal().into());
        };
        let watch = WatchWorkers::begin(self.backend.store()?.clone(), only).await.map_err(from_store)?;
        Ok(Response::new(self.streams.open(|outlet| watch.run(outlet))?))
    }
}

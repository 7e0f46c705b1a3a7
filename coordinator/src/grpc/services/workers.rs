//! WorkerService.

use roost_model::ids::TenantId;
use roost_proto::v1::{self, worker_service_server::WorkerService};
use roost_store::WorkerFilter;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    app::{App, Waits, watch::WorkerNews},
    grpc::{
        answers::{Answers, answers, fill_page},
        request::{Checks, List, page, tenant_id},
        wire,
    },
};

pub struct Workers {
    pub app: App,
}

#[async_trait]
impl WorkerService for Workers {
    async fn start_worker(
        &self,
        request: Request<v1::StartWorkerRequest>,
    ) -> Result<Response<v1::StartWorkerResponse>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        let (worker, already_running) = self.app.start_worker(&id).await?;
        Ok(Response::new(v1::StartWorkerResponse { worker: Some(wire::worker(worker)), already_running }))
    }

    async fn stop_worker(
        &self,
        request: Request<v1::StopWorkerRequest>,
    ) -> Result<Response<v1::Worker>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        let worker = self.app.stop_worker(&id).await?;
        Ok(Response::new(wire::worker(worker)))
    }

    async fn restart_worker(
        &self,
        request: Request<v1::RestartWorkerRequest>,
    ) -> Result<Response<v1::Worker>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        let worker = self.app.restart_worker(&id).await?;
        Ok(Response::new(wire::worker(worker)))
    }

    async fn force_restart_worker(
        &self,
        request: Request<v1::ForceRestartWorkerRequest>,
    ) -> Result<Response<v1::Worker>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        let wipe = request.get_ref().wipe_session;
        let worker = self.app.force_restart_worker(&id, wipe).await?;
        Ok(Response::new(wire::worker(worker)))
    }

    async fn get_worker(
        &self,
        request: Request<v1::GetWorkerRequest>,
    ) -> Result<Response<v1::Worker>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        let worker = self.app.get_worker(&id).await?;
        Ok(Response::new(wire::worker(worker)))
    }

    async fn list_workers(
        &self,
        request: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<v1::ListWorkersResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let status_text = request.status.to_string();
        let chosen = [request.node_id.as_str(), &status_text, &request.selector];
        let size = checks.page_size(request.page_size);
        let after =
            checks.page_token(List::Workers, &chosen, &request.page_token, |key| TenantId::new(key).ok());
        let node = checks.optional_node_id("node_id", &request.node_id);
        let status = checks.optional_enum("status", request.status);
        let selector = checks.selector(&request.selector);
        let (Some(size), Some(after), Some(node), Some(status), Some(selector)) =
            (size, after, node, status, selector)
        else {
            return Err(checks.refusal().into());
        };
        let status = status.and_then(wire::worker_status_filter);
        let filter = &selector.of_workers(node, status)?;
        let waits = &Waits::new(&self.app);
        let fetch = |after, limit| self.app.list_workers(waits, filter, after, limit);
        let page = fill_page(size, after, fetch, |row| (row.tenant.clone(), wire::worker(row))).await?;
        let next = page.last.map(|last| page::encode(List::Workers, &chosen, last.as_str()));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListWorkersResponse { workers: page.items, next_page_token }))
    }

    type WatchWorkersStream = Answers<v1::WatchWorkersResponse>;

    async fn watch_workers(
        &self,
        request: Request<v1::WatchWorkersRequest>,
    ) -> Result<Response<Self::WatchWorkersStream>, Status> {
        let request = request.into_inner();
        let with_figures = request.with_figures;
        Ok(Response::new(match watched(request)? {
            Watched::One(tenant) => {
                let news = |change| wire::worker_news(WorkerNews::Changed(Box::new(change), None));
                answers(self.app.watch_worker(tenant).await?, news)
            }
            Watched::Chosen(filter) => {
                answers(self.app.watch_workers(filter, with_figures).await?, wire::worker_news)
            }
        }))
    }
}

/// Which workers are followed.
enum Watched {
    One(TenantId),
    Chosen(WorkerFilter),
}

fn watched(request: v1::WatchWorkersRequest) -> Result<Watched, Status> {
    let mut checks = Checks::default();
    let only = checks.optional_tenant_id("tenant_id", &request.tenant_id);
    let node = checks.optional_node_id("node_id", &request.node_id);
    let status = checks.optional_enum("status", request.status);
    let selector = checks.selector(&request.selector);
    let (Some(only), Some(node), Some(status), Some(selector)) = (only, node, status, selector) else {
        return Err(checks.refusal().into());
    };
    let filter = selector.of_workers(node, status.and_then(wire::worker_status_filter))?;
    let Some(tenant) = only else { return Ok(Watched::Chosen(filter)) };
    if request.with_figures || filter != WorkerFilter::default() {
        let why = "is given beside what chooses among all workers, or their figures; leave one out";
        checks.take::<()>("tenant_id", Err(why.to_owned()));
        return Err(checks.refusal().into());
    }
    Ok(Watched::One(tenant))
}

//! ClusterService: status, event log and policy of the cluster.

use roost_proto::v1::{self, cluster_service_server::ClusterService};
use roost_store::{EventFilter, OperationFilter, OperationRecord, OperationState, Store, StoreError};
use tonic::{Request, Response, Status, async_trait};

use super::{paging, status, watch_events::WatchEvents};
use crate::{
    backend::Backend,
    fault::from_store,
    orders,
    request::{Checks, List, page, policy_patch},
    stream::{Answers, Streams},
    wire,
};

const MAX_BACKLOG: u32 = 1_000;
const CHUNK: u32 = 500;

pub struct Clusters {
    pub backend: Backend,
    pub streams: Streams,
}

impl Clusters {
    async fn status(&self) -> Result<v1::ClusterStatus, Status> {
        let survey = orders::survey(&self.backend).await?;
        let store = self.backend.store()?;
        let read = async {
            Ok(status::Ledger {
                term: store.present_term().await?,
                policy: store.policy().await?,
                operations: running(store).await?,
                in_error: status::in_error(store).await?,
                conflicts: store.total_conflicts().await?,
            })
        };
        Ok(status::told(survey, read.await.map_err(from_store)?))
    }
}

/// The operations that run, oldest first.
async fn running(store: &Store) -> Result<Vec<OperationRecord>, StoreError> {
    let filter = OperationFilter { state: Some(OperationState::Running), ..OperationFilter::default() };
    let mut all: Vec<OperationRecord> = Vec::new();
    loop {
        let before = all.last().map(|last| last.id);
        let page = store.list_operations(&filter, before, CHUNK).await?;
        let more = page.len() == CHUNK as usize;
        all.extend(page);
        if !more {
            all.reverse();
            return Ok(all);
        }
    }
}

#[async_trait]
impl ClusterService for Clusters {
    async fn get_cluster_status(
        &self,
        _request: Request<v1::GetClusterStatusRequest>,
    ) -> Result<Response<v1::ClusterStatus>, Status> {
        self.status().await.map(Response::new)
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let chosen = [request.node_id.as_str(), &request.tenant_id];
        let size = checks.page_size(request.page_size);
        let before = checks.page_token(List::Events, &chosen, &request.page_token, |key| key.parse().ok());
        let node = checks.optional_node_id("node_id", &request.node_id);
        let tenant = checks.optional_tenant_id("tenant_id", &request.tenant_id);
        let (Some(size), Some(before), Some(node), Some(tenant)) = (size, before, node, tenant) else {
            return Err(checks.refusal().into());
        };
        let (store, filter) = (self.backend.store()?, &EventFilter { node, tenant });
        let fetch = move |before, limit| store.list_events(filter, before, limit);
        let page = paging::fill(size, before, fetch, |row| (row.id, wire::event(row))).await;
        let page = page.map_err(from_store)?;
        let next = page.last.map(|last: i64| page::encode(List::Events, &chosen, &last.to_string()));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListEventsResponse { events: page.items, next_page_token }))
    }

    type WatchEventsStream = Answers<v1::Event>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let backlog = checks.backlog(request.backlog, MAX_BACKLOG);
        let node = checks.optional_node_id("node_id", &request.node_id);
        let tenant = checks.optional_tenant_id("tenant_id", &request.tenant_id);
        let (Some(backlog), Some(node), Some(tenant)) = (backlog, node, tenant) else {
            return Err(checks.refusal().into());
        };
        let store = self.backend.store()?.clone();
        let filter = EventFilter { node, tenant };
        let watch = WatchEvents::begin(store, filter, backlog).await.map_err(from_store)?;
        Ok(Response::new(self.streams.open(|outlet| watch.run(outlet))?))
    }

    async fn pause_failover(
        &self,
        request: Request<v1::PauseFailoverRequest>,
    ) -> Result<Response<v1::ClusterStatus>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let by = checks.by(request.requested_by, request.reason);
        let Some(by) = by else { return Err(checks.refusal().into()) };
        let paused = self.backend.store()?.pause_failover(&by).await.map_err(from_store)?;
        tracing::info!(paused, "failover asked to pause");
        self.status().await.map(Response::new)
    }

    async fn resume_failover(
        &self,
        request: Request<v1::ResumeFailoverRequest>,
    ) -> Result<Response<v1::ClusterStatus>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let by = checks.by(request.requested_by, request.reason);
        let Some(by) = by else { return Err(checks.refusal().into()) };
        let resumed = self.backend.store()?.resume_failover(&by).await.map_err(from_store)?;
        tracing::info!(resumed, "failover asked to resume");
        self.status().await.map(Response::new)
    }

    async fn update_policy(
        &self,
        request: Request<v1::UpdatePolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        let (patch, by) = policy_patch(request.into_inner())?;
        let policy = self.backend.store()?.update_policy(patch, &by).await.map_err(from_store)?;
        tracing::info!(policy.auto_rebalance, policy.failover_breaker, "policy changed");
        Ok(Response::new(wire::policy(&policy)))
    }
}

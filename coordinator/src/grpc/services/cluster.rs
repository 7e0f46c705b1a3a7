//! ClusterService: status, event log and policy of the cluster.

use roost_proto::v1::{self, cluster_service_server::ClusterService};
use roost_store::EventFilter;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    app::App,
    grpc::{
        answers::{Answers, answers, fill_page},
        request::{Checks, List, page, policy_patch},
        wire,
    },
};

const MAX_BACKLOG: u32 = 1_000;
pub struct Clusters {
    pub app: App,
}

impl Clusters {
    async fn status(&self) -> Result<Response<v1::ClusterStatus>, Status> {
        Ok(Response::new(wire::cluster_status(self.app.cluster_status().await?)))
    }
}

#[async_trait]
impl ClusterService for Clusters {
    async fn get_cluster_status(
        &self,
        _request: Request<v1::GetClusterStatusRequest>,
    ) -> Result<Response<v1::ClusterStatus>, Status> {
        self.status().await
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
        let filter = &EventFilter { node, tenant };
        let fetch = |before, limit| self.app.list_events(filter, before, limit);
        let page = fill_page(size, before, fetch, |row| (row.id, wire::event(row))).await?;
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
        let watched = self.app.watch_events(EventFilter { node, tenant }, backlog).await?;
        Ok(Response::new(answers(watched, wire::event)))
    }

    async fn pause_failover(
        &self,
        request: Request<v1::PauseFailoverRequest>,
    ) -> Result<Response<v1::ClusterStatus>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let by = checks.by(request.requested_by, request.reason);
        let Some(by) = by else { return Err(checks.refusal().into()) };
        self.app.pause_failover(&by).await?;
        self.status().await
    }

    async fn resume_failover(
        &self,
        request: Request<v1::ResumeFailoverRequest>,
    ) -> Result<Response<v1::ClusterStatus>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let by = checks.by(request.requested_by, request.reason);
        let Some(by) = by else { return Err(checks.refusal().into()) };
        self.app.resume_failover(&by).await?;
        self.status().await
    }

    async fn update_policy(
        &self,
        request: Request<v1::UpdatePolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        let (patch, by) = policy_patch(request.into_inner())?;
        let policy = self.app.update_policy(patch, &by).await?;
        Ok(Response::new(wire::policy(&policy)))
    }
}

//! NodeService.

use roost_model::ids::NodeId;
use roost_proto::{
    error::ApiError,
    v1::{self, node_service_server::NodeService},
};
use roost_store::Requester;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    app::App,
    grpc::{
        request::{Checks, List, node_id, page},
        wire,
    },
};

pub struct Nodes {
    pub app: App,
}

#[async_trait]
impl NodeService for Nodes {
    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let chosen = [if request.show_lost { "lost" } else { "" }];
        let size = checks.page_size(request.page_size);
        let after = checks.page_token(List::Nodes, &chosen, &request.page_token, |key| NodeId::new(key).ok());
        let (Some(size), Some(after)) = (size, after) else { return Err(checks.refusal().into()) };
        let mut nodes = self.app.list_nodes(request.show_lost).await?;
        if let Some(after) = after {
            nodes.retain(|node| node.node.as_str() > after.as_str());
        }
        let more = nodes.len() > size;
        nodes.truncate(size);
        let last = nodes.last().filter(|_| more);
        let next = last.map(|last| page::encode(List::Nodes, &chosen, last.node.as_str()));
        let nodes = nodes.into_iter().map(wire::node).collect();
        Ok(Response::new(v1::ListNodesResponse { nodes, next_page_token: next.unwrap_or_default() }))
    }

    async fn get_node(&self, request: Request<v1::GetNodeRequest>) -> Result<Response<v1::Node>, Status> {
        let id = node_id("id", &request.get_ref().id)?;
        Ok(Response::new(wire::node(self.app.get_node(&id).await?)))
    }

    async fn cordon(&self, request: Request<v1::CordonRequest>) -> Result<Response<v1::Node>, Status> {
        let request = request.into_inner();
        let (id, by) = order(&request.id, request.requested_by, request.reason)?;
        Ok(Response::new(wire::node(self.app.cordon(&id, &by).await?)))
    }

    async fn uncordon(&self, request: Request<v1::UncordonRequest>) -> Result<Response<v1::Node>, Status> {
        let request = request.into_inner();
        let (id, by) = order(&request.id, request.requested_by, request.reason)?;
        Ok(Response::new(wire::node(self.app.uncordon(&id, &by).await?)))
    }

    async fn set_restart_window(
        &self,
        request: Request<v1::SetRestartWindowRequest>,
    ) -> Result<Response<v1::Node>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let id = checks.node_id("id", &request.id);
        let window = checks.span("window", request.window);
        let by = checks.by(request.requested_by, request.reason);
        let (Some(id), Some(window), Some(by)) = (id, window, by) else {
            return Err(checks.refusal().into());
        };
        Ok(Response::new(wire::node(self.app.set_restart_window(&id, window, &by).await?)))
    }

    async fn clear_restart_window(
        &self,
        request: Request<v1::ClearRestartWindowRequest>,
    ) -> Result<Response<v1::Node>, Status> {
        let request = request.into_inner();
        let (id, by) = order(&request.id, request.requested_by, request.reason)?;
        Ok(Response::new(wire::node(self.app.clear_restart_window(&id, &by).await?)))
    }
}

/// Of a call that orders something of a node.
fn order(id: &str, requested_by: String, reason: String) -> Result<(NodeId, Requester), ApiError> {
    let mut checks = Checks::default();
    let id = checks.node_id("id", id);
    let by = checks.by(requested_by, reason);
    let (Some(id), Some(by)) = (id, by) else { return Err(checks.refusal()) };
    Ok((id, by))
}

//! NodeService: the registry as it is, with what is ordered of each node.

use std::collections::BTreeMap;

use roost_cluster::{
    ids::NodeId,
    keys::{self, Key},
    records::{AssignmentRecord, NodeRecord},
};
use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::{self, node_service_server::NodeService},
};
use roost_store::{NodeOrders, Requester, WorkerFilter};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    backend::Backend,
    fault::{from_registry, from_store},
    orders,
    request::{Checks, List, page},
    wire,
};

pub struct Nodes {
    pub backend: Backend,
}

impl Nodes {
    /// The live nodes and what is assigned to them. The two lists are read one after the other: a count may be a moment
    /// older than the node.
    async fn live(&self) -> Result<Vec<(NodeRecord, Option<AssignmentRecord>)>, ApiError> {
        let registry = self.backend.registry();
        let mut assigned = BTreeMap::new();
        for entry in registry.list(keys::ASSIGNMENTS).await.map_err(from_registry)?.entries {
            if let Some(Key::Assignments(node)) = Key::parse(&entry.key) {
                assigned.insert(node, keys::decode::<AssignmentRecord>(&entry).map_err(from_registry)?);
            }
        }
        let mut nodes = Vec::new();
        for entry in registry.list(keys::NODES).await.map_err(from_registry)?.entries {
            let record: NodeRecord = keys::decode(&entry).map_err(from_registry)?;
            let own = assigned.remove(&record.node);
            nodes.push((record, own));
        }
        Ok(nodes)
    }

    /// By node.
    async fn orders(&self) -> Result<BTreeMap<NodeId, NodeOrders>, ApiError> {
        let orders = self.backend.store()?.node_orders().await.map_err(from_store)?;
        Ok(orders.into_iter().map(|orders| (orders.node.clone(), orders)).collect())
    }

    /// Ordered by id.
    async fn all(&self, with_lost: bool) -> Result<Vec<v1::Node>, ApiError> {
        let live = self.live().await?;
        let mut orders = self.orders().await?;
        let mut nodes: BTreeMap<NodeId, v1::Node> = live
            .into_iter()
            .map(|(record, assigned)| {
                let own = orders.remove(&record.node);
                (record.node.clone(), wire::live_node(record, assigned.as_ref(), own.as_ref()))
            })
            .collect();
        if with_lost {
            let mut placed: BTreeMap<NodeId, usize> = BTreeMap::new();
            for tenant in orders::survey(&self.backend).await?.snapshot.tenants {
                let Some(last) = tenant.last.filter(|last| !nodes.contains_key(last)) else { continue };
                *placed.entry(last).or_default() += 1;
            }
            for (node, own) in &orders {
                let tenants = placed.remove(node).unwrap_or_default();
                nodes.insert(node.clone(), wire::known_node(node.clone(), tenants, Some(own)));
            }
            let bare = placed
                .into_iter()
                .map(|(node, tenants)| (node.clone(), wire::known_node(node, tenants, None)));
            nodes.extend(bare);
        }
        Ok(nodes.into_values().collect())
    }

    /// The node, live or known.
    async fn one(&self, id: &NodeId) -> Result<v1::Node, ApiError> {
        let registry = self.backend.registry();
        let found = registry.get(&keys::node(id)).await.map_err(from_registry)?;
        let own = self.orders().await?.remove(id);
        if let Some(entry) = found {
            let assigned = registry.get(&keys::assignments(id)).await.map_err(from_registry)?;
            let assigned = assigned.map(|entry| keys::decode::<AssignmentRecord>(&entry)).transpose();
            let record = keys::decode(&entry).map_err(from_registry)?;
            return Ok(wire::live_node(record, assigned.map_err(from_registry)?.as_ref(), own.as_ref()));
        }
        let tenants = self.placed_on(id).await?;
        if own.is_none() && tenants == 0 {
            return Err(unknown(id));
        }
        Ok(wire::known_node(id.clone(), tenants, own.as_ref()))
    }

    async fn placed_on(&self, id: &NodeId) -> Result<usize, ApiError> {
        let filter = WorkerFilter { node: Some(id.clone()), status: None };
        let placed = self.backend.store()?.count_workers(&filter).await.map_err(from_store)?;
        Ok(usize::try_from(placed).unwrap_or(usize::MAX))
    }
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
        let mut nodes = self.all(request.show_lost).await?;
        if let Some(after) = after {
            nodes.retain(|node| node.id.as_str() > after.as_str());
        }
        let more = nodes.len() > size;
        nodes.truncate(size);
        let last = nodes.last().filter(|_| more);
        let next = last.map(|last| page::encode(List::Nodes, &chosen, &last.id));
        Ok(Response::new(v1::ListNodesResponse { nodes, next_page_token: next.unwrap_or_default() }))
    }

    async fn get_node(&self, request: Request<v1::GetNodeRequest>) -> Result<Response<v1::Node>, Status> {
        let mut checks = Checks::default();
        let Some(id) = checks.node_id("id", &request.get_ref().id) else {
            return Err(checks.refusal().into());
        };
        Ok(Response::new(self.one(&id).await?))
    }

    async fn cordon(&self, request: Request<v1::CordonRequest>) -> Result<Response<v1::Node>, Status> {
        let request = request.into_inner();
        let (id, by) = order(&request.id, request.requested_by, request.reason)?;
        self.one(&id).await?;
        let changed = self.backend.store()?.cordon(&id, &by).await.map_err(from_store)?;
        tracing::info!(node = %id, changed, "node cordoned");
        Ok(Response::new(self.one(&id).await?))
    }

    async fn uncordon(&self, request: Request<v1::UncordonRequest>) -> Result<Response<v1::Node>, Status> {
        let request = request.into_inner();
        let (id, by) = order(&request.id, request.requested_by, request.reason)?;
        let before = self.one(&id).await?;
        let changed = self.backend.store()?.uncordon(&id, &by).await.map_err(from_store)?;
        tracing::info!(node = %id, changed, "node uncordoned");
        Ok(Response::new(self.after_the_last_order(&id, before).await?))
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
        let survey = orders::survey(&self.backend).await?;
        orders::may_open_window(&survey, &id).map_err(ApiError::from)?;
        let incarnation = survey.nodes.get(&id).ok_or_else(|| unknown(&id))?.incarnation;
        let store = self.backend.store()?;
        store.set_restart_window(&id, incarnation, window, &by).await.map_err(from_store)?;
        tracing::info!(node = %id, ?window, "restart window opened");
        Ok(Response::new(self.one(&id).await?))
    }

    async fn clear_restart_window(
        &self,
        request: Request<v1::ClearRestartWindowRequest>,
    ) -> Result<Response<v1::Node>, Status> {
        let request = request.into_inner();
        let (id, by) = order(&request.id, request.requested_by, request.reason)?;
        let before = self.one(&id).await?;
        let changed = self.backend.store()?.clear_restart_window(&id, &by).await.map_err(from_store)?;
        tracing::info!(node = %id, changed, "restart window closed");
        Ok(Response::new(self.after_the_last_order(&id, before).await?))
    }
}

impl Nodes {
    /// The node after an order on it was withdrawn. One that is not live may have been known by that order alone.
    async fn after_the_last_order(&self, id: &NodeId, before: v1::Node) -> Result<v1::Node, ApiError> {
        match self.one(id).await {
            Err(error) if error.code == ErrorCode::NotFound => {
                Ok(wire::known_node(id.clone(), usize::try_from(before.tenants).unwrap_or_default(), None))
            }
            found => found,
        }
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

fn unknown(id: &NodeId) -> ApiError {
    let message = format!("there is no live node {:?}; check the id, or start the node", id.as_str());
    ApiError::new(ErrorCode::NotFound, message).about("node", id.as_str())
}

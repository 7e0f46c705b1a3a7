//! NodeService: the registry as it is.

use std::collections::BTreeMap;

use roost_cluster::{
    ids::NodeId,
    keys::{self, Key},
    records::{AssignmentRecord, NodeRecord},
    registry::RegistryError,
};
use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::{self, node_service_server::NodeService},
};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    backend::Backend,
    fault::from_registry,
    request::{Checks, List, page},
    wire,
};

pub struct Nodes {
    pub backend: Backend,
}

impl Nodes {
    /// The live nodes and what is assigned to them, ordered by id. The two lists are read one after the other: a
    /// count may be a moment older than the node.
    async fn all(&self) -> Result<Vec<v1::Node>, RegistryError> {
        let registry = self.backend.registry();
        let mut assigned = BTreeMap::new();
        for entry in registry.list(keys::ASSIGNMENTS).await?.entries {
            if let Some(Key::Assignments(node)) = Key::parse(&entry.key) {
                assigned.insert(node, keys::decode::<AssignmentRecord>(&entry)?);
            }
        }
        let mut nodes = Vec::new();
        for entry in registry.list(keys::NODES).await?.entries {
            let record: NodeRecord = keys::decode(&entry)?;
            let own = assigned.get(&record.node);
            nodes.push(wire::node(record, own));
        }
        nodes.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(nodes)
    }

    async fn one(&self, id: &NodeId) -> Result<Option<v1::Node>, RegistryError> {
        let registry = self.backend.registry();
        let Some(entry) = registry.get(&keys::node(id)).await? else { return Ok(None) };
        let assigned = registry.get(&keys::assignments(id)).await?;
        let assigned = assigned.map(|entry| keys::decode::<AssignmentRecord>(&entry)).transpose()?;
        Ok(Some(wire::node(keys::decode(&entry)?, assigned.as_ref())))
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
        let size = checks.page_size(request.page_size);
        let after = checks.page_token(List::Nodes, &[], &request.page_token, |key| NodeId::new(key).ok());
        let (Some(size), Some(after)) = (size, after) else { return Err(checks.refusal().into()) };
        let mut nodes = self.all().await.map_err(from_registry)?;
        if let Some(after) = after {
            nodes.retain(|node| node.id.as_str() > after.as_str());
        }
        let more = nodes.len() > size;
        nodes.truncate(size);
        let last = nodes.last().filter(|_| more);
        let next_page_token = last.map(|last| page::encode(List::Nodes, &[], &last.id)).unwrap_or_default();
        Ok(Response::new(v1::ListNodesResponse { nodes, next_page_token }))
    }

    async fn get_node(&self, request: Request<v1::GetNodeRequest>) -> Result<Response<v1::Node>, Status> {
        let mut checks = Checks::default();
        let Some(id) = checks.node_id("id", &request.get_ref().id) else {
            return Err(checks.refusal().into());
        };
        let found = self.one(&id).await.map_err(from_registry)?;
        let node = found.ok_or_else(|| not_live(&id))?;
        Ok(Response::new(node))
    }
}

fn not_live(id: &NodeId) -> ApiError {
    let message = format!("there is no live node {:?}; check the id, or start the node", id.as_str());
    ApiError::new(ErrorCode::NotFound, message).about("node", id.as_str())
}

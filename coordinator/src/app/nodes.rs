//! Nodes: the registry as it is, with what is ordered of each.

use std::{collections::BTreeMap, time::Duration};

use roost_cluster::{
    keys::{self, Key},
    records::{AssignmentRecord, NodeRecord, Phase},
};
use roost_model::ids::NodeId;
use roost_store::{MemoryDemand, NodeOrders, Requester, WorkerFilter};

use super::{App, Error, refusal::may_open_window};

/// A node that is live or known: tenants are placed there, or something is ordered of it.
#[derive(Debug, Clone)]
pub struct NodeStatus {
    pub node: NodeId,
    /// None while it is not live.
    pub live: Option<NodeRecord>,
    /// Assigned to it; of a node that is not live, those that were.
    pub tenants: usize,
    pub orders: Option<NodeOrders>,
    /// What its tenants request and use; none unless the node was asked for by its id and says what it has.
    pub demand: Option<MemoryDemand>,
}

impl App {
    /// Ordered by id.
    pub async fn list_nodes(&self, with_lost: bool) -> Result<Vec<NodeStatus>, Error> {
        let live = self.live_nodes().await?;
        let mut orders = self.node_orders().await?;
        let mut nodes: BTreeMap<NodeId, NodeStatus> = live
            .into_iter()
            .map(|(record, assigned)| {
                let own = orders.remove(&record.node);
                (record.node.clone(), NodeStatus::live(record, assigned.as_ref(), own))
            })
            .collect();
        if with_lost {
            let mut placed: BTreeMap<NodeId, usize> = BTreeMap::new();
            for tenant in self.survey().await?.snapshot.tenants {
                let Some(last) = tenant.last.filter(|last| !nodes.contains_key(last)) else { continue };
                *placed.entry(last).or_default() += 1;
            }
            for (node, own) in orders {
                let tenants = placed.remove(&node).unwrap_or_default();
                nodes.insert(node.clone(), NodeStatus::known(node, tenants, Some(own)));
            }
            let bare = placed
                .into_iter()
                .map(|(node, tenants)| (node.clone(), NodeStatus::known(node, tenants, None)));
            nodes.extend(bare);
        }
        Ok(nodes.into_values().collect())
    }

    /// Live or known.
    pub async fn get_node(&self, id: &NodeId) -> Result<NodeStatus, Error> {
        let registry = self.registry();
        let found = registry.get(&keys::node(id)).await?;
        let own = self.node_orders().await?.remove(id);
        if let Some(entry) = found {
            let assigned = registry.get(&keys::assignments(id)).await?;
            let assigned = assigned.map(|entry| keys::decode::<AssignmentRecord>(&entry)).transpose();
            let record: NodeRecord = keys::decode(&entry)?;
            let demand = match &record.memory {
                Some(memory) => Some(self.store()?.memory_demand(id, memory.request_bytes(None)).await?),
                None => None,
            };
            return Ok(NodeStatus { demand, ..NodeStatus::live(record, assigned?.as_ref(), own) });
        }
        let filter = WorkerFilter { node: Some(id.clone()), ..WorkerFilter::default() };
        let placed = self.store()?.count_workers(&filter).await?;
        let tenants = usize::try_from(placed).unwrap_or(usize::MAX);
        if own.is_none() && tenants == 0 {
            return Err(Error::UnknownNode { node: id.clone() });
        }
        Ok(NodeStatus::known(id.clone(), tenants, own))
    }

    pub async fn cordon(&self, id: &NodeId, by: &Requester) -> Result<NodeStatus, Error> {
        self.get_node(id).await?;
        let changed = self.store()?.cordon(id, by).await?;
        tracing::info!(node = %id, changed, "node cordoned");
        self.get_node(id).await
    }

    pub async fn uncordon(&self, id: &NodeId, by: &Requester) -> Result<NodeStatus, Error> {
        let before = self.get_node(id).await?;
        let changed = self.store()?.uncordon(id, by).await?;
        tracing::info!(node = %id, changed, "node uncordoned");
        self.after_the_last_order(before).await
    }

    pub async fn set_restart_window(
        &self,
        id: &NodeId,
        window: Duration,
        by: &Requester,
    ) -> Result<NodeStatus, Error> {
        let survey = self.survey().await?;
        may_open_window(&survey, id)?;
        let live = survey.nodes.get(id).ok_or_else(|| Error::UnknownNode { node: id.clone() })?;
        self.store()?.set_restart_window(id, live.incarnation, window, by).await?;
        tracing::info!(node = %id, ?window, "restart window opened");
        self.get_node(id).await
    }

    pub async fn clear_restart_window(&self, id: &NodeId, by: &Requester) -> Result<NodeStatus, Error> {
        let before = self.get_node(id).await?;
        let changed = self.store()?.clear_restart_window(id, by).await?;
        tracing::info!(node = %id, changed, "restart window closed");
        self.after_the_last_order(before).await
    }

    /// The node after an order on it was withdrawn. One that is not live may have been known by that order alone.
    async fn after_the_last_order(&self, before: NodeStatus) -> Result<NodeStatus, Error> {
        match self.get_node(&before.node).await {
            Err(Error::UnknownNode { node }) => Ok(NodeStatus::known(node, before.tenants, None)),
            found => found,
        }
    }

    /// The live nodes and what is assigned to them. The two lists are read one after the other: a count may be a moment
    /// older than the node.
    async fn live_nodes(&self) -> Result<Vec<(NodeRecord, Option<AssignmentRecord>)>, Error> {
        let registry = self.registry();
        let mut assigned = BTreeMap::new();
        for entry in registry.list(keys::ASSIGNMENTS).await?.entries {
            if let Some(Key::Assignments(node)) = Key::parse(&entry.key) {
                assigned.insert(node, keys::decode::<AssignmentRecord>(&entry)?);
            }
        }
        let mut nodes = Vec::new();
        for entry in registry.list(keys::NODES).await?.entries {
            let record: NodeRecord = keys::decode(&entry)?;
            let own = assigned.remove(&record.node);
            nodes.push((record, own));
        }
        Ok(nodes)
    }

    /// By node.
    async fn node_orders(&self) -> Result<BTreeMap<NodeId, NodeOrders>, Error> {
        let orders = self.store()?.node_orders().await?;
        Ok(orders.into_iter().map(|orders| (orders.node.clone(), orders)).collect())
    }
}

impl NodeStatus {
    /// A live node with what is assigned to this life of it.
    fn live(record: NodeRecord, assigned: Option<&AssignmentRecord>, orders: Option<NodeOrders>) -> Self {
        let own = assigned.filter(|assigned| assigned.incarnation == record.incarnation);
        let is_owned = |phase: Phase| matches!(phase, Phase::Active | Phase::Releasing);
        let tenants = own.map_or(0, |own| own.entries.iter().filter(|entry| is_owned(entry.phase)).count());
        Self { node: record.node.clone(), live: Some(record), tenants, orders, demand: None }
    }

    /// A node of which nothing is known but its tenants and what is ordered.
    fn known(node: NodeId, tenants: usize, orders: Option<NodeOrders>) -> Self {
        Self { node, live: None, tenants, orders, demand: None }
    }
}

//! All that can be told of one worker: what is kept of it, and what its node knows at this moment.

use roost_cluster::{keys, records::NodeRecord};
use roost_model::ids::{NodeId, TenantId};
use roost_store::{ConditionChange, ListedSnapshot, QueueDepths, Tenant, Worker};

use super::{App, Error, Waits};
use crate::node_rpc::{NodeSilence, WorkerVitals};

#[derive(Debug)]
pub struct WorkerDescription {
    pub worker: Worker,
    pub tenant: Tenant,
    pub queues: QueueDepths,
    /// Of its session.
    pub newest_snapshot: Option<ListedSnapshot>,
    /// What its node says, or why it says nothing; `None` while it is on no node.
    pub live: Option<Result<LiveWorker, NodeProblem>>,
}

/// What a node says of a worker.
#[derive(Debug)]
pub struct LiveWorker {
    pub node: NodeId,
    pub vitals: WorkerVitals,
}

/// Why nothing is told that only a node knows.
#[derive(Debug, thiserror::Error)]
pub enum NodeProblem {
    #[error(transparent)]
    Silent(#[from] NodeSilence),
    #[error("where node {node} is cannot be looked up: {source}")]
    Unknown { node: NodeId, source: Box<Error> },
}

impl From<NodeProblem> for Error {
    fn from(problem: NodeProblem) -> Self {
        match problem {
            NodeProblem::Silent(silence) => Self::Node(silence.into()),
            NodeProblem::Unknown { source, .. } => *source,
        }
    }
}

impl App {
    /// Five short reads and one question to the node. Only the database has to be there.
    pub async fn describe_worker(&self, id: &TenantId) -> Result<WorkerDescription, Error> {
        let store = self.store()?;
        let worker = store.get_worker(id).await?;
        let node = worker.node.clone();
        let live = async {
            match node {
                Some(node) => Some(self.inspect(&node, id).await),
                None => None,
            }
        };
        let kept = async {
            let tenant = store.get_tenant(id).await?;
            let queues = store.queue_depths(id).await?;
            let snapshots = store.session_snapshots(id).await?;
            let newest_snapshot = snapshots.into_iter().find(|snapshot| snapshot.is_newest);
            let worker = Waits::new(self).tell(worker).await;
            Ok::<_, Error>((tenant, queues, newest_snapshot, worker))
        };
        let (kept, live) = tokio::join!(kept, live);
        let (tenant, queues, newest_snapshot, worker) = kept?;
        Ok(WorkerDescription { worker, tenant, queues, newest_snapshot, live })
    }

    /// Newest first.
    pub async fn condition_changes(&self, id: &TenantId) -> Result<Vec<ConditionChange>, Error> {
        let store = self.store()?;
        // A tenant that is not there is told from one of which nothing is kept.
        store.get_tenant(id).await?;
        Ok(store.condition_changes(id).await?)
    }

    async fn inspect(&self, node: &NodeId, tenant: &TenantId) -> Result<LiveWorker, NodeProblem> {
        let record = self.live_node(node).await?;
        let vitals = self.node_rpc.inspect_worker(&record, tenant).await?;
        Ok(LiveWorker { node: node.clone(), vitals })
    }

    /// The record of a node that is live, which says where it is asked.
    pub(super) async fn live_node(&self, node: &NodeId) -> Result<NodeRecord, NodeProblem> {
        let unknown = |source| NodeProblem::Unknown { node: node.clone(), source: Box::new(source) };
        let found = self.registry().get(&keys::node(node)).await.map_err(|error| unknown(error.into()))?;
        let entry = found.ok_or_else(|| NodeSilence::NotLive { node: node.clone() })?;
        keys::decode(&entry).map_err(|error| unknown(error.into()))
    }
}

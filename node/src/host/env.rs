//! What the parts of a host share: [`HostEnv`] as long as the process lives, [`IncarnationEnv`] as long as one lease of it does.

use std::sync::Arc;

use roost_cluster::{lease_deadline::Standing, registry::SharedRegistry, timing::Timing};
use tokio::sync::{Notify, watch};

use super::{
    endings::Endings, impairments::Impairments, node_memory::PublishedMemory, worker_table::WorkerTable,
};
use crate::{
    env::NodeEnv,
    guard::GuardLink,
    health::NodeHealth,
    worker::{OwnershipCheck, WorkerTiming},
    worker_log::WorkerLog,
};

/// What outlives an incarnation.
pub(super) struct HostEnv {
    pub(super) node: Arc<NodeEnv>,
    pub(super) registry: SharedRegistry,
    pub(super) guard: Arc<GuardLink>,
    pub(super) timing: Timing,
    pub(super) worker_timing: WorkerTiming,
    pub(super) workers: WorkerTable,
    pub(super) worker_log: WorkerLog,
    pub(super) health: NodeHealth,
    pub(super) impairments: Impairments,
    pub(super) memory: PublishedMemory,
    /// Of workers that ended by themselves.
    pub(super) endings: Endings,
    /// Notified when a deleted tenant has left the node.
    pub(super) removed: Notify,
}

/// What all tenants of one incarnation share.
pub(super) struct IncarnationEnv {
    pub(super) host: Arc<HostEnv>,
    pub(super) standing: watch::Receiver<Standing>,
    pub(super) ownership: Arc<dyn OwnershipCheck>,
}

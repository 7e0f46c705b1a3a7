//! Why a node ends other than by being asked to.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use roost_cluster::registry::RegistryError;
use roost_engine::EngineError;
use roost_model::ids::NodeId;
use roost_store::StoreError;

use super::object_store_mark::WrongObjectStore;
use crate::session::SessionError;

/// Why this node has no place in this cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongCluster {
    #[error(
        "etcd belongs to the cluster {theirs} and this node was given the name {ours}: correct --cluster or --etcd"
    )]
    Name { theirs: String, ours: String },
    #[error(
        "the cluster's lease TTL is {theirs:?} and this node was given {ours:?}: give --lease-ttl the same in all processes"
    )]
    Ttl { theirs: Duration, ours: Duration },
    #[error(
        "etcd belongs to the database {theirs} and this node reaches the database {ours}: correct --database-url or --etcd"
    )]
    Database { theirs: String, ours: String },
}

/// Why a node ended.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Two nodes of one name would take each other's tenants for their own.
    #[error(
        "the node id {node} is in use by a live node at {address}: give this one another --id, or stop that one"
    )]
    NameInUse { node: NodeId, address: String },
    #[error(transparent)]
    WrongCluster(#[from] WrongCluster),
    #[error(transparent)]
    WrongObjectStore(#[from] WrongObjectStore),
    #[error("the registry cannot be used")]
    Registry(#[from] RegistryError),
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    #[error("the engine cannot be used")]
    Engine(#[from] EngineError),
    #[error("{flag} {address} cannot be served")]
    Listen { flag: &'static str, address: SocketAddr, source: io::Error },
    #[error("the tenants' logs cannot be kept in {dir}", dir = dir.display())]
    WorkerLog { dir: PathBuf, source: io::Error },
    #[error("what imports of sessions have left cannot be removed")]
    Imports(#[source] SessionError),
    #[error("--announce {path} cannot be written", path = path.display())]
    Announce { path: PathBuf, source: io::Error },
    #[error("this program does not find itself")]
    Myself(#[source] io::Error),
    #[error("the signals cannot be received")]
    Signals(#[source] io::Error),
}

impl HostError {
    /// Starting again would end the same way.
    pub fn is_final(&self) -> bool {
        match self {
            Self::NameInUse { .. }
            | Self::WrongCluster(_)
            | Self::WrongObjectStore(_)
            | Self::Engine(EngineError::ForeignLibrary { .. })
            | Self::Registry(RegistryError::Refused { .. }) => true,
            Self::Store(error) => error.is_final(),
            _ => false,
        }
    }
}

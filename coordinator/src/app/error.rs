//! Why an order is not carried out or a question not answered.

use std::sync::Arc;

use roost_cluster::{ledger::LedgerError, registry::RegistryError};
use roost_model::ids::{NodeId, OperationId};
use roost_store::{OperationState, StoreError};

use super::Refusal;
use crate::node_rpc::NodeFailure;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The database has not been found to have this program's schema yet.
    #[error("the database has not been reached, or its schema not been brought up to date, since the start")]
    NotMigrated(Option<FailedMigration>),
    /// The order makes no sense as things are.
    #[error("{0}")]
    Refused(Refusal),
    /// An operation was to be started where one runs.
    #[error("{what}")]
    OperationRuns { operation: OperationId, what: String },
    /// An operation was to be cancelled that has ended.
    #[error("operation {id} has ended")]
    OperationOver { id: OperationId, state: OperationState },
    #[error("operation {id} has not paused")]
    OperationNotPaused { id: OperationId, state: OperationState },
    #[error("there is no operation {id}")]
    NoOperation { id: OperationId },
    /// It is not live, and nothing is known of it.
    #[error("there is no live node {:?}", node.as_str())]
    UnknownNode { node: NodeId },
    /// A node has not done what it was to do.
    #[error(transparent)]
    Node(#[from] NodeFailure),
    #[error("no node takes a session to be imported: {why}")]
    NoNodeForImport { why: String },
    /// Its caller has sent no end.
    #[error("the import broke off before its end; nothing was imported")]
    ImportBrokenOff,
    #[error("{limit} streams are open already")]
    TooManyStreams { limit: usize },
    /// What a stream follows could not be read.
    #[error(transparent)]
    Feed(Arc<StoreError>),
    /// A stream's caller has not read of more that has gone than is kept.
    #[error("the stream was read too slowly: what it has missed is not known any more")]
    TooSlow,
    #[error("the coordinator is stopping")]
    Stopping,
}

/// Why the last attempt to bring the schema up to date has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedMigration {
    /// Else it answers, and a person has to see to what it says.
    pub is_away: bool,
    pub reason: String,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

//! Why a node has not answered, or not done what it was to do.

use roost_model::ids::NodeId;
use roost_proto::error::ApiError;
use roost_tls::Advice;
use tonic::{Code, Status};

/// Why a node has not answered, in one line for an operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeSilence {
    #[error("node {node} is not live")]
    NotLive { node: NodeId },
    #[error("node {node} is of a version that cannot be asked: bring it to this coordinator's")]
    OldVersion { node: NodeId },
    #[error(
        "node {node} answers by TLS alone: give this coordinator --rpc-tls-cert-file, --rpc-tls-key-file and --rpc-tls-ca-file"
    )]
    WithTls { node: NodeId },
    #[error(
        "node {node} has no TLS, and this coordinator no --cluster-secret-file: give the node --rpc-tls-cert-file, \
         --rpc-tls-key-file and --rpc-tls-ca-file"
    )]
    WithoutTls { node: NodeId },
    #[error(
        "node {node} cannot be reached at {address} by TLS: {advice}; see --rpc-tls-cert-file and --rpc-tls-ca-file of both, whose \
         names have to be {node}.node.roost and coordinator.roost"
    )]
    Tls { node: NodeId, address: String, advice: Advice },
    #[error("node {node} cannot be reached at {address}: {reason}")]
    Unreachable { node: NodeId, address: String, reason: String },
    #[error(
        "node {node} does not take this coordinator's cluster secret: give every node and coordinator the same \
         --cluster-secret-file"
    )]
    ForeignSecret { node: NodeId },
    /// It has let go of it, or not heard of it yet.
    #[error("node {node} does not hold the tenant at this moment")]
    NotHeld { node: NodeId },
}

/// What came of an order to a node that was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum NodeFailure {
    /// In its own words.
    #[error(transparent)]
    Refused(#[from] ApiError),
    #[error(transparent)]
    Silent(#[from] NodeSilence),
    /// It had begun.
    #[error("the node does not answer any more ({reason}); {look}")]
    BrokenOff { reason: String, look: &'static str },
}

/// A status that a node has given has its details; one that tells of the connection has none. That it does not take this coordinator's
/// secret is no answer to what was asked.
pub(super) fn refusal(status: &Status) -> Option<ApiError> {
    let is_answer = !status.details().is_empty() && status.code() != Code::Unauthenticated;
    ApiError::from_status(status).filter(|_| is_answer)
}

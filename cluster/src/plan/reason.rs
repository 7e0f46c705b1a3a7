//! Why a decision was made: for the log, for operators, and for tests.

use std::fmt;

use roost_model::ids::{Generation, NodeId};

const MIB: u64 = 1 << 20;

/// Why a tenant needed a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The ledger has it nowhere.
    New,
    /// The node that had it is not there any more.
    NodeLost { node: NodeId },
    /// The node that had it has let go of it.
    Moved { from: NodeId },
    /// It goes back to where it was: a new life of the node, or a new generation on it.
    Restarted,
}

/// Why it was that node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    Pinned,
    /// An operator moves it there.
    MoveTarget,
    /// The node has prepared for it.
    Prepared,
    /// It was there last.
    Returns,
    /// The first in the tenant's order, but for `skipped` ones that are full, at their most, or not open.
    Order {
        skipped: usize,
    },
    /// The first in the tenant's order of those that have less than their least.
    FillsUp,
    /// Every node is at its most; this is the first in the tenant's order that still has room.
    AboveBand {
        most: usize,
    },
    /// No open node has room; this is the first suspect or impaired one in the tenant's order that has.
    LastResort,
}

/// Why an entry cannot stay where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseReason {
    Stopped,
    Deleted,
    NodeLeaving,
    NodeDraining,
    /// Something that the node's work needs is missing, for long.
    NodeImpaired,
    PinnedElsewhere {
        node: NodeId,
    },
    /// An operator moves it.
    MovedTo {
        node: NodeId,
    },
    /// An operator moves it, wherever its place is then.
    MovedAway,
    /// The ledger has another generation than the entry: no write of the worker is taken.
    Fenced {
        published: Generation,
        ledger: Generation,
    },
    /// Another live node has a later entry of it.
    Superseded {
        by: NodeId,
    },
    /// Rebalance: the node is above its most.
    TooFull {
        load: usize,
        most: usize,
    },
    /// Rebalance: others have less than their least.
    OthersTooEmpty {
        load: usize,
        least: usize,
    },
}

/// Why a tenant that needs a node is not given one. One that should run waits; one that should move stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    NoOpenNode,
    EveryNodeFull,
    /// On the node that it has to be on; else on any, of which the one that has most free is told.
    NotEnoughMemory {
        node: Option<NodeId>,
        request_bytes: u64,
        free_bytes: u64,
    },
    PinnedNodeFull {
        node: NodeId,
    },
    /// Gone, cordoned or leaving.
    PinnedNodeUnavailable {
        node: NodeId,
    },
    MoveTargetFull {
        node: NodeId,
    },
    /// Gone, cordoned or leaving.
    MoveTargetUnavailable {
        node: NodeId,
    },
    /// It has lately not got ready.
    MoveTargetUnprepared {
        node: NodeId,
    },
    /// An operator moves it, but a pin says where it has to be.
    PinnedElsewhere {
        node: NodeId,
    },
    /// Its node is away for a moment.
    NodeRestarting {
        node: NodeId,
    },
    /// Its node is gone, and nothing is to be moved for that now.
    FailoverPaused {
        node: NodeId,
    },
    /// Its node is gone with many others, and those before it have to come up first.
    FailoverPaced {
        node: NodeId,
    },
    /// It may be on a node with a record that cannot be read.
    RecordUnreadable {
        node: NodeId,
        reason: String,
    },
}

impl ReleaseReason {
    /// Whether it is asked for by [`super::Goal::Rebalance`] only.
    pub fn is_rebalance(&self) -> bool {
        matches!(self, Self::TooFull { .. } | Self::OthersTooEmpty { .. })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("it is placed nowhere"),
            Self::NodeLost { node } => write!(f, "its node {node} is gone"),
            Self::Moved { from } => write!(f, "{from} has let go of it"),
            Self::Restarted => f.write_str("it has to begin anew"),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned => f.write_str("it is pinned there"),
            Self::MoveTarget => f.write_str("an operator moves it there"),
            Self::Prepared => f.write_str("it has prepared for it"),
            Self::Returns => f.write_str("it was there last"),
            Self::Order { skipped: 0 } => f.write_str("the first in its order"),
            Self::Order { skipped } => {
                write!(f, "the first in its order after {skipped} without room for it")
            }
            Self::FillsUp => f.write_str("the first in its order of those with too few"),
            Self::AboveBand { most } => {
                write!(f, "the first in its order with room, although it has its {most}")
            }
            Self::LastResort => {
                f.write_str("the first suspect or impaired one in its order, for no other has room")
            }
        }
    }
}

impl fmt::Display for ReleaseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("it is to be stopped"),
            Self::Deleted => f.write_str("it is deleted"),
            Self::NodeLeaving => f.write_str("the node is leaving"),
            Self::NodeDraining => f.write_str("the node is being drained"),
            Self::NodeImpaired => f.write_str("the node is impaired"),
            Self::PinnedElsewhere { node } => write!(f, "it is pinned to {node}"),
            Self::MovedTo { node } => write!(f, "an operator moves it to {node}"),
            Self::MovedAway => f.write_str("an operator moves it away"),
            Self::Fenced { published, ledger } => {
                write!(f, "its generation there is {published}, the ledger's is {ledger}")
            }
            Self::Superseded { by } => write!(f, "{by} has a later entry"),
            Self::TooFull { load, most } => write!(f, "the node has {load} and should have {most} at most"),
            Self::OthersTooEmpty { load, least } => {
                write!(f, "others have too few; the node has {load} and should have {least} at least")
            }
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOpenNode => f.write_str("no node takes tenants"),
            Self::EveryNodeFull => f.write_str("every node is full"),
            Self::NotEnoughMemory { node, request_bytes, free_bytes } => {
                let (needed, free) = (request_bytes.div_ceil(MIB), free_bytes / MIB);
                match node {
                    Some(node) => {
                        write!(f, "it needs {needed} MiB of memory and {free} MiB are free on {node}")
                    }
                    None => {
                        write!(f, "it needs {needed} MiB of memory and no node has more than {free} MiB free")
                    }
                }
            }
            Self::PinnedNodeFull { node } => write!(f, "it is pinned to {node}, which is full"),
            Self::PinnedNodeUnavailable { node } => {
                write!(f, "it is pinned to {node}, which takes no tenants")
            }
            Self::MoveTargetFull { node } => write!(f, "{node}, where it is moved to, is full"),
            Self::MoveTargetUnavailable { node } => {
                write!(f, "{node}, where it is moved to, takes no tenants")
            }
            Self::MoveTargetUnprepared { node } => {
                write!(f, "{node}, where it is to go, has lately not got ready for it")
            }
            Self::PinnedElsewhere { node } => write!(f, "it is pinned to {node}"),
            Self::NodeRestarting { node } => write!(f, "its node {node} is restarting"),
            Self::RecordUnreadable { node, reason } => {
                write!(f, "its node {node} has a record in etcd that cannot be read: {reason}")
            }
            Self::FailoverPaused { node } => write!(f, "its node {node} is gone and failover is held"),
            Self::FailoverPaced { node } => {
                write!(f, "its node {node} is gone with others, whose tenants are started a few at a time")
            }
        }
    }
}

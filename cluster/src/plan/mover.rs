//! What is on its way from one live node to another, or should be: for the progress of operations and for dry runs.

use std::fmt;

use roost_model::ids::{NodeId, TenantId};

use super::{ReleaseReason, WaitReason};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mover {
    pub tenant: TenantId,
    pub from: NodeId,
    /// None: it is chosen once the tenant has been let go, or there is none.
    pub to: Option<NodeId>,
    /// `NodeLeaving` for those that are not prepared but released at once.
    pub reason: ReleaseReason,
    pub state: MoverState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoverState {
    /// For its turn: the pace does not let it begin yet.
    Waiting,
    /// The next node prepares, or is ready and the pace does not let the present one stop yet.
    Preparing,
    /// The present node stops it.
    Releasing,
    /// It stays where it is: no node can take it, and why.
    Stuck(WaitReason),
}

impl fmt::Display for Mover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, from, reason, state, .. } = self;
        match &self.to {
            Some(to) => write!(f, "move {tenant} from {from} to {to}: {reason}; {state}"),
            None => write!(f, "move {tenant} from {from}: {reason}; {state}"),
        }
    }
}

impl fmt::Display for MoverState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("it waits for its turn"),
            Self::Preparing => f.write_str("it is being prepared"),
            Self::Releasing => f.write_str("it is being released"),
            Self::Stuck(reason) => write!(f, "it stays, for {reason}"),
        }
    }
}

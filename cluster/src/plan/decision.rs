//! What a plan says: what is to be done, and what is on its way from one live node to another.

use std::fmt;

use super::reason::{Cause, Choice, ReleaseReason, WaitReason};
use roost_model::ids::{NodeId, TenantId};

/// What is to be done, in the order of tenants. What is not mentioned stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub decisions: Vec<Decision>,
    /// Every tenant that is on its way from one live node to another, or should be, for the progress of operations and
    /// for dry runs; in the order of tenants. Those that have not begun may be given another target by the next plan.
    pub moves: Vec<TenantMove>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub tenant: TenantId,
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The node gets it under a new generation.
    Place { node: NodeId, cause: Cause, choice: Choice },
    /// The node prepares to take it over from `from`, which goes on running it; it is released there once this one is
    /// ready.
    Prepare { node: NodeId, from: NodeId, reason: ReleaseReason, choice: Choice },
    /// Nothing comes of a preparation: its entry goes.
    Forget { node: NodeId },
    /// The node has to stop it; it goes on counting there until it is removed.
    Release { node: NodeId, reason: ReleaseReason },
    /// The node has let go of it: its entry goes.
    Remove { node: NodeId },
    /// It should run and cannot.
    Wait { reason: WaitReason },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantMove {
    pub tenant: TenantId,
    pub from: NodeId,
    /// None: it is chosen once the tenant has been let go, or there is none.
    pub to: Option<NodeId>,
    /// `NodeLeaving` for those that are not prepared but released at once.
    pub reason: ReleaseReason,
    pub state: MoveState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoveState {
    /// For its turn: the limits do not let it begin yet.
    Waiting,
    /// The next node prepares, or is ready and the limits do not let the present one stop yet.
    Preparing,
    /// The present node stops it.
    Releasing,
    /// It stays where it is: no node can take it, and why.
    Stuck(WaitReason),
}

impl Plan {
    /// Nothing is to be done. There may be moves that wait.
    pub fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }

    pub fn placements(&self) -> impl Iterator<Item = (&TenantId, &NodeId)> {
        self.decisions.iter().filter_map(|decision| match &decision.action {
            Action::Place { node, .. } => Some((&decision.tenant, node)),
            Action::Prepare { .. }
            | Action::Forget { .. }
            | Action::Release { .. }
            | Action::Remove { .. }
            | Action::Wait { .. } => None,
        })
    }
}

impl Decision {
    /// Of two decisions about one tenant the one about the first node comes first.
    pub(super) fn sort_key(&self) -> (&TenantId, Option<&NodeId>) {
        let node = match &self.action {
            Action::Place { node, .. }
            | Action::Prepare { node, .. }
            | Action::Forget { node }
            | Action::Release { node, .. }
            | Action::Remove { node } => Some(node),
            Action::Wait { .. } => None,
        };
        (&self.tenant, node)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.decisions.is_empty() {
            return f.write_str("nothing to do");
        }
        for (at, decision) in self.decisions.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{decision}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.action.write(&self.tenant, f)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(&"it", f)
    }
}

impl Action {
    fn write(&self, tenant: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place { node, cause, choice } => write!(f, "place {tenant} on {node}: {cause}; {choice}"),
            Self::Prepare { node, from, reason, choice } => {
                write!(f, "prepare {tenant} on {node}: it leaves {from}, for {reason}; {choice}")
            }
            Self::Forget { node } => write!(f, "forget {tenant} on {node}: it does not move there"),
            Self::Release { node, reason } => write!(f, "release {tenant} from {node}: {reason}"),
            Self::Remove { node } => write!(f, "remove {tenant} from {node}: it has let go"),
            Self::Wait { reason } => write!(f, "hold {tenant} back: {reason}"),
        }
    }
}

impl fmt::Display for TenantMove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, from, reason, state, .. } = self;
        match &self.to {
            Some(to) => write!(f, "move {tenant} from {from} to {to}: {reason}; {state}"),
            None => write!(f, "move {tenant} from {from}: {reason}; {state}"),
        }
    }
}

impl fmt::Display for MoveState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("it waits for its turn"),
            Self::Preparing => f.write_str("it is being prepared"),
            Self::Releasing => f.write_str("it is being released"),
            Self::Stuck(reason) => write!(f, "it stays, for {reason}"),
        }
    }
}

//! The one function that places tenants (I4). A failover, a new tenant, a drain, a rebalance, one tenant's move: each
//! is a different [`Snapshot`] and the same [`plan`].
//!
//! It goes in steps, each over the result of the one before:
//!
//! 1. what the live nodes have (`holds`): entries that were let go are removed, entries that must not stay are
//!    released, and the others stay where they are unless somebody asks them to go;
//! 2. what the live nodes prepare (`warm`): preparations that still serve count as moves that have been made, so that
//!    the same snapshot, planned again and again, moves nothing twice; the others are forgotten;
//! 3. the band of every open node (`band`): the least and the most that it should have;
//! 4. a node for every tenant that should run and that no live node has (`place`);
//! 5. a node for every tenant that is asked to go: pinned elsewhere, moved, drained (`moves`);
//! 6. with [`Goal::Rebalance`] only, the moves that bring every node into its band (`rebalance`);
//! 7. which of the moves begin or go on now (`pace`).
//!
//! Where a tenant goes is decided in one place for 4 and 5 (`choose`), by what each node has room for (`rooms`).
//!
//! A move is a [`Action::Prepare`] on the next node, then, once that is ready, a [`Action::Release`] of the present
//! one; what follows is what follows every release. All moves are decided in each plan, and only as many are begun as
//! the [`Pace`] allows: [`Plan::movers`] lists them all, which is also what a dry run shows.
//!
//! Why this keeps I1: a tenant is placed only while no live node has an entry of it that owns, in any phase. Such an
//! entry leaves a live node in one way, step 1's `Remove`, after that life of the node has acknowledged that the
//! browser is dead. A removal and the placement that follows it are never in one plan, so that a plan of which only a
//! part is published cannot have added the new owner before the old one was removed. A preparation owns nothing.

use roost_model::ids::{NodeId, TenantId};
mod band;
#[cfg(any(test, debug_assertions))]
mod check;
mod choose;
mod draft;
mod explain;
mod holds;
mod mover;
mod moves;
mod pace;
mod place;
mod reason;
mod rebalance;
mod rooms;
mod snapshot;
#[cfg(test)]
mod tests;
mod warm;

use draft::Draft;
pub use explain::{Candidate, Explanation, Outlook, Trigger, Verdict, explain};
pub use mover::{Mover, MoverState};
pub use reason::{Cause, Choice, ReleaseReason, WaitReason};
pub use snapshot::{Goal, Hold, Intake, NodeView, Pace, Snapshot, TenantView, Wanted, Warm};

/// What is to be done, in the order of tenants. What is not mentioned stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub decisions: Vec<Decision>,
    /// Every tenant that is on its way from one live node to another, or should be; in the order of tenants. Those that
    /// have not begun may be given another target by the next plan.
    pub movers: Vec<Mover>,
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

/// See the module.
pub fn plan(snapshot: &Snapshot) -> Plan {
    let plan = Draft::finished(snapshot).into_plan();
    #[cfg(debug_assertions)]
    debug_assert_eq!(check::broken_rule(snapshot, &plan), None, "{plan}");
    plan
}

impl Plan {
    /// Nothing is to be done. There may be movers that wait.
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
    fn sort_key(&self) -> (&TenantId, Option<&NodeId>) {
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

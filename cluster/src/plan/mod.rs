//! The one function that places tenants (I4). A failover, a new tenant, a drain, a rebalance, one tenant's move: each
//! is a different [`Snapshot`] and the same [`plan`].
//!
//! It goes in steps, each over the result of the one before:
//!
//! 1. what the live nodes have (`planner`): entries that were let go are removed, entries that must not stay are
//!    released, and the others stay where they are unless somebody asks them to go;
//! 2. what the live nodes prepare (`planner`): those that still serve count as moves that have been made, so that the
//!    same snapshot, planned again and again, moves nothing twice; the others are forgotten;
//! 3. the band of every open node (`node_loads`): the least and the most that it should have;
//! 4. a node for every tenant that should run and that no live node has (`assign`);
//! 5. a node for every tenant that is asked to go: pinned elsewhere, moved, drained (`assign`);
//! 6. with [`Goal::Rebalance`] only, the moves that bring every node into its band (`rebalance`);
//! 7. which of the moves begin or go on now (`throttle`).
//!
//! `planner` takes the steps in this order; what they pass on is the `draft`. Whether a node takes a tenant at all is one
//! rule, which explanations and the refusal of orders ask too ([`Snapshot::admits`], in `assign`); which of those nodes it
//! goes to is decided beside it, by how much each of them has (`node_loads`).
//!
//! A move is a [`Action::Prepare`] on the next node, then, once that is ready, a [`Action::Release`] of the present
//! one; what follows is what follows every release. All moves are decided in each plan, and only as many are begun as
//! the [`MoveLimits`] allow: [`Plan::moves`] lists them all, which is also what a dry run shows.
//!
//! Why this keeps I1: a tenant is placed only while no live node has an entry of it that owns, in any phase. Such an
//! entry leaves a live node in one way, step 1's `Remove`, after that life of the node has acknowledged that the
//! browser is dead. A removal and the placement that follows it are never in one plan, so that a plan of which only a
//! part is published cannot have added the new owner before the old one was removed. A preparation owns nothing.

mod assign;
#[cfg(any(test, debug_assertions))]
mod check;
mod decision;
mod draft;
mod explain;
mod explanation;
mod node_loads;
mod planner;
mod reason;
mod rebalance;
mod snapshot;
#[cfg(test)]
mod tests;
mod throttle;

pub use assign::AdmissionDenial;
pub use decision::{Action, Decision, MoveState, Plan, TenantMove};
pub use explain::explain;
pub use explanation::{Candidate, Explanation, Outlook, Trigger, Verdict};
pub use planner::plan;
pub use reason::{Cause, Choice, ReleaseReason, WaitReason};
pub use snapshot::{Goal, Hold, Intake, MoveLimits, NodeView, Preparation, Snapshot, TenantView, Wanted};

//! The one function that places tenants (I4). A failover, a new tenant, a node that leaves, a rebalance: each is a
//! different [`Snapshot`] and the same [`plan`].
//!
//! It goes in steps, each over the result of the one before:
//!
//! 1. what the live nodes have (`holds`): entries that were let go are removed, entries that must not stay are
//!    released, and the others stay where they are, for nothing moves that need not;
//! 2. the band of every open node (`band`): the least and the most that it should have;
//! 3. with [`Goal::Rebalance`] only, releases that bring every node into its band (`rebalance`);
//! 4. a node for every tenant that should run and that no live node has (`choose`).
//!
//! Why this keeps I1: a tenant is placed only while no live node has an entry of it, in any phase. An entry leaves a
//! live node in one way, step 1's `Remove`, after that life of the node has acknowledged that the browser is dead.
//! A removal and the placement that follows it are never in one plan, so that a plan of which only a part is
//! published cannot have added the new owner before the old one was removed.

use std::collections::BTreeMap;

use crate::ids::{Generation, NodeId, TenantId};
use crate::records::Phase;

mod band;
#[cfg(any(test, debug_assertions))]
mod check;
mod choose;
mod holds;
mod reason;
mod rebalance;
#[cfg(test)]
mod tests;

pub use reason::{Cause, Choice, ReleaseReason, WaitReason};

/// All that a plan depends on. The order of the lists does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Live ones only.
    pub nodes: Vec<NodeView>,
    /// Every tenant that is wanted or that a live node has.
    pub tenants: Vec<TenantView>,
    pub goal: Goal,
}

/// How much may be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Only what must be.
    Settle,
    /// Also what brings every node into its band.
    Rebalance,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    pub node: NodeId,
    /// The most tenants it takes.
    pub capacity: u32,
    /// Its share relative to the other nodes; one of weight 0 takes no tenant that is not pinned to it.
    pub weight: u32,
    pub intake: Intake,
}

/// Whether a live node takes tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    Open,
    /// It keeps what it has and takes nothing.
    Cordoned,
    /// It hands over what it has and takes nothing.
    Leaving,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantView {
    pub tenant: TenantId,
    pub wanted: Wanted,
    /// The ledger's: an entry of another one cannot write.
    pub generation: Generation,
    /// Where the ledger had it last.
    pub last: Option<NodeId>,
    /// The only node that may have it.
    pub pin: Option<NodeId>,
    /// Its entries on live nodes: none or one, but the plan does not rely on that.
    pub holds: Vec<Hold>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Running,
    Stopped,
    Deleted,
}

/// An entry of a tenant on a live node, addressed to its present life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub node: NodeId,
    pub generation: Generation,
    pub phase: Phase,
    /// The node has taken the entry in as it is and says that it does not have the tenant (any more).
    pub let_go: bool,
}

/// What is to be done, in the order of tenants. What is not mentioned stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub decisions: Vec<Decision>,
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
    /// The node has to stop it; it goes on counting there until it is removed.
    Release { node: NodeId, reason: ReleaseReason },
    /// The node has let go of it: its entry goes.
    Remove { node: NodeId },
    /// It should run and cannot.
    Wait { reason: WaitReason },
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }

    pub fn placements(&self) -> impl Iterator<Item = (&TenantId, &NodeId)> {
        self.decisions.iter().filter_map(|decision| match &decision.action {
            Action::Place { node, .. } => Some((&decision.tenant, node)),
            Action::Release { .. } | Action::Remove { .. } | Action::Wait { .. } => None,
        })
    }
}

/// The state between the steps.
struct Draft<'a> {
    nodes: Vec<&'a NodeView>,
    by_id: BTreeMap<&'a NodeId, usize>,
    /// By node: every entry that remains, whatever its phase. Counts against the capacity.
    hosted: Vec<u32>,
    /// By node: the tenants that are to stay. Counts against the band.
    staying: Vec<Vec<&'a TenantView>>,
    /// They should run and no live node has them.
    homeless: Vec<&'a TenantView>,
    /// They should run, and a node that still has them is letting go.
    in_transit: usize,
    decisions: Vec<Decision>,
}

/// See the module.
pub fn plan(snapshot: &Snapshot) -> Plan {
    let mut draft = Draft::new(snapshot);
    holds::settle(&mut draft, &snapshot.tenants);
    let bands = band::bands(&draft, snapshot.goal);
    if snapshot.goal == Goal::Rebalance {
        rebalance::release(&mut draft, &bands);
    }
    choose::place(&mut draft, &bands);
    let mut decisions = draft.decisions;
    decisions.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    let plan = Plan { decisions };
    #[cfg(debug_assertions)]
    debug_assert_eq!(check::broken_rule(snapshot, &plan), None, "{plan}");
    plan
}

impl<'a> Draft<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let mut nodes: Vec<&NodeView> = snapshot.nodes.iter().collect();
        nodes.sort_by(|a, b| a.node.cmp(&b.node));
        let by_id = nodes.iter().enumerate().map(|(at, view)| (&view.node, at)).collect();
        let count = nodes.len();
        Self {
            nodes,
            by_id,
            hosted: vec![0; count],
            staying: vec![Vec::new(); count],
            homeless: Vec::new(),
            in_transit: 0,
            decisions: Vec::new(),
        }
    }

    fn decide(&mut self, tenant: &TenantView, action: Action) {
        self.decisions.push(Decision { tenant: tenant.tenant.clone(), action });
    }

    fn is_open(&self, node: usize) -> bool {
        self.nodes[node].intake == Intake::Open
    }

    /// Whether the node takes another tenant at all.
    fn has_room(&self, node: usize) -> bool {
        self.is_open(node) && self.hosted[node] < self.nodes[node].capacity
    }

    fn load(&self, node: usize) -> usize {
        self.staying[node].len()
    }
}

impl Decision {
    /// Of two decisions about one tenant the one about the first node comes first.
    fn sort_key(&self) -> (&TenantId, Option<&NodeId>) {
        let node = match &self.action {
            Action::Place { node, .. } | Action::Release { node, .. } | Action::Remove { node } => Some(node),
            Action::Wait { .. } => None,
        };
        (&self.tenant, node)
    }
}

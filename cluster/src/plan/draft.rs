//! The state between the steps of a plan.

use std::{cell::OnceCell, collections::HashMap};

use roost_model::ids::{NodeId, TenantId};

use super::{
    decision::{Action, Decision, TenantMove},
    node_loads::NodeLoads,
    reason::{Choice, ReleaseReason, WaitReason},
    snapshot::{Intake, NodeView, Snapshot, TenantView},
};
use crate::ring::Ring;

/// Nodes and tenants are named by their places in these lists, which are ordered by id.
pub(super) struct Draft<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) nodes: Vec<&'a NodeView>,
    by_id: HashMap<&'a NodeId, usize>,
    /// Built when the first tenant's order is asked for: most plans change nothing.
    ring: OnceCell<Ring>,
    pub(super) loads: NodeLoads,
    /// Every tenant that should run.
    pub(super) tenants: Vec<PlannedTenant<'a>>,
    /// Residents that are to leave. Which of these moves begin now is for the throttle to say.
    pub(super) pending_moves: Vec<PendingMove>,
    pub(super) decisions: Vec<Decision>,
    pub(super) moves: Vec<TenantMove>,
}

/// A tenant that should run.
pub(super) struct PlannedTenant<'a> {
    pub(super) tenant: &'a TenantView,
    pub(super) state: TenantState,
    /// The preparation that stays, and later the node that it is placed on.
    pub(super) next: Option<Next>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TenantState {
    /// No live node has it. `held` if it is not to be placed now.
    Unplaced { held: Option<WaitReason> },
    /// A node has to let go of it, or has just done so. `graceful`: the release was a step of a move.
    InTransit { from: usize, graceful: bool },
    /// A node has it and may keep it, unless something `asks` it to go.
    Resident { node: usize, asks: Option<ReleaseReason> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) node: usize,
    pub(super) ready: bool,
}

/// A tenant that is to leave its node.
pub(super) struct PendingMove {
    /// Of the tenant.
    pub(super) index: usize,
    pub(super) from: usize,
    pub(super) reason: ReleaseReason,
    pub(super) stage: Stage,
}

/// The node that was chosen for a tenant, and why that one.
pub(super) struct Target {
    pub(super) node: usize,
    pub(super) choice: Choice,
}

pub(super) enum Stage {
    /// The next node is preparing, or ready.
    Prepared(Next),
    Chosen(Target),
    Stuck(WaitReason),
}

impl<'a> Draft<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let mut nodes: Vec<&NodeView> = snapshot.nodes.iter().collect();
        nodes.sort_by(|a, b| a.node.cmp(&b.node));
        Self {
            snapshot,
            by_id: nodes.iter().enumerate().map(|(at, view)| (&view.node, at)).collect(),
            ring: OnceCell::new(),
            loads: NodeLoads::new(&nodes, &snapshot.failing_zones),
            nodes,
            tenants: Vec::with_capacity(snapshot.tenants.len()),
            pending_moves: Vec::new(),
            decisions: Vec::new(),
            moves: Vec::new(),
        }
    }

    pub(super) fn decide(&mut self, tenant: &TenantView, action: Action) {
        self.decisions.push(Decision { tenant: tenant.tenant.clone(), action });
    }

    /// The place of a live node.
    pub(super) fn find(&self, node: &NodeId) -> Option<usize> {
        self.by_id.get(node).copied()
    }

    pub(super) fn id(&self, node: usize) -> NodeId {
        self.nodes[node].node.clone()
    }

    pub(super) fn intake(&self, node: usize) -> Intake {
        self.nodes[node].intake
    }

    pub(super) fn is_open(&self, node: usize) -> bool {
        self.intake(node) == Intake::Open
    }

    pub(super) fn open_nodes(&self) -> impl Iterator<Item = usize> + use<> {
        let open: Vec<usize> = (0..self.nodes.len()).filter(|&node| self.is_open(node)).collect();
        open.into_iter()
    }

    /// The tenant's order of all live nodes with a weight, whether they take tenants or not.
    pub(super) fn order(&self, tenant: &TenantId) -> impl Iterator<Item = usize> {
        let build = || Ring::new(self.nodes.iter().map(|view| (&view.node, view.weight)));
        self.ring.get_or_init(build).walk(tenant)
    }

    /// By node: whether a move of a rebalance is on its way there. A release has lost its reason by the next plan; from an
    /// open node, and without an order of its own, only a rebalance moves a tenant.
    pub(super) fn filling(&self) -> Vec<bool> {
        let mut filling = vec![false; self.nodes.len()];
        for planned in self.tenants.iter().filter(|planned| planned.is_movable()) {
            let from = match &planned.state {
                TenantState::Unplaced { .. } => planned.tenant.last.as_ref().and_then(|last| self.find(last)),
                TenantState::InTransit { from, .. } => Some(*from),
                TenantState::Resident { node, asks } => asks.is_none().then_some(*node),
            };
            if let (Some(next), Some(from)) = (planned.next, from)
                && self.is_open(from)
            {
                filling[next.node] = true;
            }
        }
        filling
    }
}

impl PlannedTenant<'_> {
    /// Whether a rebalance may move it: nobody says where it has to be.
    pub(super) fn is_movable(&self) -> bool {
        let TenantView { pin, move_to, leaves, holds, .. } = self.tenant;
        pin.is_none() && move_to.is_none() && leaves.is_none() && holds.len() <= 1
    }
}

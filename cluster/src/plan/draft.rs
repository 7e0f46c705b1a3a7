//! The state between the steps of a plan.

use std::{cell::OnceCell, collections::HashMap};

use roost_model::ids::{NodeId, TenantId};

use super::{
    Action, Decision, Goal, Intake, Mover, NodeView, Plan, ReleaseReason, Snapshot, TenantView, WaitReason,
    band, choose::Target, holds, moves, pace, place, rebalance, rooms::Rooms, warm,
};
use crate::ring::Ring;

/// Nodes and cases are named by their places in these lists, which are ordered by id.
pub(super) struct Draft<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) nodes: Vec<&'a NodeView>,
    by_id: HashMap<&'a NodeId, usize>,
    /// Built when the first tenant's order is asked for: most plans change nothing.
    ring: OnceCell<Ring>,
    pub(super) rooms: Rooms,
    /// Every tenant that should run.
    pub(super) cases: Vec<Case<'a>>,
    /// Residents that are to leave. Which of these moves begin now is for the pace to say.
    pub(super) moves: Vec<Move>,
    pub(super) decisions: Vec<Decision>,
    pub(super) movers: Vec<Mover>,
}

/// A tenant that should run.
pub(super) struct Case<'a> {
    pub(super) tenant: &'a TenantView,
    pub(super) state: State,
    /// The preparation that stays, and later the node that it is placed on.
    pub(super) next: Option<Next>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// No live node has it. `held` if it is not to be placed now.
    Homeless { held: Option<WaitReason> },
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

pub(super) struct Move {
    pub(super) case: usize,
    pub(super) from: usize,
    pub(super) reason: ReleaseReason,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    /// The next node is preparing, or ready.
    Prepared(Next),
    Chosen(Target),
    Stuck(WaitReason),
}

impl<'a> Draft<'a> {
    /// All steps of the plan.
    pub(super) fn finished(snapshot: &'a Snapshot) -> Self {
        let mut draft = Self::new(snapshot);
        holds::settle(&mut draft);
        warm::keep(&mut draft);
        band::set(&mut draft);
        if snapshot.goal == Goal::Rebalance {
            rebalance::go_on(&mut draft);
        }
        place::place(&mut draft);
        moves::choose(&mut draft);
        if snapshot.goal == Goal::Rebalance {
            rebalance::choose(&mut draft);
        }
        pace::begin(&mut draft);
        warm::forget(&mut draft);
        draft
    }

    pub(super) fn into_plan(self) -> Plan {
        let mut decisions = self.decisions;
        decisions.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        Plan { decisions, movers: self.movers }
    }

    fn new(snapshot: &'a Snapshot) -> Self {
        let mut nodes: Vec<&NodeView> = snapshot.nodes.iter().collect();
        nodes.sort_by(|a, b| a.node.cmp(&b.node));
        Self {
            snapshot,
            by_id: nodes.iter().enumerate().map(|(at, view)| (&view.node, at)).collect(),
            ring: OnceCell::new(),
            rooms: Rooms::new(&nodes, &snapshot.failing_zones),
            nodes,
            cases: Vec::with_capacity(snapshot.tenants.len()),
            moves: Vec::new(),
            decisions: Vec::new(),
            movers: Vec::new(),
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
}

impl TenantView {
    /// Whether the tenant may be on the node whatever the node's share: it is pinned or moved there.
    pub(super) fn is_sent_to(&self, node: &NodeId) -> bool {
        self.pin.as_ref().or(self.move_to.as_ref()) == Some(node)
    }

    pub(super) fn allows(&self, node: &NodeId) -> bool {
        self.pin.as_ref().is_none_or(|pin| pin == node)
    }
}

//! Why a tenant is where it is, and what would move it: the plan itself, asked about one tenant.
//!
//! What would happen if is not thought up here: the snapshot is changed and planned.

use std::fmt;

use roost_model::ids::{NodeId, TenantId};

use super::{
    Action, Goal, Intake, Mover, NodeView, Plan, Snapshot, TenantView, Wanted,
    draft::Draft,
    plan,
    rooms::{Fit, Rooms},
};
use crate::records::Phase;

mod words;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub tenant: TenantId,
    pub wanted: Wanted,
    /// The live node that has it, and how.
    pub at: Option<(NodeId, Phase)>,
    /// Where the ledger had it last.
    pub last: Option<NodeId>,
    pub pin: Option<NodeId>,
    pub move_to: Option<NodeId>,
    pub outlook: Outlook,
    /// The live nodes in the tenant's order; those without weight at the end, by name.
    pub candidates: Vec<Candidate>,
    /// What would move it from where it is; nothing while it is on its way or nowhere.
    pub triggers: Vec<Trigger>,
}

/// What the plan of this moment does with the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlook {
    Stays,
    Moves(Mover),
    /// It is not on its way to another live node, but this is done.
    Acts(Action),
    /// The node that has it is letting go of it.
    LetsGo,
    /// It should not run, and does not.
    Absent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub node: NodeId,
    pub zone: String,
    pub verdict: Verdict,
}

/// What a node is for the tenant once the plan of this moment is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has the tenant.
    Here,
    /// It prepares to take it over.
    Prepares {
        ready: bool,
    },
    NotItsPin,
    Cordoned,
    Draining,
    Leaving,
    Full {
        capacity: u32,
    },
    /// It takes only what is sent there.
    NoWeight,
    /// It takes the tenant when no open node has room.
    Suspect,
    /// It has room, but its zone is losing nodes.
    FailingZone,
    AtItsMost {
        load: usize,
        most: usize,
    },
    HasRoom {
        load: usize,
        most: usize,
    },
}

/// `to` is where it would go as things are; None: it would have nowhere to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// The loss of its node.
    Loss { to: Option<NodeId> },
    /// A drain of its node.
    Drain { to: Option<NodeId> },
    /// A rebalance, started now.
    Rebalance { to: Option<NodeId> },
    /// An operator's order: a move, or another pin if it is pinned.
    Order { pinned: bool },
}

/// None if the snapshot does not know the tenant.
pub fn explain(snapshot: &Snapshot, tenant: &TenantId) -> Option<Explanation> {
    let view = snapshot.tenants.iter().find(|view| view.tenant == *tenant)?;
    let draft = Draft::finished(snapshot);
    let candidates = candidates(&draft, view);
    let planned = draft.into_plan();
    let hold = view.holds.iter().max_by_key(|hold| (hold.generation, &hold.node));
    let outlook = outlook(planned, view);
    let triggers = match hold {
        Some(hold) if outlook == Outlook::Stays => triggers(snapshot, view, &hold.node),
        Some(_) | None => Vec::new(),
    };
    Some(Explanation {
        tenant: tenant.clone(),
        wanted: view.wanted,
        at: hold.map(|hold| (hold.node.clone(), hold.phase)),
        last: view.last.clone(),
        pin: view.pin.clone(),
        move_to: view.move_to.clone(),
        outlook,
        candidates,
        triggers,
    })
}

impl Explanation {
    pub fn stays(&self) -> bool {
        self.outlook == Outlook::Stays
    }
}

fn outlook(plan: Plan, tenant: &TenantView) -> Outlook {
    if let Some(mover) = mover_of(&plan, &tenant.tenant) {
        return Outlook::Moves(mover);
    }
    let mut own = plan.decisions.into_iter().filter(|decision| decision.tenant == tenant.tenant);
    // That a preparation is forgotten says nothing about where the tenant itself is.
    let telling = own.find(|decision| !matches!(decision.action, Action::Forget { .. }));
    match telling {
        Some(decision) => Outlook::Acts(decision.action),
        None if tenant.holds.is_empty() => Outlook::Absent,
        None if tenant.holds.iter().any(|hold| hold.phase == Phase::Active) => Outlook::Stays,
        None => Outlook::LetsGo,
    }
}

fn mover_of(plan: &Plan, tenant: &TenantId) -> Option<Mover> {
    plan.movers.iter().find(|mover| mover.tenant == *tenant).cloned()
}

fn candidates(draft: &Draft<'_>, tenant: &TenantView) -> Vec<Candidate> {
    let weightless = (0..draft.nodes.len()).filter(|&node| draft.nodes[node].weight == 0);
    let candidates = draft.order(&tenant.tenant).chain(weightless).map(|node| {
        let view = draft.nodes[node];
        let failing = draft.snapshot.failing_zones.contains(&view.zone);
        let verdict = verdict(view, &draft.rooms, node, tenant, failing);
        Candidate { node: view.node.clone(), zone: view.zone.clone(), verdict }
    });
    candidates.collect()
}

fn verdict(view: &NodeView, rooms: &Rooms, node: usize, tenant: &TenantView, failing: bool) -> Verdict {
    if tenant.holds.iter().any(|hold| hold.node == view.node) {
        return Verdict::Here;
    }
    if let Some(warm) = tenant.warm.iter().find(|warm| warm.node == view.node) {
        return Verdict::Prepares { ready: warm.ready };
    }
    let sent = tenant.is_sent_to(&view.node);
    let (load, most) = (rooms.load(node), rooms.band(node).most);
    match view.intake {
        _ if !tenant.allows(&view.node) => Verdict::NotItsPin,
        Intake::Cordoned => Verdict::Cordoned,
        Intake::Draining => Verdict::Draining,
        Intake::Leaving => Verdict::Leaving,
        _ if !rooms.has_room(node) => Verdict::Full { capacity: view.capacity },
        _ if sent => Verdict::HasRoom { load, most },
        _ if view.weight == 0 => Verdict::NoWeight,
        Intake::Suspect => Verdict::Suspect,
        Intake::Open if failing => Verdict::FailingZone,
        Intake::Open if rooms.is_within(node, Fit::WithinBand) => Verdict::HasRoom { load, most },
        Intake::Open => Verdict::AtItsMost { load, most },
    }
}

fn triggers(snapshot: &Snapshot, tenant: &TenantView, at: &NodeId) -> Vec<Trigger> {
    let mut triggers = vec![Trigger::Loss { to: after_loss(snapshot, &tenant.tenant, at) }];
    triggers.push(Trigger::Drain { to: after_drain(snapshot, &tenant.tenant, at) });
    let rebalanced = Snapshot { goal: Goal::Rebalance, ..snapshot.clone() };
    if let Some(mover) = mover_of(&plan(&rebalanced), &tenant.tenant) {
        triggers.push(Trigger::Rebalance { to: mover.to });
    }
    triggers.push(Trigger::Order { pinned: tenant.pin.is_some() });
    triggers
}

fn after_loss(snapshot: &Snapshot, tenant: &TenantId, at: &NodeId) -> Option<NodeId> {
    let mut without = snapshot.clone();
    // A restart that is announced and a pause are no answer to where it would go.
    without.awaited.clear();
    without.failover_paused = false;
    without.nodes.retain(|view| view.node != *at);
    for view in &mut without.tenants {
        view.holds.retain(|hold| hold.node != *at);
        view.warm.retain(|warm| warm.node != *at);
    }
    let plan = plan(&without);
    plan.placements().find(|(placed, _)| *placed == tenant).map(|(_, node)| node.clone())
}

fn after_drain(snapshot: &Snapshot, tenant: &TenantId, at: &NodeId) -> Option<NodeId> {
    let mut drained = snapshot.clone();
    for view in drained.nodes.iter_mut().filter(|view| view.node == *at) {
        view.intake = Intake::Draining;
    }
    mover_of(&plan(&drained), tenant).and_then(|mover| mover.to)
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        words::write(self, f)
    }
}

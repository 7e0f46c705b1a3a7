//! Rules about how many: what a node takes, and what may be on its way at once.

use std::collections::BTreeMap;

use super::facts::Facts;
use crate::{
    plan::{
        decision::Action,
        reason::{Choice, ReleaseReason},
        snapshot::{Intake, MoveLimits, NodeView, Snapshot, TenantView, Wanted},
    },
    records::Phase,
};
use roost_model::ids::NodeId;

pub(super) fn broken(facts: &Facts<'_>) -> Option<String> {
    let amounts = Amounts::after(facts);
    overfilled(facts, &amounts).or_else(|| too_fast(facts, &amounts)).or_else(|| failed_over_too_fast(facts))
}

/// What was prepared for a tenant is there already, and costs a survivor no start.
fn failed_over_too_fast(facts: &Facts<'_>) -> Option<String> {
    let ramp = facts.snapshot.failover_ramp?;
    let is_lost =
        |tenant: &&TenantView| tenant.last.as_ref().is_some_and(|last| !facts.nodes.contains_key(last));
    let placed = |tenant: &TenantView| {
        facts
            .actions(tenant)
            .iter()
            .any(|action| matches!(action, Action::Place { choice, .. } if *choice != Choice::Prepared))
    };
    let given = facts.snapshot.tenants.iter().filter(is_lost).filter(|tenant| placed(tenant)).count();
    (given > ramp as usize).then(|| format!("{given} tenants of lost nodes are placed and {ramp} may be"))
}

/// Once the plan is carried out.
#[derive(Default)]
struct Amounts<'a> {
    hosted: BTreeMap<&'a NodeId, u32>,
    /// The memory that those are given.
    memory: BTreeMap<&'a NodeId, u64>,
    /// Nodes that the plan gives a tenant or a preparation.
    given: Vec<&'a NodeId>,
    /// Placed on a suspect node that was neither ordered nor prepared.
    last_resorts: Vec<&'a TenantView>,
    /// Placed where somebody wants it off.
    given_back: Vec<&'a TenantView>,
    /// Of moves that are ordered.
    ordered: Traffic<'a>,
    /// Of moves that a rebalance chose.
    rebalance: Traffic<'a>,
}

#[derive(Default)]
struct Traffic<'a> {
    /// Moves on their way, and from and to which node.
    moving: u32,
    out: BTreeMap<&'a NodeId, u32>,
    into: BTreeMap<&'a NodeId, u32>,
    unavailable: u32,
    /// Of moves, by this plan, and from and to which node.
    prepared: Vec<(&'a NodeId, &'a NodeId)>,
    released: u32,
}

impl<'a> Amounts<'a> {
    fn after(facts: &Facts<'a>) -> Self {
        let mut amounts = Self::default();
        for tenant in &facts.snapshot.tenants {
            amounts.add(facts, tenant);
        }
        amounts
    }

    fn add(&mut self, facts: &Facts<'a>, tenant: &'a TenantView) {
        let preparing = facts.preparing_afterwards(tenant);
        let (mut removed, mut released, mut placed) = (Vec::new(), None, None);
        for action in facts.actions(tenant) {
            match action {
                Action::Place { node, choice, .. } => {
                    if is_last_resort(facts, node, choice) {
                        self.last_resorts.push(tenant);
                    }
                    if tenant.pin.is_none() && facts.is_moved_away(tenant, node) {
                        self.given_back.push(tenant);
                    }
                    placed = Some(node);
                }
                Action::Prepare { node, from, .. } => {
                    if !leaves_at_once(facts, from) {
                        self.traffic(facts, tenant, from).prepared.push((from, node));
                    }
                    self.given.push(node);
                }
                Action::Release { reason, .. } => released = Some(reason),
                Action::Remove { node } => removed.push(node),
                Action::Forget { .. } | Action::Wait { .. } => {}
            }
        }
        for node in preparing.iter().filter(|node| Some(**node) != placed) {
            self.host(facts, node, tenant);
        }
        if let Some(node) = placed {
            self.given.push(node);
            self.host(facts, node, tenant);
        }
        for hold in tenant.holds.iter().filter(|hold| !removed.contains(&&hold.node)) {
            self.host(facts, &hold.node, tenant);
        }
        self.add_traffic(facts, tenant, preparing.first().copied(), released);
    }

    fn host(&mut self, facts: &Facts<'a>, node: &'a NodeId, tenant: &TenantView) {
        *self.hosted.entry(node).or_default() += 1;
        *self.memory.entry(node).or_default() +=
            memory(facts, node, tenant).map_or(0, |(request, _)| request);
    }

    fn add_traffic(
        &mut self,
        facts: &Facts<'a>,
        tenant: &'a TenantView,
        preparing: Option<&'a NodeId>,
        released: Option<&ReleaseReason>,
    ) {
        let [hold] = tenant.holds.as_slice() else { return };
        let is_kept = facts.snapshot.keeper(tenant).is_some();
        if is_kept
            || leaves_at_once(facts, &hold.node)
            || tenant.wanted != Wanted::Running
            || hold.generation != tenant.generation
        {
            return;
        }
        let in_transit = hold.phase == Phase::Releasing || released.is_some();
        let traffic = self.traffic(facts, tenant, &hold.node);
        traffic.released += u32::from(released.is_some());
        traffic.unavailable += u32::from(in_transit);
        if in_transit || preparing.is_some() {
            traffic.moving += 1;
            *traffic.out.entry(&hold.node).or_default() += 1;
            if let Some(preparing) = preparing {
                *traffic.into.entry(preparing).or_default() += 1;
            }
        }
    }

    /// What leaves an open node without being ordered to, and without a fault of the node, is moved by a rebalance.
    fn traffic(&mut self, facts: &Facts<'_>, tenant: &TenantView, from: &NodeId) -> &mut Traffic<'a> {
        let elsewhere = |to: &Option<NodeId>| to.as_ref().is_some_and(|to| to != from);
        let drained = facts
            .nodes
            .get(from)
            .is_some_and(|view| matches!(view.intake, Intake::Draining | Intake::Shedding));
        let shed = facts.is_shed(tenant, from);
        let is_ordered = drained || shed || elsewhere(&tenant.pin) || elsewhere(&tenant.move_to);
        let is_ordered = is_ordered || facts.is_moved_away(tenant, from);
        if is_ordered { &mut self.ordered } else { &mut self.rebalance }
    }
}

/// What the tenant takes of the node's memory, and what that has for all; none where nothing is known of it. Written out here and not
/// asked of the rule that the plan goes by.
fn memory(facts: &Facts<'_>, node: &NodeId, tenant: &TenantView) -> Option<(u64, u64)> {
    let memory = facts.nodes.get(node)?.memory?;
    let request = tenant.memory_request_bytes.or(memory.p95_bytes).unwrap_or(128 << 20);
    Some((request, memory.allocatable_bytes))
}

fn leaves_at_once(facts: &Facts<'_>, node: &NodeId) -> bool {
    let view = facts.nodes.get(node);
    view.is_none_or(|view| matches!(view.intake, Intake::Leaving | Intake::Overdue))
}

fn is_last_resort(facts: &Facts<'_>, node: &NodeId, choice: &Choice) -> bool {
    let intake = facts.nodes.get(node).map(|view| view.intake);
    matches!(intake, Some(Intake::Suspect | Intake::Impaired))
        && !matches!(choice, Choice::Pinned | Choice::MoveTarget | Choice::Prepared)
}

/// A node is never given more than it takes; that it already has more is no fault of the plan. And a suspect node is
/// given nothing while another has room, unless it is the one that the tenant is moved away from; that is given it back only
/// when no other has room.
fn overfilled(facts: &Facts<'_>, amounts: &Amounts<'_>) -> Option<String> {
    let hosted = |node: &NodeId| amounts.hosted.get(node).copied().unwrap_or_default();
    let mut given = amounts.given.iter();
    if let Some(node) = given.find(|node| hosted(node) > facts.nodes[**node].capacity) {
        return Some(format!("{node} is given more than it takes"));
    }
    let requested = |node: &NodeId| amounts.memory.get(node).copied().unwrap_or_default();
    let over = |node: &&&NodeId| {
        facts.nodes[**node].memory.is_some_and(|memory| requested(node) > memory.allocatable_bytes)
    };
    if let Some(node) = amounts.given.iter().find(over) {
        return Some(format!("{node} is given more memory than it has"));
    }
    let has_room = |view: &NodeView, tenant: &TenantView| {
        let has_memory = |(request, all): (u64, u64)| requested(&view.node) + request <= all;
        view.weight > 0
            && !facts.snapshot.unreadable.contains_key(&view.node)
            && !facts.is_moved_away(tenant, &view.node)
            && hosted(&view.node) < view.capacity
            && memory(facts, &view.node, tenant).is_none_or(has_memory)
    };
    let open = || facts.snapshot.nodes.iter().filter(|view| view.intake == Intake::Open);
    let last_resort = amounts.last_resorts.iter().find_map(|tenant| {
        let roomy = open().find(|view| has_room(view, tenant))?;
        Some(format!("a suspect or impaired node is given {} while {} has room", tenant.tenant, roomy.node))
    });
    let taking = || facts.snapshot.nodes.iter().filter(|view| takes(view.intake));
    last_resort.or_else(|| {
        amounts.given_back.iter().find_map(|tenant| {
            let roomy = taking().find(|view| has_room(view, tenant))?;
            Some(format!("{} goes back while {} has room", tenant.tenant, roomy.node))
        })
    })
}

fn takes(intake: Intake) -> bool {
    matches!(intake, Intake::Open | Intake::Suspect | Intake::Impaired)
}

/// What a plan begins does not bring the traffic above the limits; that it is above them already is no fault of the plan.
fn too_fast(facts: &Facts<'_>, amounts: &Amounts<'_>) -> Option<String> {
    let Snapshot { limits, rebalance_limits, .. } = facts.snapshot;
    above(*limits, &amounts.ordered).or_else(|| above(*rebalance_limits, &amounts.rebalance))
}

fn above(limits: MoveLimits, amounts: &Traffic<'_>) -> Option<String> {
    if amounts.released > 0 && amounts.unavailable > limits.unavailable {
        return Some(format!("{} tenants are unavailable at once", amounts.unavailable));
    }
    if !amounts.prepared.is_empty() && amounts.moving > limits.per_cluster {
        return Some(format!("{} tenants move at once", amounts.moving));
    }
    let of = |counts: &BTreeMap<&NodeId, u32>, node| counts.get(node).copied().unwrap_or_default();
    let mut prepared = amounts.prepared.iter();
    let busy =
        prepared.find(|(from, to)| of(&amounts.out, from).max(of(&amounts.into, to)) > limits.per_node);
    busy.map(|(from, to)| format!("too many tenants move from {from} or to {to} at once"))
}

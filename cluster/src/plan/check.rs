//! What is true of every plan, whatever the snapshot. Asserted after each plan in debug builds, and what the property
//! tests look for. Written without the planner's own helpers, so that an error is not made twice.

use std::collections::BTreeSet;

use super::{Action, Goal, Intake, NodeView, Plan, Snapshot, TenantView, Wanted};
use crate::{ids::NodeId, records::Phase};

/// The first rule that a plan breaks.
pub(super) fn broken_rule(snapshot: &Snapshot, plan: &Plan) -> Option<String> {
    let tenants = snapshot.tenants.iter().map(|tenant| broken_by_tenant(snapshot, tenant, plan));
    let nodes = snapshot.nodes.iter().map(|node| overfilled(snapshot, node, plan));
    tenants.chain(nodes).flatten().next()
}

fn broken_by_tenant(snapshot: &Snapshot, tenant: &TenantView, plan: &Plan) -> Option<String> {
    let from = plan.decisions.partition_point(|decision| decision.tenant < tenant.tenant);
    let actions: Vec<&Action> =
        plan.decisions[from..].iter().take_while(|d| d.tenant == tenant.tenant).map(|d| &d.action).collect();
    let id = &tenant.tenant;
    let answers = actions.iter().filter(|a| matches!(a, Action::Place { .. } | Action::Wait { .. })).count();
    let homeless = tenant.wanted == Wanted::Running && tenant.holds.is_empty();
    if answers != usize::from(homeless) {
        return Some(format!("{id} is placed or held back {answers} times"));
    }
    for action in &actions {
        let broken = match action {
            Action::Place { node, .. } => {
                let open = snapshot.nodes.iter().any(|n| n.node == *node && n.intake == Intake::Open);
                let allowed = tenant.pin.as_ref().is_none_or(|pin| pin == node);
                !(open && allowed)
            }
            Action::Release { node, .. } => !has_hold(tenant, node, Phase::Active, false),
            Action::Remove { node } => !has_hold(tenant, node, Phase::Releasing, true),
            Action::Wait { .. } => false,
        };
        if broken {
            return Some(format!("{id}: {action:?} does not follow from the snapshot"));
        }
    }
    let moved = actions.iter().any(|action| matches!(action, Action::Release { .. }));
    (moved && snapshot.goal == Goal::Settle && may_stay(snapshot, tenant))
        .then(|| format!("{id} need not move"))
}

fn has_hold(tenant: &TenantView, node: &NodeId, phase: Phase, must_be_let_go: bool) -> bool {
    let mut holds = tenant.holds.iter();
    holds.any(|hold| hold.node == *node && hold.phase == phase && (hold.let_go || !must_be_let_go))
}

fn may_stay(snapshot: &Snapshot, tenant: &TenantView) -> bool {
    let [hold] = tenant.holds.as_slice() else { return false };
    let leaving = snapshot.nodes.iter().any(|node| node.node == hold.node && node.intake == Intake::Leaving);
    tenant.wanted == Wanted::Running
        && hold.generation == tenant.generation
        && !leaving
        && tenant.pin.as_ref().is_none_or(|pin| *pin == hold.node)
}

/// A node is never given more than it takes; that it already has more is no fault of the plan.
fn overfilled(snapshot: &Snapshot, node: &NodeView, plan: &Plan) -> Option<String> {
    let placed = plan.placements().filter(|(_, on)| **on == node.node).count();
    if placed == 0 {
        return None;
    }
    let removed: BTreeSet<_> = plan
        .decisions
        .iter()
        .filter(|decision| matches!(&decision.action, Action::Remove { node: from } if *from == node.node))
        .map(|decision| &decision.tenant)
        .collect();
    let remaining = snapshot.tenants.iter().filter(|tenant| !removed.contains(&tenant.tenant));
    let kept = remaining.flat_map(|tenant| &tenant.holds).filter(|hold| hold.node == node.node).count();
    let hosted = kept + placed;
    (hosted > node.capacity as usize).then(|| format!("{} is given more than it takes", node.node))
}

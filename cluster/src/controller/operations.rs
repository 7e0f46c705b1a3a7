//! How far each operation has come. Nothing about it is kept but what the ledger was told: it follows from the plan
//! and the snapshot of the moment, so whichever controller looks next goes on from there, and a cancelled operation
//! leaves nothing behind but a plan without it.

use roost_model::ids::{NodeId, TenantId};

use crate::{
    ledger::{Note, Operation, OperationKind, Outcome, Progress},
    plan::{Intake, Mover, MoverState, NodeView, Plan, Snapshot, TenantView, Wanted},
    records::Phase,
};

/// The news of an operation: progress if it is not what was noted last, or its end.
pub(super) fn assess(operation: &Operation, snapshot: &Snapshot, plan: &Plan) -> Vec<Note> {
    let before = operation.progress;
    let (progress, outcome) = match &operation.kind {
        OperationKind::Drain { node, .. } => drain(before, node, snapshot),
        OperationKind::Rebalance { .. } => rebalance(before, plan),
        OperationKind::Move { tenant, to } => single(tenant, to, snapshot),
    };
    match outcome {
        // The ledger tells of it as an event, in the same step and only if the operation was not over already.
        Some(outcome) => vec![Note::Ended { operation: operation.id, progress, outcome }],
        None if progress != before => vec![Note::Progress { operation: operation.id, progress }],
        None => Vec::new(),
    }
}

/// What was done already is counted on, and what is new on the way joins the total.
fn with_left(before: Progress, left: usize) -> Progress {
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    let total = before.total.max(before.done.saturating_add(left));
    Progress { total, done: total - left }
}

fn drain(before: Progress, node: &NodeId, snapshot: &Snapshot) -> (Progress, Option<Outcome>) {
    let left = snapshot.tenants.iter().filter(|tenant| needs_to_leave(tenant, node)).count();
    let prepares = snapshot.tenants.iter().flat_map(|tenant| &tenant.warm).any(|warm| warm.node == *node);
    let is_empty = left == 0 && !prepares;
    (with_left(before, left), is_empty.then_some(Outcome::Done))
}

fn needs_to_leave(tenant: &TenantView, node: &NodeId) -> bool {
    let is_there = tenant.holds.iter().any(|hold| hold.node == *node);
    let waits = tenant.wanted == Wanted::Running && tenant.holds.is_empty();
    is_there || (waits && tenant.last.as_ref() == Some(node))
}

fn single(to_move: &TenantId, to: &NodeId, snapshot: &Snapshot) -> (Progress, Option<Outcome>) {
    let nothing_yet = Progress { total: 1, done: 0 };
    let tenant = snapshot.tenants.iter().find(|tenant| tenant.tenant == *to_move);
    let refusal = match tenant {
        None => Some("the tenant is deleted".to_owned()),
        Some(tenant) if is_settled_on(tenant, to) => {
            return (Progress { total: 1, done: 1 }, Some(Outcome::Done));
        }
        Some(tenant) => refusal_of_tenant(tenant, to).or_else(|| refusal_of_node(tenant, to, snapshot)),
    };
    (nothing_yet, refusal.map(|reason| Outcome::Failed { reason }))
}

fn is_settled_on(tenant: &TenantView, node: &NodeId) -> bool {
    matches!(tenant.holds.as_slice(), [hold] if hold.node == *node
        && hold.phase == Phase::Active
        && hold.generation == tenant.generation)
}

fn refusal_of_tenant(tenant: &TenantView, to: &NodeId) -> Option<String> {
    match (tenant.wanted, &tenant.pin) {
        (Wanted::Deleted, _) => Some("the tenant is deleted".to_owned()),
        (Wanted::Stopped, _) => Some("the tenant is stopped".to_owned()),
        (Wanted::Running, Some(pin)) if pin != to => Some(format!("the tenant is pinned to {pin}")),
        (Wanted::Running, _) => None,
    }
}

fn refusal_of_node(tenant: &TenantView, to: &NodeId, snapshot: &Snapshot) -> Option<String> {
    let Some(node) = snapshot.nodes.iter().find(|view| view.node == *to) else {
        return Some(format!("{to} is gone"));
    };
    match node.intake {
        Intake::Open | Intake::Suspect => {}
        Intake::Cordoned => return Some(format!("{to} is cordoned")),
        Intake::Draining | Intake::Leaving => return Some(format!("{to} is to be empty")),
    }
    (!has_room(tenant, node, snapshot)).then(|| format!("{to} is full"))
}

/// Every entry takes room, prepared ones too; the tenant's own has been given to it.
fn has_room(tenant: &TenantView, node: &NodeView, snapshot: &Snapshot) -> bool {
    let others = snapshot.tenants.iter().filter(|other| other.tenant != tenant.tenant);
    let entries = others.flat_map(|other| {
        let held = other.holds.iter().map(|hold| &hold.node);
        held.chain(other.warm.iter().map(|warm| &warm.node))
    });
    entries.filter(|on| **on == node.node).count() < node.capacity as usize
}

fn rebalance(before: Progress, plan: &Plan) -> (Progress, Option<Outcome>) {
    let can_move = |mover: &&Mover| match mover.state {
        MoverState::Waiting | MoverState::Preparing | MoverState::Releasing => true,
        MoverState::Stuck(_) => false,
    };
    // Those that were let go and are placed now are between two movers' states.
    let left = plan.movers.iter().filter(can_move).count() + plan.placements().count();
    (with_left(before, left), (left == 0).then_some(Outcome::Done))
}

/// Being prepared elsewhere, or let go of by the node that has it.
pub(super) fn is_under_way(tenant: &TenantView) -> bool {
    let releasing = tenant.holds.iter().any(|hold| hold.phase == Phase::Releasing);
    tenant.wanted == Wanted::Running && (releasing || !tenant.warm.is_empty())
}

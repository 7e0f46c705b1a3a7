//! How far each operation has come. Nothing about it is kept but what the ledger was told: it follows from the plan
//! and the snapshot of the moment, so whichever controller looks next goes on from there, and a cancelled operation
//! leaves nothing behind but a plan without it.

use roost_model::ids::{NodeId, TenantId};

use crate::{
    ledger::{LedgerRecord, Operation, OperationKind, Outcome, Progress},
    plan::{AdmissionDenial, MoveState, Plan, Snapshot, TenantMove, TenantView, Wanted},
    records::Phase,
};

/// The news of an operation: progress if it is not what was recorded last, or its end.
pub(super) fn assess(operation: &Operation, snapshot: &Snapshot, plan: &Plan) -> Vec<LedgerRecord> {
    let before = operation.progress;
    let (progress, outcome) = match &operation.kind {
        OperationKind::Drain { node, .. } => drain(before, node, snapshot),
        OperationKind::Rebalance { .. } => rebalance(before, plan),
        OperationKind::Move { tenant, to } => single(tenant, to, snapshot),
    };
    match outcome {
        // The ledger tells of it as an event, in the same step and only if the operation was not over already.
        Some(outcome) => vec![LedgerRecord::Ended { operation: operation.id, progress, outcome }],
        None if progress != before => vec![LedgerRecord::Progress { operation: operation.id, progress }],
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
    let prepares = snapshot
        .tenants
        .iter()
        .flat_map(|tenant| &tenant.preparations)
        .any(|preparation| preparation.node == *node);
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
        Some(tenant) => refusal(tenant, to, snapshot),
    };
    (nothing_yet, refusal.map(|reason| Outcome::Failed { reason }))
}

fn is_settled_on(tenant: &TenantView, node: &NodeId) -> bool {
    matches!(tenant.holds.as_slice(), [hold] if hold.node == *node
        && hold.phase == Phase::Active
        && hold.generation == tenant.generation)
}

fn refusal(tenant: &TenantView, to: &NodeId, snapshot: &Snapshot) -> Option<String> {
    match tenant.wanted {
        Wanted::Deleted => return Some("the tenant is deleted".to_owned()),
        Wanted::Stopped => return Some("the tenant is stopped".to_owned()),
        Wanted::Running => {}
    }
    let reason = match snapshot.admits(to, &tenant.sent_to(to)).err()? {
        AdmissionDenial::PinnedElsewhere { pin } => format!("the tenant is pinned to {pin}"),
        AdmissionDenial::NodeGone => format!("{to} is gone"),
        AdmissionDenial::Cordoned => format!("{to} is cordoned"),
        AdmissionDenial::Impaired => format!("{to} is impaired"),
        AdmissionDenial::Unprepared => format!("{to} did not get ready for it"),
        AdmissionDenial::Draining | AdmissionDenial::Leaving => format!("{to} is to be empty"),
        AdmissionDenial::Full { .. } => format!("{to} is full"),
        AdmissionDenial::WithoutWeight => format!("{to} takes only what is sent there"),
    };
    Some(reason)
}

fn rebalance(before: Progress, plan: &Plan) -> (Progress, Option<Outcome>) {
    let can_move = |tenant_move: &&TenantMove| match tenant_move.state {
        MoveState::Waiting | MoveState::Preparing | MoveState::Releasing => true,
        MoveState::Stuck(_) => false,
    };
    // Those that were let go and are placed now are between two states of a move.
    let left = plan.moves.iter().filter(can_move).count() + plan.placements().count();
    (with_left(before, left), (left == 0).then_some(Outcome::Done))
}

/// Being prepared elsewhere, or let go of by the node that has it.
pub(super) fn is_under_way(tenant: &TenantView) -> bool {
    let releasing = tenant.holds.iter().any(|hold| hold.phase == Phase::Releasing);
    tenant.wanted == Wanted::Running && (releasing || !tenant.preparations.is_empty())
}

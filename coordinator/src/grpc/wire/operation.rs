//! Operations, what they would do, and where tenants were moved and why.

use roost_cluster::ledger::MemberFailure;
use roost_model::ids::NodeId;
use roost_proto::v1;
use roost_store::{
    ChosenWorker, OperationOrder, OperationRecord, OperationState, Placement, RolloutOrder, SettingsOrder,
    SettingsPlan, TenantChanges, WorkerAction,
};

use super::{apply::field_change, count, timestamp, version::version_kind, worker_description::duration};
use crate::app::{BlockedMove, DryRun, ExplainedNode, FleetPlan, PlacementExplanation, PlannedMove};

/// Who started an operation that nobody ordered.
const POLICY: &str = "policy";

pub fn operation(row: OperationRecord) -> v1::Operation {
    let mut message = v1::Operation {
        id: row.id.0,
        state: operation_state(row.state).into(),
        total_tenants: count(row.progress.total),
        done_tenants: count(row.progress.done),
        message: row.message,
        requested_by: if row.requested_by.is_empty() { POLICY.to_owned() } else { row.requested_by },
        reason: row.reason,
        start_time: Some(timestamp(row.started_at)),
        end_time: row.ended_at.map(timestamp),
        ..Default::default()
    };
    match row.order {
        OperationOrder::Drain { node, deadline, force } => {
            message.kind = v1::OperationKind::Drain.into();
            message.node_id = node.into();
            message.deadline = deadline.map(timestamp);
            message.force = force;
        }
        OperationOrder::Rebalance { max_concurrent, max_unavailable_percent } => {
            message.kind = v1::OperationKind::Rebalance.into();
            message.max_concurrent = count(max_concurrent);
            message.max_unavailable_percent = count(max_unavailable_percent);
        }
        OperationOrder::Move { tenant, to } => {
            message.kind = v1::OperationKind::Move.into();
            message.tenant_id = tenant.into();
            message.node_id = to.into();
        }
        OperationOrder::Rollout(order) => {
            message.kind = v1::OperationKind::Rollout.into();
            message.rollout = Some(rollout(order));
        }
        OperationOrder::Fleet { action, selector, to, limits, settings } => {
            message.node_id = optional(to);
            message.action = worker_action(action).into();
            message.pauses_on_failure = limits.pauses_after.is_some();
            message.kind = v1::OperationKind::Fleet.into();
            message.selector = selector;
            message.max_concurrent = count(limits.max_concurrent);
            message.max_unavailable_percent = count(limits.max_unavailable_percent);
            match settings {
                Some(SettingsOrder::Values(values)) => {
                    message.settings = values.told().into_iter().map(setting_value).collect();
                }
                Some(SettingsOrder::Undo(undone)) => message.undoes = undone.0,
                None => {}
            }
        }
    }
    message
}

fn rollout(order: RolloutOrder) -> v1::Rollout {
    let limits = order.limits();
    v1::Rollout {
        version: order.version,
        kind: version_kind(order.kind).into(),
        selector: order.selector,
        max_concurrent: count(limits.max_concurrent),
        watch_for: duration(limits.watch_for),
        give_up_after: duration(limits.give_up_after),
        least_acknowledged: count(limits.least_acknowledged),
    }
}

fn worker_action(action: WorkerAction) -> v1::WorkerAction {
    match action {
        WorkerAction::Start => v1::WorkerAction::Start,
        WorkerAction::Stop => v1::WorkerAction::Stop,
        WorkerAction::Restart => v1::WorkerAction::Restart,
        WorkerAction::ForceRestart => v1::WorkerAction::ForceRestart,
        WorkerAction::Relink => v1::WorkerAction::Relink,
        WorkerAction::Move => v1::WorkerAction::Move,
        WorkerAction::UpdateSettings => v1::WorkerAction::UpdateSettings,
    }
}

fn setting_value((path, value): (String, String)) -> v1::SettingValue {
    v1::SettingValue { path, value }
}

fn operation_state(state: OperationState) -> v1::OperationState {
    match state {
        OperationState::Running => v1::OperationState::Running,
        OperationState::Done => v1::OperationState::Done,
        OperationState::Failed => v1::OperationState::Failed,
        OperationState::Cancelled => v1::OperationState::Cancelled,
    }
}

/// The filter's value; None for UNSPECIFIED, which chooses nothing.
pub fn operation_state_filter(state: v1::OperationState) -> Option<OperationState> {
    match state {
        v1::OperationState::Unspecified => None,
        v1::OperationState::Running => Some(OperationState::Running),
        v1::OperationState::Done => Some(OperationState::Done),
        v1::OperationState::Failed => Some(OperationState::Failed),
        v1::OperationState::Cancelled => Some(OperationState::Cancelled),
    }
}

pub fn made_move(row: Placement) -> v1::Move {
    v1::Move {
        tenant_id: row.tenant.into(),
        from_node_id: row.from.map(String::from).unwrap_or_default(),
        to_node_id: row.to.into(),
        reason: row.reason,
        time: Some(timestamp(row.at)),
    }
}

pub fn worker_failure(failure: MemberFailure) -> v1::WorkerFailure {
    v1::WorkerFailure { tenant_id: failure.tenant.into(), error: failure.error }
}

/// The first `most` of them.
pub fn worker_failures(failures: Vec<MemberFailure>, most: usize) -> Vec<v1::WorkerFailure> {
    failures.into_iter().take(most).map(worker_failure).collect()
}

/// The first `most` of them.
pub fn settings_plan(plan: SettingsPlan, most: usize) -> v1::SettingsPlan {
    let all = |tenants: usize| count(u32::try_from(tenants).unwrap_or(u32::MAX));
    let planned = |one: TenantChanges| v1::PlannedSettings {
        tenant_id: one.tenant.into(),
        fields: one.fields.into_iter().map(field_change).collect(),
    };
    v1::SettingsPlan {
        changed_tenants: all(plan.changes.len()),
        unchanged_tenants: count(plan.unchanged),
        refused_tenants: all(plan.refused.len()),
        changes: plan.changes.into_iter().take(most).map(planned).collect(),
        refused: worker_failures(plan.refused, most),
    }
}

/// The first `most` of them.
pub fn fleet_plan(plan: FleetPlan, most: usize) -> v1::FleetPlan {
    let FleetPlan { workers, mut moves, blocked } = plan;
    let total_tenants = count(u32::try_from(workers.len()).unwrap_or(u32::MAX));
    let planned = |worker: ChosenWorker| {
        let (to, reason) = moves.remove(&worker.tenant).map(|one| (one.to, one.reason)).unwrap_or_default();
        v1::PlannedWorker {
            tenant_id: worker.tenant.into(),
            node_id: optional(worker.node),
            answers: worker.answers,
            to_node_id: optional(to),
            reason,
        }
    };
    let workers = workers.into_iter().take(most).map(planned).collect();
    v1::FleetPlan { workers, total_tenants, blocked: blocked_moves(blocked, most) }
}

/// The first `most` of them.
pub fn blocked_moves(blocked: Vec<BlockedMove>, most: usize) -> Vec<v1::BlockedMove> {
    blocked.into_iter().take(most).map(blocked_move).collect()
}

pub fn plan(plan: DryRun) -> v1::Plan {
    v1::Plan {
        moves: plan.moves.into_iter().map(planned_move).collect(),
        blocked: plan.blocked.into_iter().map(blocked_move).collect(),
    }
}

fn planned_move(planned: PlannedMove) -> v1::PlannedMove {
    v1::PlannedMove {
        tenant_id: planned.tenant.into(),
        from_node_id: optional(planned.from),
        to_node_id: optional(planned.to),
        reason: planned.reason,
    }
}

fn blocked_move(blocked: BlockedMove) -> v1::BlockedMove {
    v1::BlockedMove {
        tenant_id: blocked.tenant.into(),
        from_node_id: optional(blocked.from),
        reason: blocked.reason,
    }
}

pub fn placement_explanation(explained: PlacementExplanation) -> v1::PlacementExplanation {
    v1::PlacementExplanation {
        tenant_id: explained.tenant.into(),
        node_id: optional(explained.node),
        pinned_node_id: optional(explained.pin),
        summary: explained.summary,
        candidates: explained.candidates.into_iter().map(candidate).collect(),
        triggers: explained.triggers,
        history: explained.history.into_iter().map(made_move).collect(),
    }
}

fn candidate(node: ExplainedNode) -> v1::Candidate {
    v1::Candidate { node_id: node.node.into(), fits: node.fits, reason: node.reason }
}

/// None is the empty string.
fn optional(id: Option<NodeId>) -> String {
    id.map(String::from).unwrap_or_default()
}

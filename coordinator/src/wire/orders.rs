//! Operators' orders and what became of them.

use roost_cluster::ledger::EventKind;
use roost_proto::v1;
use roost_store::{
    ClusterEvent, ClusterPolicy, FailoverPause, OperationOrder, OperationRecord, OperationState, Placement,
};

use super::{count, timestamp};

/// Who ordered what nobody did.
const POLICY: &str = "policy";
const BREAKER: &str = "breaker";

pub fn operation(row: OperationRecord) -> v1::Operation {
    let mut told = v1::Operation {
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
            told.kind = v1::OperationKind::Drain.into();
            told.node_id = node.into();
            told.deadline = deadline.map(timestamp);
            told.force = force;
        }
        OperationOrder::Rebalance { max_concurrent, max_unavailable_percent } => {
            told.kind = v1::OperationKind::Rebalance.into();
            told.max_concurrent = count(max_concurrent);
            told.max_unavailable_percent = count(max_unavailable_percent);
        }
        OperationOrder::Move { tenant, to } => {
            told.kind = v1::OperationKind::Move.into();
            told.tenant_id = tenant.into();
            told.node_id = to.into();
        }
    }
    told
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

pub fn event(row: ClusterEvent) -> v1::Event {
    v1::Event {
        id: row.id,
        kind: event_kind(row.kind).into(),
        node_id: row.node.map(String::from).unwrap_or_default(),
        tenant_id: row.tenant.map(String::from).unwrap_or_default(),
        text: row.text,
        time: Some(timestamp(row.at)),
        operation_id: row.operation.map(|id| id.0).unwrap_or_default(),
        requested_by: row.requested_by,
        reason: row.reason,
    }
}

fn event_kind(kind: EventKind) -> v1::EventKind {
    match kind {
        EventKind::NodeJoined => v1::EventKind::NodeJoined,
        EventKind::NodeLeft => v1::EventKind::NodeLeft,
        EventKind::NodeLost => v1::EventKind::NodeLost,
        EventKind::NodeSuspect => v1::EventKind::NodeSuspect,
        EventKind::NodeCordoned => v1::EventKind::NodeCordoned,
        EventKind::NodeUncordoned => v1::EventKind::NodeUncordoned,
        EventKind::RestartWindowSet => v1::EventKind::RestartWindowSet,
        EventKind::RestartWindowCleared => v1::EventKind::RestartWindowCleared,
        EventKind::ControllerElected => v1::EventKind::ControllerElected,
        EventKind::FailoverPaused => v1::EventKind::FailoverPaused,
        EventKind::FailoverResumed => v1::EventKind::FailoverResumed,
        EventKind::OperationStarted => v1::EventKind::OperationStarted,
        EventKind::OperationEnded => v1::EventKind::OperationEnded,
        EventKind::TenantPinned => v1::EventKind::TenantPinned,
        EventKind::TenantUnpinned => v1::EventKind::TenantUnpinned,
        EventKind::PolicyChanged => v1::EventKind::PolicyChanged,
        EventKind::Conflict => v1::EventKind::Conflict,
    }
}

pub fn policy(row: &ClusterPolicy) -> v1::Policy {
    v1::Policy { auto_rebalance: row.auto_rebalance, failover_breaker: row.failover_breaker }
}

pub fn failover_pause(row: FailoverPause) -> v1::FailoverPause {
    v1::FailoverPause {
        reason: row.reason,
        start_time: Some(timestamp(row.paused_at)),
        requested_by: if row.requested_by.is_empty() { BREAKER.to_owned() } else { row.requested_by },
    }
}

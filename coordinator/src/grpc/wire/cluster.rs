//! The cluster as a whole: its status, its events and its policy.

use roost_cluster::ledger::EventKind;
use roost_proto::v1;
use roost_store::{ClusterEvent, ClusterPolicy, FailoverPause, Version};
use time::OffsetDateTime;

use super::{count, operation::operation, timestamp, version::version};
use crate::app::{ClusterStatus, ControllerComplaint, FailoverHold, NodeCounts, TenantCounts};

/// Who paused failover when nobody ordered it.
const BREAKER: &str = "breaker";

pub fn cluster_status(status: ClusterStatus) -> v1::ClusterStatus {
    let term = status.term.0;
    let leader =
        status.leader.map(|leader| v1::Leader { holder: leader.holder, address: leader.address, term });
    v1::ClusterStatus {
        leader,
        nodes: Some(node_counts(status.nodes)),
        tenants: Some(tenant_counts(status.tenants)),
        policy: Some(policy(&status.policy)),
        failover_pause: status.policy.failover_paused.map(failover_pause),
        operations: status.operations.into_iter().map(operation).collect(),
        conflicts: i64::try_from(status.conflicts).unwrap_or(i64::MAX),
        failover_hold: status.failover_hold.map(failover_hold),
        complaints: status.complaints.into_iter().map(controller_complaint).collect(),
        expiring_versions: expiring(status.versions),
    }
}

fn expiring(versions: Vec<Version>) -> Vec<v1::Version> {
    versions.into_iter().map(version).filter(|version| !version.warning.is_empty()).collect()
}

fn controller_complaint(told: ControllerComplaint) -> v1::ControllerComplaint {
    let ControllerComplaint { holder, complaint, since } = told;
    v1::ControllerComplaint {
        holder,
        kind: complaint.kind.as_str().to_owned(),
        reason: complaint.reason,
        since_time: Some(timestamp(since)),
        remedy: complaint.kind.remedy().unwrap_or_default().to_owned(),
    }
}

fn failover_hold(hold: FailoverHold) -> v1::FailoverHold {
    let FailoverHold { breaker, waiting } = hold;
    // For people, who need no nanoseconds.
    let held_until = (OffsetDateTime::now_utc() + breaker.held_for).truncate_to_second();
    v1::FailoverHold {
        lost_node_ids: breaker.lost.into_iter().map(String::from).collect(),
        held_until: Some(timestamp(held_until)),
        ramp: i32::try_from(breaker.ramp).unwrap_or(i32::MAX),
        waiting: count(waiting),
    }
}

fn node_counts(nodes: NodeCounts) -> v1::NodeCounts {
    let NodeCounts { live, lost, cordoned, draining, suspect, impaired } = nodes;
    v1::NodeCounts {
        live: count(live),
        lost: count(lost),
        cordoned: count(cordoned),
        draining: count(draining),
        suspect: count(suspect),
        impaired: count(impaired),
    }
}

fn tenant_counts(tenants: TenantCounts) -> v1::TenantCounts {
    let TenantCounts { running, placed, waiting, error } = tenants;
    v1::TenantCounts {
        running: count(running),
        placed: count(placed),
        waiting: count(waiting),
        error: count(error),
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
        EventKind::FailoverBreaker => v1::EventKind::FailoverBreaker,
        EventKind::OperationStarted => v1::EventKind::OperationStarted,
        EventKind::OperationEnded => v1::EventKind::OperationEnded,
        EventKind::TenantPinned => v1::EventKind::TenantPinned,
        EventKind::TenantUnpinned => v1::EventKind::TenantUnpinned,
        EventKind::PolicyChanged => v1::EventKind::PolicyChanged,
        EventKind::VersionPinned => v1::EventKind::VersionPinned,
        EventKind::ChatErased => v1::EventKind::ChatErased,
        EventKind::NodeImpaired => v1::EventKind::NodeImpaired,
        EventKind::NodeRecovered => v1::EventKind::NodeRecovered,
        EventKind::PreparationFailed => v1::EventKind::PreparationFailed,
        EventKind::ReleaseOverdue => v1::EventKind::ReleaseOverdue,
        EventKind::SnapshotPointerBehind => v1::EventKind::SnapshotPointerBehind,
        EventKind::DeadLettersRedriven => v1::EventKind::DeadLettersRedriven,
        EventKind::LogoutFailed => v1::EventKind::LogoutFailed,
        EventKind::SessionDamaged => v1::EventKind::SessionDamaged,
        EventKind::SessionNotSaved => v1::EventKind::SessionNotSaved,
        EventKind::RestartedOnSchedule => v1::EventKind::RestartedOnSchedule,
        EventKind::RestartedOverLimit => v1::EventKind::RestartedOverLimit,
        EventKind::GaveUpOverLimit => v1::EventKind::GaveUpOverLimit,
        EventKind::ShedForMemory => v1::EventKind::ShedForMemory,
        EventKind::SessionRestoreOrdered => v1::EventKind::SessionRestoreOrdered,
        EventKind::SessionRestored => v1::EventKind::SessionRestored,
        EventKind::SessionImported => v1::EventKind::SessionImported,
        EventKind::ScreenshotTaken => v1::EventKind::ScreenshotTaken,
        EventKind::LogLevelChanged => v1::EventKind::LogLevelChanged,
        EventKind::SessionRestoreFailed => v1::EventKind::SessionRestoreFailed,
        EventKind::ScanPaused => v1::EventKind::ScanPaused,
        EventKind::ScanResumed => v1::EventKind::ScanResumed,
        EventKind::OperationResumed => v1::EventKind::OperationResumed,
        EventKind::TenantsApplied => v1::EventKind::TenantsApplied,
        EventKind::Conflict => v1::EventKind::Conflict,
    }
}

pub fn policy(row: &ClusterPolicy) -> v1::Policy {
    v1::Policy {
        auto_rebalance: row.auto_rebalance,
        failover_breaker: row.failover_breaker,
        message_retention_days: i32::try_from(row.message_retention_days).unwrap_or(i32::MAX),
    }
}

fn failover_pause(row: FailoverPause) -> v1::FailoverPause {
    v1::FailoverPause {
        reason: row.reason,
        start_time: Some(timestamp(row.paused_at)),
        requested_by: if row.requested_by.is_empty() { BREAKER.to_owned() } else { row.requested_by },
    }
}

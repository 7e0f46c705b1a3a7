//! What happened in the cluster, for people: written in the statement that made it happen, with who ordered it and why.
//! The table keeps the newest 10,000 (its own trigger sees to that).
//!
//! Ids commit in order, for whoever writes an event holds the row of the policy from before it takes the id until its
//! commit: a reader that has seen an id has missed none below it.

use roost_cluster::ledger::EventKind;
use roost_model::ids::{NodeId, OperationId, TenantId};
use time::OffsetDateTime;

use crate::{
    Fence, Store, StoreError,
    columns::{optional_id, storable, unsigned},
};

/// Who gives an order, and why, in the operator's words; both may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requester {
    pub name: String,
    pub reason: String,
}

impl Requester {
    pub(crate) fn columns(&self) -> (String, String) {
        (storable(&self.name).into_owned(), storable(&self.reason).into_owned())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterEvent {
    pub id: i64,
    pub at: OffsetDateTime,
    pub kind: EventKind,
    pub node: Option<NodeId>,
    pub tenant: Option<TenantId>,
    pub operation: Option<OperationId>,
    /// One line.
    pub text: String,
    /// Empty when it was the controller or a node.
    pub requested_by: String,
    pub reason: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    pub node: Option<NodeId>,
    pub tenant: Option<TenantId>,
}

impl EventFilter {
    pub fn takes(&self, event: &ClusterEvent) -> bool {
        self.node.as_ref().is_none_or(|node| event.node.as_ref() == Some(node))
            && self.tenant.as_ref().is_none_or(|tenant| event.tenant.as_ref() == Some(tenant))
    }
}

impl Store {
    /// Newest first, from the one before `before` on.
    pub async fn list_events(
        &self,
        filter: &EventFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<ClusterEvent>, StoreError> {
        let query = sqlx::query_as!(
            EventRow,
            "select id, at, kind, node, tenant_id, operation_id, text, requested_by, reason from cluster_events
            where id < $1 and ($2::text is null or node = $2) and ($3::text is null or tenant_id = $3)
            order by id desc limit $4",
            before.unwrap_or(i64::MAX),
            filter.node.as_ref().map(NodeId::as_str),
            filter.tenant.as_ref().map(TenantId::as_str),
            i64::from(limit),
        );
        self.all("list the events", query).await?.into_iter().map(ClusterEvent::try_from).collect()
    }

    /// Oldest first, from the one after `after` on: for a watch.
    pub async fn events_after(
        &self,
        filter: &EventFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<ClusterEvent>, StoreError> {
        let query = sqlx::query_as!(
            EventRow,
            "select id, at, kind, node, tenant_id, operation_id, text, requested_by, reason from cluster_events
            where id > $1 and ($2::text is null or node = $2) and ($3::text is null or tenant_id = $3)
            order by id limit $4",
            after,
            filter.node.as_ref().map(NodeId::as_str),
            filter.tenant.as_ref().map(TenantId::as_str),
            i64::from(limit),
        );
        self.all("follow the events", query).await?.into_iter().map(ClusterEvent::try_from).collect()
    }

    /// Where a watch of what comes begins; 0 when there is none yet.
    pub async fn last_event_id(&self) -> Result<i64, StoreError> {
        let query = sqlx::query!(r#"select coalesce(max(id), 0) as "id!" from cluster_events"#);
        Ok(self.one("read the last event", query).await?.id)
    }

    /// Notes that the owner of a worker took its session back from a newer connection. Answers with how often that
    /// has happened to the tenant.
    pub async fn record_conflict(&self, fence: &Fence) -> Result<u64, StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id, node from worker_processes
                where tenant_id = $1 and generation = $2 for no key update
            ), policy_lock as materialized (
                select owner.* from owner, cluster_policy c for no key update of c
            ), counted as (
                update worker_processes w set conflicts = w.conflicts + 1, updated_at = now()
                from policy_lock where w.tenant_id = policy_lock.tenant_id
                returning w.conflicts
            ), logged as (
                insert into cluster_events (kind, node, tenant_id, text)
                select 'CONFLICT', node, tenant_id,
                    'WhatsApp closed the session for a newer connection; its owner has taken it back'
                from policy_lock
            )
            select exists(select from owner) as "owns!", (select conflicts from counted)"#,
            fence.tenant.as_str(),
            fence.generation.0,
        );
        let row = self.one("record the conflict", query).await?;
        fence.check(row.owns)?;
        unsigned("conflicts", row.conflicts.unwrap_or_default())
    }

    /// Notes what has become of a worker or its session, in the name of its owner.
    pub async fn record_event(&self, fence: &Fence, kind: EventKind, text: &str) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id, node from worker_processes
                where tenant_id = $1 and generation = $2 for key share
            ), policy_lock as materialized (
                select owner.* from owner, cluster_policy c for no key update of c
            ), logged as (
                insert into cluster_events (kind, node, tenant_id, text)
                select $3, node, tenant_id, $4 from policy_lock
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            kind_to_column(kind),
            &*storable(text),
        );
        fence.check(self.one("record an event", query).await?.owns)
    }

    /// Notes who has a picture of the tenant's page, in the name of its owner.
    pub async fn record_screenshot(&self, fence: &Fence, by: &Requester) -> Result<(), StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id, node from worker_processes
                where tenant_id = $1 and generation = $2 for key share
            ), policy_lock as materialized (
                select owner.* from owner, cluster_policy c for no key update of c
            ), logged as (
                insert into cluster_events (kind, node, tenant_id, text, requested_by, reason)
                select 'SCREENSHOT_TAKEN', node, tenant_id,
                    format('a picture of the page of tenant %s was taken on node %s', tenant_id, node), $3, $4
                from policy_lock
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            requested_by,
            reason,
        );
        fence.check(self.one("record a screenshot", query).await?.owns)
    }

    /// Of all tenants there are.
    pub async fn total_conflicts(&self) -> Result<u64, StoreError> {
        let query = sqlx::query!(
            r#"select coalesce(sum(conflicts), 0)::bigint as "conflicts!" from worker_processes"#
        );
        unsigned("conflicts", self.one("count the conflicts", query).await?.conflicts)
    }
}

/// As the columns come, before they are checked.
struct EventRow {
    id: i64,
    at: OffsetDateTime,
    kind: String,
    node: Option<String>,
    tenant_id: Option<String>,
    operation_id: Option<i64>,
    text: String,
    requested_by: String,
    reason: String,
}

impl TryFrom<EventRow> for ClusterEvent {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            at: row.at,
            kind: kind_from_column(&row.kind)?,
            node: optional_id(row.node.as_deref(), NodeId::new)?,
            tenant: optional_id(row.tenant_id.as_deref(), TenantId::new)?,
            operation: row.operation_id.map(OperationId),
            text: row.text,
            requested_by: row.requested_by,
            reason: row.reason,
        })
    }
}

const KINDS: [EventKind; 43] = [
    EventKind::NodeJoined,
    EventKind::NodeLeft,
    EventKind::NodeLost,
    EventKind::NodeSuspect,
    EventKind::ControllerElected,
    EventKind::FailoverPaused,
    EventKind::FailoverResumed,
    EventKind::FailoverBreaker,
    EventKind::OperationStarted,
    EventKind::OperationEnded,
    EventKind::Conflict,
    EventKind::NodeCordoned,
    EventKind::NodeUncordoned,
    EventKind::RestartWindowSet,
    EventKind::RestartWindowCleared,
    EventKind::TenantPinned,
    EventKind::TenantUnpinned,
    EventKind::PolicyChanged,
    EventKind::VersionPinned,
    EventKind::ChatErased,
    EventKind::NodeImpaired,
    EventKind::NodeRecovered,
    EventKind::PreparationFailed,
    EventKind::ReleaseOverdue,
    EventKind::DeadLettersRedriven,
    EventKind::LogoutFailed,
    EventKind::SnapshotPointerBehind,
    EventKind::SessionDamaged,
    EventKind::SessionNotSaved,
    EventKind::RestartedOnSchedule,
    EventKind::RestartedOverLimit,
    EventKind::GaveUpOverLimit,
    EventKind::SessionRestoreOrdered,
    EventKind::SessionRestored,
    EventKind::SessionRestoreFailed,
    EventKind::ScanPaused,
    EventKind::ScanResumed,
    EventKind::OperationResumed,
    EventKind::TenantsApplied,
    EventKind::ShedForMemory,
    EventKind::SessionImported,
    EventKind::LogLevelChanged,
    EventKind::ScreenshotTaken,
];

pub(crate) fn kind_to_column(kind: EventKind) -> &'static str {
    match kind {
        EventKind::NodeJoined => "NODE_JOINED",
        EventKind::NodeLeft => "NODE_LEFT",
        EventKind::NodeLost => "NODE_LOST",
        EventKind::NodeSuspect => "NODE_SUSPECT",
        EventKind::ControllerElected => "CONTROLLER_ELECTED",
        EventKind::FailoverPaused => "FAILOVER_PAUSED",
        EventKind::FailoverResumed => "FAILOVER_RESUMED",
        EventKind::FailoverBreaker => "FAILOVER_BREAKER",
        EventKind::OperationStarted => "OPERATION_STARTED",
        EventKind::OperationEnded => "OPERATION_ENDED",
        EventKind::Conflict => "CONFLICT",
        EventKind::NodeCordoned => "NODE_CORDONED",
        EventKind::NodeUncordoned => "NODE_UNCORDONED",
        EventKind::RestartWindowSet => "RESTART_WINDOW_SET",
        EventKind::RestartWindowCleared => "RESTART_WINDOW_CLEARED",
        EventKind::TenantPinned => "TENANT_PINNED",
        EventKind::TenantUnpinned => "TENANT_UNPINNED",
        EventKind::PolicyChanged => "POLICY_CHANGED",
        EventKind::VersionPinned => "VERSION_PINNED",
        EventKind::ChatErased => "CHAT_ERASED",
        EventKind::NodeImpaired => "NODE_IMPAIRED",
        EventKind::NodeRecovered => "NODE_RECOVERED",
        EventKind::PreparationFailed => "PREPARATION_FAILED",
        EventKind::ReleaseOverdue => "RELEASE_OVERDUE",
        EventKind::SnapshotPointerBehind => "SNAPSHOT_POINTER_BEHIND",
        EventKind::DeadLettersRedriven => "DEAD_LETTERS_REDRIVEN",
        EventKind::LogoutFailed => "LOGOUT_FAILED",
        EventKind::SessionDamaged => "SESSION_DAMAGED",
        EventKind::SessionNotSaved => "SESSION_NOT_SAVED",
        EventKind::RestartedOnSchedule => "RESTARTED_ON_SCHEDULE",
        EventKind::RestartedOverLimit => "RESTARTED_OVER_LIMIT",
        EventKind::GaveUpOverLimit => "GAVE_UP_OVER_LIMIT",
        EventKind::SessionRestoreOrdered => "SESSION_RESTORE_ORDERED",
        EventKind::SessionRestored => "SESSION_RESTORED",
        EventKind::SessionRestoreFailed => "SESSION_RESTORE_FAILED",
        EventKind::ScanPaused => "SCAN_PAUSED",
        EventKind::ScanResumed => "SCAN_RESUMED",
        EventKind::OperationResumed => "OPERATION_RESUMED",
        EventKind::TenantsApplied => "TENANTS_APPLIED",
        EventKind::ShedForMemory => "SHED_FOR_MEMORY",
        EventKind::SessionImported => "SESSION_IMPORTED",
        EventKind::LogLevelChanged => "LOG_LEVEL_CHANGED",
        EventKind::ScreenshotTaken => "SCREENSHOT_TAKEN",
    }
}

fn kind_from_column(column: &str) -> Result<EventKind, StoreError> {
    let kind = KINDS.into_iter().find(|kind| kind_to_column(*kind) == column);
    kind.ok_or_else(|| StoreError::Corrupt { what: "an event", reason: format!("its kind is {column:?}") })
}

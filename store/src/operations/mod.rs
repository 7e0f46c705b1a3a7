//! Operations: changes of placement that an operator starts, that the controller carries out, and that are over when
//! their goal is reached, cannot be reached, or is given up.
//!
//! ```text
//!   start_* --> RUNNING --Note::Ended--> DONE or FAILED
//!                  +-----cancel_operation--> CANCELLED
//! ```
//!
//! Unique indexes refuse two at once. A start is an insert that meets the running one, if there is one, in the index:
//! it waits for a start under way and answers with that one's id, and there is no moment between look and leap.

use std::time::Duration;

use roost_cluster::{
    ids::{NodeId, OperationId, TenantId},
    ledger::Progress,
};
use time::OffsetDateTime;

use crate::{Requester, Store, StoreError, columns::count};

mod start;

/// Of the rebalance that the policy starts.
pub const DEFAULT_MAX_CONCURRENT: u32 = 4;
/// Of the rebalance that the policy starts.
pub const DEFAULT_MAX_UNAVAILABLE_PERCENT: u32 = 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRecord {
    pub id: OperationId,
    pub order: OperationOrder,
    pub state: OperationState,
    /// As the controller last noted.
    pub progress: Progress,
    /// Why it failed or who cancelled it.
    pub message: String,
    /// Empty when nobody did: the policy started it.
    pub requested_by: String,
    pub reason: String,
    pub started_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
}

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationOrder {
    /// `force`: at once; else it is paced, until the deadline if there is one.
    Drain {
        node: NodeId,
        deadline: Option<OffsetDateTime>,
        force: bool,
    },
    Rebalance {
        max_concurrent: u32,
        max_unavailable_percent: u32,
    },
    Move {
        tenant: TenantId,
        to: NodeId,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "operation_state", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OperationState {
    Running,
    Done,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDrain {
    pub node: NodeId,
    /// From now.
    pub deadline: Option<Duration>,
    pub force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRebalance {
    /// At least 1.
    pub max_concurrent: u32,
    /// 1 to 100.
    pub max_unavailable_percent: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMove {
    pub tenant: TenantId,
    pub to: NodeId,
}

/// What became of the wish to cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancellation {
    Cancelled(OperationRecord),
    AlreadyOver { state: OperationState },
    NotFound,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationFilter {
    pub state: Option<OperationState>,
    /// Drained, or the target of a move.
    pub node: Option<NodeId>,
    pub tenant: Option<TenantId>,
}

impl Store {
    /// The controller begins nothing more of it. The node of a drain is as cordoned as it was when the drain began,
    /// but for an order to cordon it that came meanwhile.
    pub async fn cancel_operation(
        &self,
        id: OperationId,
        by: &Requester,
    ) -> Result<Cancellation, StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            r#"with policy_lock as materialized (
                select singleton from cluster_policy for no key update
            ), over as (
                update operations o set
                    state = 'CANCELLED', ended_at = now(),
                    message = 'cancelled' || case when $2 <> '' then ' by ' || $2 else '' end
                from policy_lock where o.id = $1 and o.state = 'RUNNING'
                returning o.id, o.kind, o.node, o.tenant_id, operation_summary(o) as summary
            ), restored as (
                update node_orders n set cordoned = n.cordoned_before
                from over where over.kind = 'DRAIN' and n.node = over.node
            ), ordered as (
                update cluster_policy set orders_revision = orders_revision + 1 from over
            ), logged as (
                insert into cluster_events (kind, node, tenant_id, operation_id, text, requested_by, reason)
                select 'OPERATION_ENDED', node, tenant_id, id, summary, $2, $3 from over
            )
            select id from over"#,
            id.0,
            requested_by,
            reason,
        );
        let cancelled = self.maybe("cancel the operation", query).await?.is_some();
        match self.get_operation(id).await {
            Ok(record) if cancelled => Ok(Cancellation::Cancelled(record)),
            Ok(record) => Ok(Cancellation::AlreadyOver { state: record.state }),
            Err(StoreError::NotFound { .. }) => Ok(Cancellation::NotFound),
            Err(error) => Err(error),
        }
    }

    pub async fn get_operation(&self, id: OperationId) -> Result<OperationRecord, StoreError> {
        let query = sqlx::query_as!(
            OperationRow,
            r#"select id, kind as "kind: Kind", node, tenant_id, force, deadline, max_concurrent,
                max_unavailable_percent, state as "state: OperationState", total, done, message, requested_by, reason,
                started_at, ended_at
            from operations where id = $1"#,
            id.0,
        );
        let row = self.maybe("get the operation", query).await?;
        row.ok_or_else(|| StoreError::NotFound { kind: "operation", id: id.to_string() })?.try_into()
    }

    /// Newest first, from the one before `before` on.
    pub async fn list_operations(
        &self,
        filter: &OperationFilter,
        before: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<OperationRecord>, StoreError> {
        let query = sqlx::query_as!(
            OperationRow,
            r#"select id, kind as "kind: Kind", node, tenant_id, force, deadline, max_concurrent,
                max_unavailable_percent, state as "state: OperationState", total, done, message, requested_by, reason,
                started_at, ended_at
            from operations
            where id < $1 and ($2::operation_state is null or state = $2) and ($3::text is null or node = $3)
                and ($4::text is null or tenant_id = $4)
            order by id desc limit $5"#,
            before.map_or(i64::MAX, |before| before.0),
            filter.state as Option<OperationState>,
            filter.node.as_ref().map(NodeId::as_str),
            filter.tenant.as_ref().map(TenantId::as_str),
            i64::from(limit),
        );
        self.all("list the operations", query).await?.into_iter().map(OperationRecord::try_from).collect()
    }
}

#[derive(Debug, Clone, Copy, sqlx::Type)]
#[sqlx(type_name = "operation_kind", rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    Drain,
    Rebalance,
    Move,
}

/// As the columns come, before they are checked.
struct OperationRow {
    id: i64,
    kind: Kind,
    node: Option<String>,
    tenant_id: Option<String>,
    force: bool,
    deadline: Option<OffsetDateTime>,
    max_concurrent: Option<i32>,
    max_unavailable_percent: Option<i32>,
    state: OperationState,
    total: i32,
    done: i32,
    message: String,
    requested_by: String,
    reason: String,
    started_at: OffsetDateTime,
    ended_at: Option<OffsetDateTime>,
}

impl OperationRow {
    fn order(&self) -> Result<OperationOrder, StoreError> {
        let missing = || StoreError::Corrupt {
            what: "an operation",
            reason: format!("operation {} lacks what its kind needs", self.id),
        };
        let node = || NodeId::new(self.node.as_deref().ok_or_else(missing)?).map_err(StoreError::corrupt_id);
        Ok(match self.kind {
            Kind::Drain => {
                OperationOrder::Drain { node: node()?, deadline: self.deadline, force: self.force }
            }
            Kind::Rebalance => OperationOrder::Rebalance {
                max_concurrent: count(self.max_concurrent.ok_or_else(missing)?)?,
                max_unavailable_percent: count(self.max_unavailable_percent.ok_or_else(missing)?)?,
            },
            Kind::Move => {
                let tenant = self.tenant_id.as_deref().ok_or_else(missing)?;
                let tenant = TenantId::new(tenant).map_err(StoreError::corrupt_id)?;
                OperationOrder::Move { tenant, to: node()? }
            }
        })
    }
}

impl TryFrom<OperationRow> for OperationRecord {
    type Error = StoreError;

    fn try_from(row: OperationRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: OperationId(row.id),
            order: row.order()?,
            state: row.state,
            progress: Progress { total: count(row.total)?, done: count(row.done)? },
            message: row.message,
            requested_by: row.requested_by,
            reason: row.reason,
            started_at: row.started_at,
            ended_at: row.ended_at,
        })
    }
}

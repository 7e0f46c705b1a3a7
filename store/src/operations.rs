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

use crate::{By, Store, StoreError};

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
    /// Cordons the node, too. `Conflict` when it is being drained already.
    pub async fn start_drain(&self, drain: &NewDrain, by: &By) -> Result<OperationRecord, StoreError> {
        let (who, why) = by.columns();
        let query = sqlx::query_as!(
            StartedRow,
            r#"with turn as materialized (
                select singleton from cluster_policy for no key update
            ), met as (
                insert into operations (kind, node, force, deadline, requested_by, reason)
                select 'DRAIN', $1, $2, now() + make_interval(secs => $3), $4, $5 from turn
                -- Changes nothing, but answers with the row. Only a row that this has inserted has no xmax.
                on conflict (node) where state = 'RUNNING' and kind = 'DRAIN' do update set node = excluded.node
                returning id, xmax = 0 as fresh, operation_news(operations) as news
            ), cordoned as (
                insert into node_orders (node, cordoned, cordoned_by, cordon_reason, cordoned_at)
                select $1, true, $4, $5, now() from met where fresh
                on conflict (node) do update set
                    cordoned_before = node_orders.cordoned, cordoned = true,
                    cordoned_by = case when node_orders.cordoned then node_orders.cordoned_by else $4 end,
                    cordon_reason = case when node_orders.cordoned then node_orders.cordon_reason else $5 end,
                    cordoned_at = case when node_orders.cordoned then node_orders.cordoned_at else now() end
            ), ordered as (
                update cluster_policy set orders_revision = orders_revision + 1 from met where fresh
            ), told as (
                insert into cluster_events (kind, node, operation_id, text, who, reason)
                select 'OPERATION_STARTED', $1, id, news, $4, $5 from met where fresh
            )
            select id, fresh as "fresh!" from met"#,
            drain.node.as_str(),
            drain.force,
            drain.deadline.map(|deadline| deadline.as_secs_f64()),
            who,
            why,
        );
        let started = self.one("start the drain", query).await?;
        let what = |id| format!("node {} is being drained (operation {id})", drain.node);
        self.get_operation(started.or_conflict(what)?).await
    }

    /// `Conflict` when one runs.
    pub async fn start_rebalance(
        &self,
        rebalance: &NewRebalance,
        by: &By,
    ) -> Result<OperationRecord, StoreError> {
        let (who, why) = by.columns();
        let query = sqlx::query_as!(
            StartedRow,
            r#"with turn as materialized (
                select singleton from cluster_policy for no key update
            ), met as (
                insert into operations (kind, max_concurrent, max_unavailable_percent, requested_by, reason)
                select 'REBALANCE', $1, $2, $3, $4 from turn
                on conflict (kind) where state = 'RUNNING' and kind = 'REBALANCE' do update set kind = excluded.kind
                returning id, xmax = 0 as fresh, operation_news(operations) as news
            ), ordered as (
                update cluster_policy set orders_revision = orders_revision + 1 from met where fresh
            ), told as (
                insert into cluster_events (kind, operation_id, text, who, reason)
                select 'OPERATION_STARTED', id, news, $3, $4 from met where fresh
            )
            select id, fresh as "fresh!" from met"#,
            number_to_column(rebalance.max_concurrent),
            number_to_column(rebalance.max_unavailable_percent),
            who,
            why,
        );
        let started = self.one("start the rebalance", query).await?;
        let what = |id| format!("a rebalance is running (operation {id})");
        self.get_operation(started.or_conflict(what)?).await
    }

    /// `Conflict` when the tenant is being moved already.
    pub async fn start_move(&self, order: &NewMove, by: &By) -> Result<OperationRecord, StoreError> {
        let (who, why) = by.columns();
        let query = sqlx::query_as!(
            StartedRow,
            r#"with held as materialized (
                select tenant_id from worker_processes where tenant_id = $1 for key share
            ), turn as materialized (
                select held.* from held, cluster_policy c for no key update of c
            ), met as (
                insert into operations (kind, tenant_id, node, requested_by, reason)
                select 'MOVE', tenant_id, $2, $3, $4 from turn
                on conflict (tenant_id) where state = 'RUNNING' and kind = 'MOVE'
                    do update set tenant_id = excluded.tenant_id
                returning id, xmax = 0 as fresh, operation_news(operations) as news
            ), ordered as (
                update cluster_policy set orders_revision = orders_revision + 1 from met where fresh
            ), told as (
                insert into cluster_events (kind, node, tenant_id, operation_id, text, who, reason)
                select 'OPERATION_STARTED', $2, $1, id, news, $3, $4 from met where fresh
            )
            select id, fresh as "fresh!" from met"#,
            order.tenant.as_str(),
            order.to.as_str(),
            who,
            why,
        );
        let started = self.maybe("start the move", query).await?;
        let started = started.ok_or_else(|| StoreError::no_tenant(&order.tenant))?;
        let what = |id| format!("tenant {} is being moved (operation {id})", order.tenant);
        self.get_operation(started.or_conflict(what)?).await
    }

    /// The controller begins nothing more of it. The node of a drain is as cordoned as it was when the drain began,
    /// but for an order to cordon it that came meanwhile.
    pub async fn cancel_operation(&self, id: OperationId, by: &By) -> Result<Cancellation, StoreError> {
        let (who, why) = by.columns();
        let query = sqlx::query!(
            r#"with turn as materialized (
                select singleton from cluster_policy for no key update
            ), over as (
                update operations o set
                    state = 'CANCELLED', ended_at = now(),
                    message = 'cancelled' || case when $2 <> '' then ' by ' || $2 else '' end
                from turn where o.id = $1 and o.state = 'RUNNING'
                returning o.id, o.kind, o.node, o.tenant_id, operation_news(o) as news
            ), restored as (
                update node_orders n set cordoned = n.cordoned_before
                from over where over.kind = 'DRAIN' and n.node = over.node
            ), ordered as (
                update cluster_policy set orders_revision = orders_revision + 1 from over
            ), told as (
                insert into cluster_events (kind, node, tenant_id, operation_id, text, who, reason)
                select 'OPERATION_ENDED', node, tenant_id, id, news, $2, $3 from over
            )
            select id from over"#,
            id.0,
            who,
            why,
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

/// What does not fit the column is beyond what its check allows, and is refused by that.
pub(crate) fn number_to_column(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(crate) fn count(column: i32) -> Result<u32, StoreError> {
    u32::try_from(column)
        .map_err(|reason| StoreError::Corrupt { what: "an operation", reason: reason.to_string() })
}

/// The operation that a start has made, or has met.
struct StartedRow {
    id: i64,
    fresh: bool,
}

impl StartedRow {
    fn or_conflict(self, what: impl Fn(i64) -> String) -> Result<OperationId, StoreError> {
        let operation = OperationId(self.id);
        if self.fresh { Ok(operation) } else { Err(StoreError::Conflict { operation, what: what(self.id) }) }
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

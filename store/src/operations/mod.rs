//! Operations: changes of placement and orders on many workers that an operator starts, that the controller carries out, and that
//! are over when their goal is reached, cannot be reached, or is given up.
//!
//! ```text
//!   start_* --> RUNNING --LedgerRecord::Ended--> DONE or FAILED
//!                  +-----cancel_operation--> CANCELLED
//! ```
//!
//! Unique indexes refuse two at once. A start is an insert that meets the running one, if there is one, in the index:
//! it waits for a start under way and answers with that one's id, and there is no moment between look and leap.

use std::time::Duration;

use roost_model::ids::{NodeId, OperationId, TenantId};
use sqlx::types::Json;

use crate::{Requester, SettingsValues, Store, StoreError};

mod fleet;
mod record;
mod rollout;
mod rollout_order;
mod settings;
mod start;

pub use fleet::{ChosenWorker, NewFleetOrder, Resumption};
use record::{Kind, OperationRow};
pub use record::{OperationOrder, OperationRecord, OperationState, SettingsOrder, WorkerAction};
pub(crate) use record::{count, number_to_column};
pub use rollout::{NewRollout, RolloutChoice};
pub use rollout_order::RolloutOrder;
pub use settings::{NewUndo, SettingsPlan, TenantChanges};

/// Of the rebalance that the policy starts.
pub const DEFAULT_MAX_CONCURRENT: u32 = 4;
/// Of the rebalance that the policy starts.
pub const DEFAULT_MAX_UNAVAILABLE_PERCENT: u32 = 10;

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
    Cancelled(Box<OperationRecord>),
    AlreadyOver { state: OperationState },
    NotFound,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationFilter {
    pub state: Option<OperationState>,
    /// Drained, or the target of a move, of one tenant or of many.
    pub node: Option<NodeId>,
    pub tenant: Option<TenantId>,
}

impl Store {
    /// The controller begins nothing more of it; a rollout is taken back. The node of a drain is as cordoned as it was when the drain began,
    /// but for an order to cordon it that came meanwhile.
    pub async fn cancel_operation(
        &self,
        id: OperationId,
        by: &Requester,
    ) -> Result<Cancellation, StoreError> {
        if let Some(ended) = self.cancel_rollout(id, by).await? {
            return Ok(ended);
        }
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
            Ok(record) if cancelled => Ok(Cancellation::Cancelled(Box::new(record))),
            Ok(record) => Ok(Cancellation::AlreadyOver { state: record.state }),
            Err(StoreError::NotFound { .. }) => Ok(Cancellation::NotFound),
            Err(error) => Err(error),
        }
    }

    pub async fn get_operation(&self, id: OperationId) -> Result<OperationRecord, StoreError> {
        let found = self.operations_of([id]).await?.pop();
        found.ok_or_else(|| StoreError::NotFound { kind: "operation", id: id.to_string() })
    }

    /// Those of these that there are, in no order. A thousand or so at once.
    pub async fn operations_of(
        &self,
        ids: impl IntoIterator<Item = OperationId>,
    ) -> Result<Vec<OperationRecord>, StoreError> {
        let ids: Vec<i64> = ids.into_iter().map(|id| id.0).collect();
        let query = sqlx::query_as!(
            OperationRow,
            r#"select id, kind as "kind: Kind", node, tenant_id, selector, action as "action: WorkerAction",
                force, deadline, max_concurrent, max_unavailable_percent, pauses_after, settings as "settings: Json<SettingsValues>", undoes, rollout as "rollout: Json<RolloutOrder>", state as "state: OperationState", total, done, message, requested_by, reason,
                started_at, ended_at
            from operations where id = any($1)"#,
            &ids,
        );
        self.all("get operations", query).await?.into_iter().map(OperationRecord::try_from).collect()
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
            r#"select id, kind as "kind: Kind", node, tenant_id, selector, action as "action: WorkerAction",
                force, deadline, max_concurrent, max_unavailable_percent, pauses_after, settings as "settings: Json<SettingsValues>", undoes, rollout as "rollout: Json<RolloutOrder>", state as "state: OperationState", total, done, message, requested_by, reason,
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

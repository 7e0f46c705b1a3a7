//! How an operation starts: one statement, which makes it or meets the one that runs.

use roost_model::ids::OperationId;

use super::{NewDrain, NewMove, NewRebalance, OperationRecord, number_to_column};
use crate::{Requester, Store, StoreError};

impl Store {
    /// Cordons the node, too. `Conflict` when it is being drained already.
    pub async fn start_drain(&self, drain: &NewDrain, by: &Requester) -> Result<OperationRecord, StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query_as!(
            StartedRow,
            r#"with policy_lock as materialized (
                select singleton from cluster_policy for no key update
            ), met as (
                insert into operations (kind, node, force, deadline, requested_by, reason)
                select 'DRAIN', $1, $2, now() + make_interval(secs => $3), $4, $5 from policy_lock
                -- Changes nothing, but answers with the row. Only a row that this has inserted has no xmax.
                on conflict (node) where state = 'RUNNING' and kind = 'DRAIN' do update set node = excluded.node
                returning id, xmax = 0 as fresh, operation_summary(operations) as summary
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
            ), logged as (
                insert into cluster_events (kind, node, operation_id, text, requested_by, reason)
                select 'OPERATION_STARTED', $1, id, summary, $4, $5 from met where fresh
            )
            select id, fresh as "fresh!" from met"#,
            drain.node.as_str(),
            drain.force,
            drain.deadline.map(|deadline| deadline.as_secs_f64()),
            requested_by,
            reason,
        );
        let started = self.one("start the drain", query).await?;
        let what = |id| format!("node {} is being drained (operation {id})", drain.node);
        self.get_operation(started.or_conflict(what)?).await
    }

    /// `Conflict` when one runs.
    pub async fn start_rebalance(
        &self,
        rebalance: &NewRebalance,
        by: &Requester,
    ) -> Result<OperationRecord, StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query_as!(
            StartedRow,
            r#"with policy_lock as materialized (
                select singleton from cluster_policy for no key update
            ), met as (
                insert into operations (kind, max_concurrent, max_unavailable_percent, requested_by, reason)
                select 'REBALANCE', $1, $2, $3, $4 from policy_lock
                on conflict (kind) where state = 'RUNNING' and kind = 'REBALANCE' do update set kind = excluded.kind
                returning id, xmax = 0 as fresh, operation_summary(operations) as summary
            ), ordered as (
                update cluster_policy set orders_revision = orders_revision + 1 from met where fresh
            ), logged as (
                insert into cluster_events (kind, operation_id, text, requested_by, reason)
                select 'OPERATION_STARTED', id, summary, $3, $4 from met where fresh
            )
            select id, fresh as "fresh!" from met"#,
            number_to_column(rebalance.max_concurrent),
            number_to_column(rebalance.max_unavailable_percent),
            requested_by,
            reason,
        );
        let started = self.one("start the rebalance", query).await?;
        let what = |id| format!("a rebalance is running (operation {id})");
        self.get_operation(started.or_conflict(what)?).await
    }

    /// `Conflict` when the tenant is being moved already.
    pub async fn start_move(&self, order: &NewMove, by: &Requester) -> Result<OperationRecord, StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query_as!(
            StartedRow,
            r#"with held as materialized (
                select tenant_id from worker_processes where tenant_id = $1 for key share
            ), policy_lock as materialized (
                select held.* from held, cluster_policy c for no key update of c
            ), met as (
                insert into operations (kind, tenant_id, node, requested_by, reason)
                select 'MOVE', tenant_id, $2, $3, $4 from policy_lock
                on conflict (tenant_id) where state = 'RUNNING' and kind = 'MOVE'
                    do update set tenant_id = excluded.tenant_id
                returning id, xmax = 0 as fresh, operation_summary(operations) as summary
            ), ordered as (
                update cluster_policy set orders_revision = orders_revision + 1 from met where fresh
            ), logged as (
                insert into cluster_events (kind, node, tenant_id, operation_id, text, requested_by, reason)
                select 'OPERATION_STARTED', $2, $1, id, summary, $3, $4 from met where fresh
            )
            select id, fresh as "fresh!" from met"#,
            order.tenant.as_str(),
            order.to.as_str(),
            requested_by,
            reason,
        );
        let started = self.maybe("start the move", query).await?;
        let started = started.ok_or_else(|| StoreError::no_tenant(&order.tenant))?;
        let what = |id| format!("tenant {} is being moved (operation {id})", order.tenant);
        self.get_operation(started.or_conflict(what)?).await
    }
}

/// The operation that a start has made, or has met.
pub(super) struct StartedRow {
    pub(super) id: i64,
    pub(super) fresh: bool,
}

impl StartedRow {
    pub(super) fn or_conflict(self, what: impl Fn(i64) -> String) -> Result<OperationId, StoreError> {
        let operation = OperationId(self.id);
        if self.fresh { Ok(operation) } else { Err(StoreError::Conflict { operation, what: what(self.id) }) }
    }
}

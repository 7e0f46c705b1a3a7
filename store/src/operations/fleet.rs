//! Orders on many workers: who is chosen, the operation that keeps them, and going on with one that has paused.

use roost_cluster::ledger::{FleetLimits, MemberFailure};
use roost_model::ids::{NodeId, OperationId, TenantId};
use sqlx::types::Json;

use super::{OperationRecord, OperationState, WorkerAction, number_to_column, start::StartedRow};
use crate::{
    LabelSelector, Labels, Requester, SettingsValues, Store, StoreError, WorkerFilter, WorkerStatus,
    columns::optional_id,
};

/// A worker for which there is something to do and that a selector has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenWorker {
    pub tenant: TenantId,
    pub node: Option<NodeId>,
    /// It is connected and not in ERROR: an order takes something away.
    pub answers: bool,
}

/// What became of the wish to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resumption {
    Resumed(Box<OperationRecord>),
    NotPaused { state: OperationState },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFleetOrder {
    pub action: WorkerAction,
    /// As it was given; empty for all.
    pub selector: String,
    /// Of a move, if it is to one node.
    pub to: Option<NodeId>,
    /// Of an update of settings.
    pub settings: Option<SettingsValues>,
    pub limits: FleetLimits,
    /// In the order in which they are taken.
    pub members: Vec<ChosenWorker>,
}

impl Store {
    /// Of the workers for which there is something to do those that the filter lets through, ordered by tenant, `limit` at most.
    pub async fn choose_workers(
        &self,
        action: WorkerAction,
        filter: &WorkerFilter,
        limit: u32,
    ) -> Result<Vec<ChosenWorker>, StoreError> {
        let query = sqlx::query!(
            r#"select w.tenant_id, w.node, w.status <> 'ERROR' and s.status = 'CONNECTED' as "answers!"
            from worker_processes w join whatsapp_sessions s using (tenant_id)
            where worker_action_applies($9, w) and ($1::text is null or w.node = $1)
                and ($2::worker_status is null or w.status = $2)
                and ($3 or exists (
                    select from tenants t where t.id = w.tenant_id and t.labels @> $4 and not t.labels @> any ($5::jsonb[])
                        and t.labels ?& $6 and not t.labels ?| $7))
            order by w.tenant_id limit $8"#,
            filter.node.as_ref().map(NodeId::as_str),
            filter.status as Option<WorkerStatus>,
            filter.labels == LabelSelector::default(),
            Json(&filter.labels.equal) as Json<&Labels>,
            filter.labels.unequal() as Vec<Json<Labels>>,
            &filter.labels.present,
            &filter.labels.absent,
            i64::from(limit),
            action as WorkerAction,
        );
        let rows = self.all("choose the workers", query).await?;
        let chosen = rows.into_iter().map(|row| {
            let tenant = TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)?;
            Ok(ChosenWorker {
                tenant,
                node: optional_id(row.node.as_deref(), NodeId::new)?,
                answers: row.answers,
            })
        });
        chosen.collect()
    }

    /// `Conflict` when one runs.
    pub async fn start_fleet_operation(
        &self,
        order: &NewFleetOrder,
        by: &Requester,
    ) -> Result<OperationRecord, StoreError> {
        let (requested_by, reason) = by.columns();
        let tenants: Vec<&str> = order.members.iter().map(|member| member.tenant.as_str()).collect();
        let answered: Vec<bool> = order.members.iter().map(|member| member.answers).collect();
        let query = sqlx::query_as!(
            StartedRow,
            r#"with policy_lock as materialized (
                select singleton from cluster_policy for no key update
            ), met as (
                insert into operations
                    (kind, selector, max_concurrent, max_unavailable_percent, total, requested_by, reason, action, pauses_after, node, settings)
                select 'FLEET', $1, $2, $3, cardinality($4::text[]), $6, $7, $8, $9, $10, $11 from policy_lock
                on conflict (state) where state = 'RUNNING' and selector is not null do update set state = excluded.state
                returning id, xmax = 0 as fresh, operation_summary(operations) as summary
            ), chosen as (
                insert into operation_members (operation_id, position, tenant_id, answered)
                select met.id, given.position, given.tenant_id, given.answered
                from met, unnest($4::text[], $5::bool[]) with ordinality as given(tenant_id, answered, position)
                where met.fresh
            ), ordered as (
                update cluster_policy set orders_revision = orders_revision + 1 from met where fresh
            ), logged as (
                insert into cluster_events (kind, operation_id, text, requested_by, reason)
                select 'OPERATION_STARTED', id, summary, $6, $7 from met where fresh
            )
            select id, fresh as "fresh!" from met"#,
            order.selector,
            number_to_column(order.limits.max_concurrent),
            number_to_column(order.limits.max_unavailable_percent),
            &tenants as &[&str],
            &answered,
            requested_by,
            reason,
            order.action as WorkerAction,
            order.limits.pauses_after.map(number_to_column),
            order.to.as_ref().map(NodeId::as_str),
            order.settings.as_ref().map(Json) as Option<Json<&SettingsValues>>,
        );
        let started = self.one("start the fleet operation", query).await?;
        self.get_operation(started.or_conflict(fleet_runs)?).await
    }

    /// One that has paused goes on until one more fails.
    pub async fn resume_operation(&self, id: OperationId, by: &Requester) -> Result<Resumption, StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            r#"with policy_lock as materialized (
                select singleton from cluster_policy for no key update
            ), failures as materialized (
                select count(*)::int as failed from policy_lock, operation_members m
                where m.operation_id = $1 and m.state = 'FAILED'
            ), resumed as (
                update operations o set pauses_after = failures.failed, message = ''
                from failures where o.id = $1 and o.state = 'RUNNING' and o.pauses_after < failures.failed
                returning o.id, operation_summary(o) as summary
            ), ordered as (
                update cluster_policy set orders_revision = orders_revision + 1 from resumed
            ), logged as (
                insert into cluster_events (kind, operation_id, text, requested_by, reason)
                select 'OPERATION_RESUMED', id, summary, $2, $3 from resumed
            )
            select id from resumed"#,
            id.0,
            requested_by,
            reason,
        );
        let resumed = self.maybe("resume the operation", query).await?.is_some();
        let record = self.get_operation(id).await?;
        Ok(if resumed {
            Resumption::Resumed(Box::new(record))
        } else {
            Resumption::NotPaused { state: record.state }
        })
    }

    /// The members that have failed, in the order in which they were taken.
    pub async fn operation_failures(
        &self,
        id: OperationId,
        limit: u32,
    ) -> Result<Vec<MemberFailure>, StoreError> {
        let query = sqlx::query!(
            "select tenant_id, error from operation_members where operation_id = $1 and state = 'FAILED'
            order by position limit $2",
            id.0,
            i64::from(limit),
        );
        let rows = self.all("list an operation's failures", query).await?;
        let failures = rows.into_iter().map(|row| {
            let tenant = TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)?;
            Ok(MemberFailure { tenant, error: row.error })
        });
        failures.collect()
    }
}

/// In the way of the start of another one.
pub(super) fn fleet_runs(id: i64) -> String {
    format!("an order on many workers is being carried out (operation {id})")
}

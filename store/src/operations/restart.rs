//! The start of a restart of many workers: who is chosen, and the operation that keeps them.

use roost_cluster::ledger::{MemberFailure, RestartLimits};
use roost_model::ids::{NodeId, OperationId, TenantId};
use sqlx::types::Json;

use super::{OperationRecord, number_to_column, start::StartedRow};
use crate::{
    LabelSelector, Labels, Requester, Store, StoreError, WorkerFilter, WorkerStatus, columns::optional_id,
};

/// A worker that is to run and that a selector has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenWorker {
    pub tenant: TenantId,
    pub node: Option<NodeId>,
    /// It is connected and not in ERROR: a restart takes something away.
    pub answers: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRestart {
    /// As it was given; empty for all.
    pub selector: String,
    pub limits: RestartLimits,
    /// In the order in which they are taken.
    pub members: Vec<ChosenWorker>,
}

impl Store {
    /// Of the workers that are to run those that the filter lets through, ordered by tenant, `limit` at most.
    pub async fn choose_workers(
        &self,
        filter: &WorkerFilter,
        limit: u32,
    ) -> Result<Vec<ChosenWorker>, StoreError> {
        let query = sqlx::query!(
            r#"select w.tenant_id, w.node, w.status <> 'ERROR' and s.status = 'CONNECTED' as "answers!"
            from worker_processes w join whatsapp_sessions s using (tenant_id)
            where w.desired = 'RUNNING' and ($1::text is null or w.node = $1)
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
    pub async fn start_restart(
        &self,
        restart: &NewRestart,
        by: &Requester,
    ) -> Result<OperationRecord, StoreError> {
        let (requested_by, reason) = by.columns();
        let tenants: Vec<&str> = restart.members.iter().map(|member| member.tenant.as_str()).collect();
        let answered: Vec<bool> = restart.members.iter().map(|member| member.answers).collect();
        let query = sqlx::query_as!(
            StartedRow,
            r#"with policy_lock as materialized (
                select singleton from cluster_policy for no key update
            ), met as (
                insert into operations
                    (kind, selector, max_concurrent, max_unavailable_percent, total, requested_by, reason)
                select 'RESTART', $1, $2, $3, cardinality($4::text[]), $6, $7 from policy_lock
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
            restart.selector,
            number_to_column(restart.limits.max_concurrent),
            number_to_column(restart.limits.max_unavailable_percent),
            &tenants as &[&str],
            &answered,
            requested_by,
            reason,
        );
        let started = self.one("start the restart", query).await?;
        let what = |id| format!("a restart of many workers is running (operation {id})");
        self.get_operation(started.or_conflict(what)?).await
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

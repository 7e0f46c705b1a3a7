//! Rollouts: a version that is given to some tenants first. Who they are is drawn by lot when it starts, and so are as many that keep
//! what they have, with whom they are compared.

use roost_model::ids::{NodeId, OperationId, TenantId};
use sqlx::types::Json;

use super::{Cancellation, OperationRecord, RolloutOrder, start::StartedRow};
use crate::{
    LabelSelector, Labels, Requester, Store, StoreError, VersionKind, WorkerFilter, WorkerStatus,
    columns::ids_to_column,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRollout {
    pub order: RolloutOrder,
    pub chosen: RolloutChoice,
}

/// In the order in which they are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RolloutChoice {
    pub tenants: Vec<TenantId>,
    pub controls: Vec<TenantId>,
}

impl Store {
    /// How many tenants a version could be given to first, for they answer and have none of this kind of their own; and `most` of them,
    /// drawn by lot.
    pub async fn rollout_candidates(
        &self,
        kind: VersionKind,
        filter: &WorkerFilter,
        most: u64,
    ) -> Result<(u64, Vec<TenantId>), StoreError> {
        let query = sqlx::query!(
            r#"with fit as materialized (
                select w.tenant_id from worker_processes w join whatsapp_sessions s using (tenant_id)
                join tenants t on t.id = w.tenant_id
                where w.desired = 'RUNNING' and w.condition = 'ANSWERING' and s.status = 'CONNECTED'
                    and not t.browser ? case $1::version_kind when 'PAGE' then 'page_version' else 'library_version' end
                    and t.deleting_since is null and ($8::text is null or w.node = $8) and ($9::worker_status is null or w.status = $9)
                    and ($2 or (t.labels @> $3 and not t.labels @> any ($4::jsonb[]) and t.labels ?& $5 and not t.labels ?| $6))
            )
            select tenant_id as "tenant_id!", (select count(*) from fit) as "count!" from fit order by random() limit $7"#,
            kind as VersionKind,
            filter.labels == LabelSelector::default(),
            Json(&filter.labels.equal) as Json<&Labels>,
            filter.labels.unequal() as Vec<Json<Labels>>,
            &filter.labels.present,
            &filter.labels.absent,
            i64::try_from(most).unwrap_or(i64::MAX),
            filter.node.as_ref().map(NodeId::as_str),
            filter.status as Option<WorkerStatus>,
        );
        let rows = self.all("draw tenants by lot", query).await?;
        let count = rows.first().map_or(0, |row| row.count.unsigned_abs());
        let drawn = rows.iter().map(|row| TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id));
        Ok((count, drawn.collect::<Result<_, _>>()?))
    }

    /// `Conflict` when one runs, [`StoreError::NotFound`] when the version was deleted meanwhile.
    pub async fn start_rollout(
        &self,
        rollout: &NewRollout,
        by: &Requester,
    ) -> Result<OperationRecord, StoreError> {
        let (requested_by, reason) = by.columns();
        let NewRollout { order, chosen } = rollout;
        let query = sqlx::query_as!(
            StartedRow,
            r#"with policy_lock as materialized (
                select singleton from cluster_policy for no key update
            ), version as materialized (
                -- It stays until this is committed, and then this operation keeps it.
                select v.name from policy_lock, versions v where v.name = $2 and v.kind = $3 for key share of v
            ), met as (
                insert into operations (kind, rollout, total, requested_by, reason)
                select 'ROLLOUT', $1, cardinality($4::text[]), $6, $7 from version
                on conflict (state) where state = 'RUNNING' and rollout is not null do update set state = excluded.state
                returning id, xmax = 0 as fresh, operation_summary(operations) as summary
            ), chosen as (
                insert into rollout_members (operation_id, position, tenant_id, is_control, given_at)
                select met.id, given.position, given.tenant_id, given.is_control, case when given.is_control then now() end
                from met, (
                    select tenant_id, position, false as is_control from unnest($4::text[]) with ordinality as one(tenant_id, position)
                    union all
                    select tenant_id, cardinality($4::text[]) + position, true
                    from unnest($5::text[]) with ordinality as one(tenant_id, position)
                ) as given
                where met.fresh
            ), ordered as (
                update cluster_policy set orders_revision = orders_revision + 1 from met where fresh
            ), logged as (
                insert into cluster_events (kind, operation_id, text, requested_by, reason)
                select 'OPERATION_STARTED', id, summary, $6, $7 from met where fresh
            )
            select id, fresh as "fresh!" from met"#,
            Json(order) as Json<&RolloutOrder>,
            order.version,
            order.kind as VersionKind,
            &ids_to_column(&chosen.tenants),
            &ids_to_column(&chosen.controls),
            requested_by,
            reason,
        );
        let started = self.maybe("start the rollout", query).await?;
        let started = started
            .ok_or_else(|| StoreError::NotFound { kind: order.kind.noun(), id: order.version.clone() })?;
        let what = |id| format!("a rollout is under way (operation {id})");
        self.get_operation(started.or_conflict(what)?).await
    }

    /// Whoever was given the version goes back to what they had before, and their workers start anew with that.
    pub(super) async fn cancel_rollout(
        &self,
        id: OperationId,
        by: &Requester,
    ) -> Result<Option<Cancellation>, StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            r#"with rollout as materialized (
                select id, done from operations where id = $1 and state = 'RUNNING' and rollout is not null
            ), held as materialized (
                select w.tenant_id from rollout join rollout_members m on m.operation_id = rollout.id and m.state = 'GIVEN'
                join worker_processes w using (tenant_id)
                order by w.tenant_id for no key update of w
            ), policy_lock as materialized (
                -- Counted, so that the workers' rows are held before this one. Limited, so that the planner knows.
                select c.singleton from (select count(*) from held) as first, cluster_policy c
                limit 1 for no key update of c
            )
            select end_rollout(rollout.id, 'CANCELLED', 'cancelled' || case when $2 <> '' then ' by ' || $2 else '' end, rollout.done, $2, $3)
                is not null as "ended!"
            from rollout, policy_lock"#,
            id.0,
            requested_by,
            reason,
        );
        if self.maybe("cancel the rollout", query).await?.is_none() {
            return Ok(None);
        }
        let record = self.get_operation(id).await?;
        Ok(Some(match record.state {
            super::OperationState::Cancelled => Cancellation::Cancelled(Box::new(record)),
            state => Cancellation::AlreadyOver { state },
        }))
    }
}

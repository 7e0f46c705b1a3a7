//! The level of a tenant's log for a time, in place of its own: kept with the tenant, so that it holds on whichever node has the worker.

use std::time::Duration;

use roost_model::ids::TenantId;

use crate::{Requester, Store, StoreError, Tenant, columns::LogLevel};

impl Store {
    /// From now on for so long; it takes the place of one that holds.
    pub async fn set_log_level(
        &self,
        tenant: &TenantId,
        level: roost_model::LogLevel,
        span: Duration,
        by: &Requester,
    ) -> Result<Tenant, StoreError> {
        self.order_log_level(tenant, Some((level, span)), by).await
    }

    /// The tenant's own level holds again. Where none was in its place nothing changes.
    pub async fn reset_log_level(&self, tenant: &TenantId, by: &Requester) -> Result<Tenant, StoreError> {
        self.order_log_level(tenant, None, by).await
    }

    /// With its event, and the worker is told.
    async fn order_log_level(
        &self,
        tenant: &TenantId,
        order: Option<(roost_model::LogLevel, Duration)>,
        by: &Requester,
    ) -> Result<Tenant, StoreError> {
        let (requested_by, reason) = by.columns();
        let (level, span) = order.unzip();
        let query = sqlx::query!(
            r#"with worker as materialized (
                select w.tenant_id, w.node from worker_processes w where w.tenant_id = $1 for no key update
            ), tenant as materialized (
                select worker.* from worker, tenants t
                where t.id = worker.tenant_id and t.deleting_since is null
                    and ($2::log_level is not null or t.temporary_log_level_until > now())
                for no key update of t
            ), policy_lock as materialized (
                select tenant.* from tenant, cluster_policy c for no key update of c
            ), changed as (
                update tenants t set temporary_log_level = $2, updated_at = now(),
                    temporary_log_level_until = now() + make_interval(secs => $3::float8)
                from policy_lock where t.id = policy_lock.tenant_id
                returning t.id, policy_lock.node, t.temporary_log_level_until as until
            ), told as (
                update worker_processes w set spec_revision = nextval('spec_revisions'), updated_at = now()
                from changed where w.tenant_id = changed.id
            )
            insert into cluster_events (kind, node, tenant_id, text, requested_by, reason)
            select 'LOG_LEVEL_CHANGED', node, id,
                case when $2 is null then format('the log of tenant %s has its own level again', id)
                    else format('the log of tenant %s is written from %s on, until %s', id, $2,
                        to_char(until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) end,
                $4, $5
            from changed
            returning id"#,
            tenant.as_str(),
            level.map(LogLevel::from) as Option<LogLevel>,
            span.map(|span| span.as_secs_f64()),
            requested_by,
            reason,
        );
        self.maybe("change the log level", query).await?;
        // None was changed where there is no such tenant, which this says.
        self.get_tenant(tenant).await
    }
}

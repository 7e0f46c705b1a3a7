//! The flush of what a node's workers have proved: one statement per node and interval, whatever the number of tenants.

use roost_model::ids::TenantId;

use crate::{Fence, Store, StoreError};

impl Store {
    /// Notes that these workers were seen working just now, and answers with those that are not the caller's any more.
    ///
    /// Rows that another statement holds are skipped: a heartbeat that waits for one tenant would be late for all the
    /// others, and the next one comes soon. A worker that stale detection had given up is taken back, for the
    /// heartbeat is the evidence that was missing.
    pub async fn heartbeat(&self, fences: &[Fence]) -> Result<Vec<TenantId>, StoreError> {
        let tenants: Vec<&str> = fences.iter().map(|fence| fence.tenant.as_str()).collect();
        let generations: Vec<i64> = fences.iter().map(|fence| fence.generation.0).collect();
        let query = sqlx::query!(
            r#"with given as (
                select * from unnest($1::text[], $2::bigint[]) as given(tenant_id, generation)
            ), held as materialized (
                select w.tenant_id, w.stale from worker_processes w join given using (tenant_id)
                where w.generation = given.generation
                order by w.tenant_id for no key update of w skip locked
            ), seen as (
                update worker_processes w set
                    last_seen_at = now(), stale = false,
                    status = case when held.stale then 'RUNNING' else w.status end,
                    last_error = case when held.stale then '' else w.last_error end
                from held where w.tenant_id = held.tenant_id
            ), revived as (
                update tenants t set status = running_tenant_status(s), updated_at = now()
                from held join whatsapp_sessions s using (tenant_id)
                where held.stale and t.id = held.tenant_id and t.status = 'ERROR'
            )
            select given.tenant_id as "tenant_id!" from given left join worker_processes w using (tenant_id)
            where w.generation is distinct from given.generation"#,
            &tenants as &[&str],
            &generations,
        );
        let refused = self.all("flush the heartbeats", query).await?;
        refused.iter().map(|row| TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)).collect()
    }
}

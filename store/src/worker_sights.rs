//! Workers that said that they answer and came out of sight, or into it again: what is shown of them is otherwise then, and no row
//! that tells of changes was written.

use std::collections::BTreeSet;

use roost_model::ids::TenantId;

use crate::{Store, StoreError, WorkerHorizon, pool::CALL_TIMEOUT};

impl Store {
    /// Those since that moment; some may have been seen so before. No index has the times, which every heartbeat writes: the
    /// narrow table of heartbeats is read as a whole, some 20 ms at 100,000 tenants, for all who follow workers together.
    ///
    /// A heartbeat has the time at which its statement began, and no statement takes longer than [`CALL_TIMEOUT`]: one that is
    /// seen only now has begun no earlier.
    pub async fn workers_sighted_since(
        &self,
        since: &WorkerHorizon,
    ) -> Result<BTreeSet<TenantId>, StoreError> {
        let query = sqlx::query!(
            "select h.tenant_id from worker_heartbeats h join worker_processes w using (tenant_id)
            where (h.evident_until between $1 and now() or h.evident_since >= $1) and w.condition = 'ANSWERING'",
            since.at - CALL_TIMEOUT,
        );
        let rows = self.all("look which workers are seen and which are not", query).await?;
        rows.iter().map(|row| TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)).collect()
    }
}

//! Workers that said that they answer and of which nothing has been heard since for longer than that may be believed.

use std::collections::BTreeSet;

use roost_model::ids::TenantId;

use crate::{Store, StoreError};

impl Store {
    /// Those that have come to be so within the last ten minutes. No index has the time, which every heartbeat writes: the narrow
    /// table of heartbeats is read as a whole, some 20 ms at 100,000 tenants, for all who follow workers together.
    pub async fn workers_out_of_sight(&self) -> Result<BTreeSet<TenantId>, StoreError> {
        let query = sqlx::query!(
            "select h.tenant_id from worker_heartbeats h join worker_processes w using (tenant_id)
            where h.evident_until <= now() and h.evident_until > now() - interval '10 minutes'
                and w.condition = 'ANSWERING'"
        );
        let rows = self.all("look for workers that are not seen", query).await?;
        rows.iter().map(|row| TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)).collect()
    }
}

//! How much of a tenant waits.

use roost_model::ids::TenantId;

use crate::{Store, StoreError};

/// Messages that wait for their answer, and replies that wait to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueDepths {
    pub inbound: u64,
    pub outbound: u64,
}

impl Store {
    /// Reads of the tenant what waits, by the table that has nothing else.
    pub async fn queue_depths(&self, tenant: &TenantId) -> Result<QueueDepths, StoreError> {
        let query = sqlx::query!(
            r#"select count(*) filter (where direction = 'IN') as "inbound!",
                count(*) filter (where direction = 'OUT') as "outbound!"
            from bm_pending where tenant_id = $1"#,
            tenant.as_str(),
        );
        let row = self.one("count what waits of a tenant", query).await?;
        Ok(QueueDepths { inbound: row.inbound.unsigned_abs(), outbound: row.outbound.unsigned_abs() })
    }
}

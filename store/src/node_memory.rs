//! What a node's tenants request of its memory and use of it.

use roost_model::ids::NodeId;

use crate::{Store, StoreError, columns::unsigned};

/// Of the tenants that are to run and whose node it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryDemand {
    pub requested_bytes: u64,
    /// When each was last seen; 0 of one of which that is not known.
    pub used_bytes: u64,
}

impl Store {
    /// `default_request_bytes`: of a tenant that requests nothing. Reads what is of this node, for somebody who asks.
    pub async fn memory_demand(
        &self,
        node: &NodeId,
        default_request_bytes: u64,
    ) -> Result<MemoryDemand, StoreError> {
        let query = sqlx::query!(
            r#"select coalesce(sum(coalesce(t.memory_request_bytes, $2)), 0)::bigint as "requested!",
                coalesce(sum(h.memory_bytes), 0)::bigint as "used!"
            from worker_processes w join tenants t on t.id = w.tenant_id join worker_heartbeats h on h.tenant_id = w.tenant_id
            where w.node = $1 and w.desired = 'RUNNING'"#,
            node.as_str(),
            i64::try_from(default_request_bytes).unwrap_or(i64::MAX),
        );
        let sums = self.one("sum up the memory of a node", query).await?;
        Ok(MemoryDemand {
            requested_bytes: unsigned("requested", sums.requested)?,
            used_bytes: unsigned("used", sums.used)?,
        })
    }
}

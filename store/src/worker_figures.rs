//! What changes of workers all the time, of all of them together: what their browsers use, what they have to do, and what waits.

use roost_model::{ResourceUsage, ids::TenantId};

use crate::{
    QueueDepths, Store, StoreError,
    columns::{optional_unsigned, unsigned},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerFigures {
    pub tenant: TenantId,
    /// Of its browser, when it was last seen.
    pub usage: Option<ResourceUsage>,
    /// Taken in and sent before it was last seen.
    pub messages_per_minute: Option<u32>,
    pub queue: QueueDepths,
}

impl Store {
    /// Ordered by tenant id, from the one after `after` on. It reads a row of each worker, and of the queues what waits.
    pub async fn worker_figures(
        &self,
        after: Option<&TenantId>,
        limit: u32,
    ) -> Result<Vec<WorkerFigures>, StoreError> {
        let query = sqlx::query!(
            r#"with page as materialized (
                select tenant_id, desired = 'RUNNING' as wanted from worker_processes
                where tenant_id > $1 order by tenant_id limit $2
            ), waiting as (
                select tenant_id, count(*) filter (where direction = 'IN') as inbound,
                    count(*) filter (where direction = 'OUT') as outbound
                from bm_pending where tenant_id > $1 and tenant_id <= (select max(tenant_id) from page)
                group by tenant_id
            )
            select page.tenant_id, page.wanted as "wanted!", h.memory_bytes, h.cpu_millicores, h.processes,
                h.messages_per_minute, coalesce(waiting.inbound, 0) as "inbound!", coalesce(waiting.outbound, 0) as "outbound!"
            from page join worker_heartbeats h using (tenant_id) left join waiting using (tenant_id)
            order by page.tenant_id"#,
            after.map_or("", TenantId::as_str),
            i64::from(limit),
        );
        let rows = self.all("read the workers' figures", query).await?;
        let figures = rows.into_iter().map(|row| {
            let messages = row.messages_per_minute.filter(|_| row.wanted);
            Ok(WorkerFigures {
                tenant: TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)?,
                usage: usage_from_columns(row.wanted, row.memory_bytes, row.cpu_millicores, row.processes)?,
                messages_per_minute: optional_unsigned(messages.map(i64::from))?,
                queue: QueueDepths {
                    inbound: unsigned("inbound", row.inbound)?,
                    outbound: unsigned("outbound", row.outbound)?,
                },
            })
        });
        figures.collect()
    }
}

/// What one that is not to run has left behind is no use of anything.
pub(crate) fn usage_from_columns(
    is_wanted: bool,
    memory_bytes: Option<i64>,
    cpu_millicores: Option<i32>,
    processes: Option<i32>,
) -> Result<Option<ResourceUsage>, StoreError> {
    let (Some(memory_bytes), Some(cpu_millicores), Some(processes), true) = (
        optional_unsigned(memory_bytes)?,
        optional_unsigned(cpu_millicores.map(i64::from))?,
        optional_unsigned(processes.map(i64::from))?,
        is_wanted,
    ) else {
        return Ok(None);
    };
    Ok(Some(ResourceUsage { memory_bytes, cpu_millicores, processes }))
}

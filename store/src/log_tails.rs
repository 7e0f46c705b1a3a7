//! The end of each worker's log, for those who read it when its node is gone.
//!
//! No fence is asked: a row is keyed by the generation of the owner that writes it, and one that was deposed has something to tell.
//! What comes late touches no later owner's row and is not kept when [`KEPT`] later ones are.

use roost_model::ids::{Generation, NodeId, TenantId};
use time::OffsetDateTime;

use crate::{Store, StoreError, columns::ids_to_column};

/// Owners of a tenant whose logs are kept; one more for a moment.
pub const KEPT: i64 = 3;

/// What an owner has logged last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTail {
    pub tenant: TenantId,
    pub generation: Generation,
    /// JSON objects, one a line, compressed with zstd.
    pub lines: Vec<u8>,
}

/// The same as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedLogTail {
    pub generation: Generation,
    pub node: NodeId,
    pub saved_at: OffsetDateTime,
    /// As in [`LogTail`].
    pub lines: Vec<u8>,
}

impl Store {
    /// In place of what was kept of these owners. Of a tenant that there is not nothing is kept.
    pub async fn save_log_tails(&self, node: &NodeId, tails: &[LogTail]) -> Result<(), StoreError> {
        if tails.is_empty() {
            return Ok(());
        }
        let generations: Vec<i64> = tails.iter().map(|tail| tail.generation.0).collect();
        let lines: Vec<Vec<u8>> = tails.iter().map(|tail| tail.lines.clone()).collect();
        let query = sqlx::query!(
            r#"with given as materialized (
                select g.tenant_id, g.generation, g.lines
                from unnest($1::text[], $2::bigint[], $3::bytea[]) as g (tenant_id, generation, lines)
                join worker_processes w on w.tenant_id = g.tenant_id
                where (
                    select count(*) from worker_log_tails t where t.tenant_id = g.tenant_id and t.generation > g.generation
                ) < $5
            ), outdated as (
                delete from worker_log_tails t using given g
                where t.tenant_id = g.tenant_id and t.generation < g.generation and (
                    select count(*) from worker_log_tails n where n.tenant_id = t.tenant_id and n.generation > t.generation
                ) >= $5
            )
            insert into worker_log_tails (tenant_id, generation, node, lines)
            select tenant_id, generation, $4, lines from given order by tenant_id, generation
            on conflict (tenant_id, generation)
                do update set node = excluded.node, saved_at = now(), lines = excluded.lines
            returning tenant_id"#,
            &ids_to_column(tails.iter().map(|tail| &tail.tenant)),
            &generations,
            &lines,
            node.as_str(),
            KEPT,
        );
        self.all("keep the ends of workers' logs", query).await.map(drop)
    }

    /// The newest owner's first.
    pub async fn log_tails(&self, tenant: &TenantId) -> Result<Vec<SavedLogTail>, StoreError> {
        let query = sqlx::query!(
            "select generation, node, saved_at, lines from worker_log_tails where tenant_id = $1
            order by generation desc",
            tenant.as_str(),
        );
        let rows = self.all("read the ends of a worker's logs", query).await?;
        rows.into_iter()
            .map(|row| {
                Ok(SavedLogTail {
                    generation: Generation(row.generation),
                    node: NodeId::new(&row.node).map_err(StoreError::corrupt_id)?,
                    saved_at: row.saved_at,
                    lines: row.lines,
                })
            })
            .collect()
    }
}

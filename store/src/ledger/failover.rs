//! How a failover, or an operation, gets on: what was placed and has not come up.

use std::time::Duration;

use roost_cluster::ledger::{FailoverFacts, LedgerError, NotBack};
use roost_model::ids::{NodeId, OperationId, TenantId};

use super::{PostgresLedger, to_ledger};
use crate::StoreError;

impl PostgresLedger {
    pub(super) async fn read_failover_facts(
        &self,
        placed_within: Duration,
        cut_off_within: Duration,
    ) -> Result<FailoverFacts, LedgerError> {
        let query = sqlx::query!(
            r#"select
                (
                    select count(*) from worker_processes w join whatsapp_sessions s using (tenant_id)
                    where w.desired = 'RUNNING' and w.node is not null and w.status <> 'ERROR'
                        and s.status = 'DISCONNECTED' and s.scan_paused_at is null
                        and w.expected_since > now() - make_interval(secs => $1)
                ) as "starting!",
                array(
                    select node from cut_off_nodes where seen_at > now() - make_interval(secs => $2)
                ) as "cut_off!""#,
            placed_within.as_secs_f64(),
            cut_off_within.as_secs_f64(),
        );
        let row = self.store.one("read how a failover gets on", query).await.map_err(to_ledger)?;
        let cut_off = row.cut_off.iter().map(|node| NodeId::new(node)).collect::<Result<_, _>>();
        Ok(FailoverFacts {
            starting: u32::try_from(row.starting).unwrap_or(u32::MAX),
            cut_off: cut_off.map_err(|reason| to_ledger(StoreError::corrupt_id(reason)))?,
        })
    }

    pub(super) async fn read_not_back(&self, operation: OperationId) -> Result<Vec<NotBack>, LedgerError> {
        // A worker that was not seen for long before the move, or never, has nothing to come back to. One with a saved
        // session is back when that is connected, another one when it shows a code, or shows none because nobody scans.
        let query = sqlx::query!(
            r#"select distinct p.tenant_id, p.to_node,
                extract(epoch from now() - w.expected_since)::float8 as "placed_ago_s!"
            from placements p
            join worker_processes w on w.tenant_id = p.tenant_id and w.node = p.to_node
            join worker_heartbeats h on h.tenant_id = p.tenant_id
            join whatsapp_sessions s on s.tenant_id = p.tenant_id
            where p.operation_id = $1 and w.desired = 'RUNNING'
                and h.last_seen_at > w.expected_since - interval '2 minutes'
                and s.status <> 'CONNECTED' and s.scan_paused_at is null and (s.status = 'DISCONNECTED' or s.snapshot_manifest is not null)
            order by p.tenant_id"#,
            operation.0,
        );
        let rows = self.store.all("find who is not back", query).await.map_err(to_ledger)?;
        let not_back = rows.into_iter().map(|row| {
            Ok(NotBack {
                tenant: TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)?,
                node: NodeId::new(&row.to_node).map_err(StoreError::corrupt_id)?,
                placed_ago: Duration::try_from_secs_f64(row.placed_ago_s).unwrap_or_default(),
            })
        });
        not_back.collect::<Result<_, StoreError>>().map_err(to_ledger)
    }
}

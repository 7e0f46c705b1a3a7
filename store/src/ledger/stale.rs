//! Workers that are to run and are not seen.

use std::time::Duration;

use roost_cluster::ledger::LedgerError;
use roost_model::ids::{TenantId, Term};

use super::{PostgresLedger, to_ledger};
use crate::StoreError;

impl PostgresLedger {
    pub(super) async fn mark_stale_workers(
        &self,
        term: Term,
        older_than: Duration,
    ) -> Result<Vec<TenantId>, LedgerError> {
        let query = sqlx::query!(
            r#"with valid_term as materialized (
                select term from controller_term where term = $1 for share
            ), held as materialized (
                select w.tenant_id, w.node,
                    extract(epoch from now() - greatest(h.last_seen_at, w.expected_since))::bigint as unseen_s
                from valid_term, worker_processes w join worker_heartbeats h using (tenant_id)
                where w.desired = 'RUNNING' and w.status = 'RUNNING'
                    and greatest(h.last_seen_at, w.expected_since) < now() - make_interval(secs => $2)
                    -- One that goes on saying what it waits for is not lost from sight.
                    and not (
                        w.condition in ('WAITING_FOR_WHATSAPP', 'WAITING_FOR_STORE', 'WAITING_FOR_NODE', 'HEALING')
                        and w.updated_at >= now() - make_interval(secs => $2)
                    )
                order by w.tenant_id for no key update of w skip locked
            ), marked as (
                update worker_processes w set
                    status = 'ERROR', stale = true, updated_at = now(),
                    last_error = case
                        when held.node is null then format('no node has taken the worker for %s s', held.unseen_s)
                        else format('not seen for %s s on node %s', held.unseen_s, held.node)
                    end
                from held where w.tenant_id = held.tenant_id
                returning w.tenant_id
            ), logged as (
                update tenants t set status = 'ERROR', updated_at = now()
                from marked where t.id = marked.tenant_id
            )
            select exists(select from valid_term) as "holds_term!", marked.tenant_id as "tenant_id?"
            from (select) as once left join marked on true
            order by marked.tenant_id"#,
            term.0,
            older_than.as_secs_f64(),
        );
        let rows = self.store.all("mark stale workers", query).await.map_err(to_ledger)?;
        self.check(rows.iter().any(|row| row.holds_term)).await.map_err(to_ledger)?;
        let marked = rows.iter().filter_map(|row| row.tenant_id.as_deref()).map(TenantId::new);
        marked.collect::<Result<_, _>>().map_err(|reason| to_ledger(StoreError::corrupt_id(reason)))
    }
}

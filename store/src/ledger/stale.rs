//! Workers that are to run and are not seen.
//!
//! Heartbeats write no index, so nothing finds at once who was not seen. Each worker therefore carries `known_seen_at`, a time at
//! which it is known to have been seen or later, and an index has those that run by it. A check reads those for which that
//! is too long ago, and says of each either when it was seen since or that it was not: each worker is looked at about once in
//! the time that it may be silent, and a worker that need not run never.

use std::time::Duration;

use roost_cluster::ledger::LedgerError;
use roost_model::ids::{TenantId, Term};

use super::{PostgresLedger, to_ledger};
use crate::StoreError;

/// Workers that a statement looks at. So few that looking up each of them is the cheaper plan in a table of any size.
const BATCH: i64 = 250;

impl PostgresLedger {
    pub(super) async fn mark_stale_workers(
        &self,
        term: Term,
        older_than: Duration,
    ) -> Result<Vec<TenantId>, LedgerError> {
        let mut all_marked = Vec::new();
        loop {
            let (due, marked) = self.mark_stale_batch(term, older_than).await.map_err(to_ledger)?;
            all_marked.extend(marked);
            if due < BATCH {
                all_marked.sort();
                return Ok(all_marked);
            }
        }
    }

    /// How many were looked at, and those of them that were marked.
    async fn mark_stale_batch(
        &self,
        term: Term,
        older_than: Duration,
    ) -> Result<(i64, Vec<TenantId>), StoreError> {
        let query = sqlx::query!(
            r#"with valid_term as materialized (
                select term from controller_term where term = $1 for share
            ), due as materialized (
                select w.tenant_id, w.node, w.expected_since,
                    -- One that goes on saying what it waits for is not lost from sight, and one without a browser has nothing to
                    -- be seen of: that its node lives is the lease's to say.
                    case
                        when w.condition in ('WAITING_FOR_WHATSAPP', 'WAITING_FOR_STORE', 'WAITING_FOR_NODE', 'HEALING', 'NEEDS_UPDATE')
                            then w.updated_at
                        when w.condition = 'SCAN_PAUSED' then now()
                    end as said_at
                from valid_term, worker_processes w
                where w.desired = 'RUNNING' and w.status = 'RUNNING'
                    and w.known_seen_at < now() - make_interval(secs => $2)
                order by w.known_seen_at limit $3 for no key update of w skip locked
            ), seen as materialized (
                select tenant_id, node, said_at, greatest(expected_since, (
                    select h.last_seen_at from worker_heartbeats h where h.tenant_id = due.tenant_id
                )) as seen_at
                from due
            ), looked_at as (
                update worker_processes w set
                    known_seen_at = greatest(seen.seen_at, seen.said_at)
                from seen
                where w.tenant_id = seen.tenant_id
                    and greatest(seen.seen_at, seen.said_at) >= now() - make_interval(secs => $2)
            ), marked as (
                update worker_processes w set
                    status = 'ERROR', stale = true, updated_at = now(),
                    last_error = format(case
                        when seen.node is null then 'no node has taken the worker for %s s'
                        else 'not seen for %s s on node %s'
                    end, extract(epoch from now() - seen.seen_at)::bigint, seen.node)
                from seen
                where w.tenant_id = seen.tenant_id
                    and greatest(seen.seen_at, seen.said_at) < now() - make_interval(secs => $2)
                returning w.tenant_id
            ), logged as (
                update tenants t set status = 'ERROR', updated_at = now()
                from marked where t.id = marked.tenant_id
            )
            select exists(select from valid_term) as "holds_term!", (select count(*) from due) as "due!",
                marked.tenant_id as "tenant_id?"
            from (select) as once left join marked on true"#,
            term.0,
            older_than.as_secs_f64(),
            BATCH,
        );
        let rows = self.store.all("mark stale workers", query).await?;
        self.check(rows.iter().any(|row| row.holds_term)).await?;
        let marked = rows.iter().filter_map(|row| row.tenant_id.as_deref()).map(TenantId::new);
        let marked = marked.collect::<Result<_, _>>().map_err(StoreError::corrupt_id)?;
        Ok((rows.first().map_or(0, |row| row.due), marked))
    }
}

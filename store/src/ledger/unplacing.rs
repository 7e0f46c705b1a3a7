//! That no node has a tenant any more. Its generation stays, for nobody else is placed.
//!
//! With its owner goes what was said of that: the session is DISCONNECTED, its code gone, and it is not said to answer. What it
//! waits for is left, for it may go on waiting for that.

use roost_cluster::ledger::LedgerError;
use roost_model::ids::{TenantId, Term};

use super::{PostgresLedger, to_ledger};

impl PostgresLedger {
    /// Answers with how many.
    pub(super) async fn take_off_their_nodes(
        &self,
        term: Term,
        tenants: &[TenantId],
    ) -> Result<usize, LedgerError> {
        let tenants: Vec<&str> = tenants.iter().map(TenantId::as_str).collect();
        let query = sqlx::query!(
            r#"with valid_term as materialized (
                select term from controller_term where term = $1 for share
            ), held as materialized (
                select w.tenant_id from valid_term, worker_processes w
                join whatsapp_sessions s using (tenant_id)
                where w.tenant_id = any($2) order by w.tenant_id for no key update of w, s skip locked
            ), unplaced as (
                update worker_processes w set
                    node = null, updated_at = now(),
                    condition = case when w.condition = 'ANSWERING' then 'STARTING' else w.condition end,
                    condition_reason = case when w.condition = 'ANSWERING' then 'it is on no node' else w.condition_reason end,
                    condition_since = case when w.condition = 'ANSWERING' then now() else w.condition_since end
                from held where w.tenant_id = held.tenant_id
            ), left_behind as (
                update whatsapp_sessions s set
                    status = 'DISCONNECTED', qr_text = null, qr_data_uri = null, qr_expires_at = null,
                    updated_at = now()
                from held where s.tenant_id = held.tenant_id and s.status <> 'DISCONNECTED'
            )
            select exists(select from valid_term) as "holds_term!", (select count(*) from held) as "unplaced!""#,
            term.0,
            &tenants as &[&str],
        );
        let row = self.store.one("unplace the tenants", query).await.map_err(to_ledger)?;
        self.check(row.holds_term).await.map_err(to_ledger)?;
        Ok(usize::try_from(row.unplaced).unwrap_or(usize::MAX))
    }
}

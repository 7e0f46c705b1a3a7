//! Codes that nobody scans: the owner of the worker shows no more of them and closes its browser, and so does every owner after
//! it, until the worker is started anew, by whatever order (a trigger sees to that, and tells the history).

use roost_model::ids::TenantId;

use crate::{Fence, RestartMode, Session, Store, StoreError, columns::storable};

impl Store {
    /// The owner has closed its browser; `text` is for the history. `false`, and nothing is written, when the worker was asked to
    /// start anew after the order `restart_seq`, of which its owner has not heard yet.
    pub async fn pause_scan(&self, fence: &Fence, restart_seq: i64, text: &str) -> Result<bool, StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id, node, restart_seq <= $3 as has_heard from worker_processes
                where tenant_id = $1 and generation = $2 for no key update
            ), policy_lock as materialized (
                select owner.* from owner, cluster_policy c where owner.has_heard for no key update of c
            ), paused as (
                update whatsapp_sessions s set scan_paused_at = now(), updated_at = now()
                from policy_lock where s.tenant_id = policy_lock.tenant_id and s.scan_paused_at is null
                returning s.tenant_id
            ), logged as (
                insert into cluster_events (kind, node, tenant_id, text)
                select 'SCAN_PAUSED', node, tenant_id, $4 from policy_lock join paused using (tenant_id)
            )
            select exists(select from owner) as "owns!", exists(select from policy_lock) as "paused!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            restart_seq,
            &*storable(text),
        );
        let row = self.one("pause the scan", query).await?;
        fence.check(row.owns)?;
        Ok(row.paused)
    }

    /// Has codes shown again where nobody had scanned them; changes nothing where that is not so.
    pub async fn resume_linking(&self, id: &TenantId) -> Result<Session, StoreError> {
        let query = sqlx::query!(
            r#"select asked.was_asked as "was_asked!" from whatsapp_sessions s
                cross join lateral ask_to_run(array[s.tenant_id], $2, true) as asked
            where s.tenant_id = $1 and s.scan_paused_at is not null"#,
            id.as_str(),
            RestartMode::Graceful as RestartMode,
        );
        self.maybe("resume the linking", query).await?;
        self.get_session(id).await
    }
}

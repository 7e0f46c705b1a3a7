//! The end of a tenant: one short statement, and then its messages, in batches.
//!
//! ```text
//!   delete_tenant       worker, session, heartbeat and placements go; `tenants.deleting_since` is set, which hides what is left
//!                       of the tenant from every read; the removal is noted for the nodes
//!   delete_next_batch   up to BATCH rows of each queue and of the log, again and again; in the end the row of `tenants`
//! ```
//!
//! From the first commit on there is no worker's row, so every write in the tenant's name is refused ([`crate::fence`]): nothing
//! is added to what the batches remove, and they hold nothing that anybody else waits for. The row of `tenants` stays until
//! they are done, so that no new tenant of the same id can lose its messages to them.
//!
//! A batch is one statement that holds that row for as long as it takes. So a tenant's batches are one after the other,
//! however many processes see to them, and a process that dies leaves nothing to be taken back: the next batch is anybody's.

use roost_model::ids::TenantId;
use sqlx::{
    Postgres,
    postgres::{PgArguments, PgRow},
    query::Map,
};

use crate::{Store, StoreError};

/// Rows of one table in a batch: some milliseconds of work.
const BATCH: i64 = 1_000;

/// What a call of [`Store::delete_next_batch`] has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeletionBatch {
    /// So many rows went, and there may be more.
    Removed { rows: u64 },
    /// The last of this tenant went; its id is free.
    Finished { tenant: TenantId },
    /// All that there is to delete is in others' hands just now.
    Elsewhere,
    /// No tenant is being deleted.
    Nothing,
}

impl Store {
    /// Deletes the tenant, for everybody: its worker is fenced from the commit on and its owner told to stop it. What is left
    /// of it, which nothing reads any more, is for [`Store::delete_next_batch`].
    pub async fn delete_tenant(&self, id: &TenantId) -> Result<(), StoreError> {
        let marked = self.maybe("delete the tenant", deletion(id)).await?;
        marked.map(drop).ok_or_else(|| StoreError::no_tenant(id))
    }

    /// Removes some of what is left of a tenant that was deleted. Any number of processes may call it at once.
    pub async fn delete_next_batch(&self) -> Result<DeletionBatch, StoreError> {
        let query = sqlx::query!(
            r#"with tenant as materialized (
                select id from tenants where deleting_since is not null order by deleting_since limit 1
                for update skip locked
            ), log as (
                delete from message_logs where id = any(array(
                    select l.id from tenant join message_logs l on l.tenant_id = tenant.id limit $1
                )) returning id
            ), inbound as (
                delete from bm_in where id = any(array(
                    select b.id from tenant join bm_in b on b.tenant_id = tenant.id limit $1
                )) returning id
            ), outbound as (
                delete from bm_out where id = any(array(
                    select b.id from tenant join bm_out b on b.tenant_id = tenant.id limit $1
                )) returning id
            ), waiting as (
                delete from bm_pending where ctid = any(array(
                    select w.ctid from tenant join bm_pending w on w.tenant_id = tenant.id limit $1
                )) returning 1
            ), sent as (
                delete from recent_replies where ctid = any(array(
                    select r.ctid from tenant join recent_replies r on r.tenant_id = tenant.id limit $1
                )) returning 1
            ), known_chats as (
                delete from chats where ctid = any(array(
                    select c.ctid from tenant join chats c on c.tenant_id = tenant.id limit $1
                )) returning 1
            ), windows as (
                delete from reply_windows where ctid = any(array(
                    select w.ctid from tenant join reply_windows w on w.tenant_id = tenant.id limit $1
                )) returning 1
            ), finished as (
                -- By what there was before this batch, so nothing is left to go with it.
                delete from tenants t using tenant where t.id = tenant.id
                    and not exists (select from message_logs where tenant_id = tenant.id)
                    and not exists (select from bm_in where tenant_id = tenant.id)
                    and not exists (select from bm_out where tenant_id = tenant.id)
                    and not exists (select from bm_pending where tenant_id = tenant.id)
                    and not exists (select from recent_replies where tenant_id = tenant.id)
                    and not exists (select from chats where tenant_id = tenant.id)
                    and not exists (select from reply_windows where tenant_id = tenant.id)
                returning t.id
            )
            select exists(select from tenant) as "held!", (select id from finished) as finished,
                exists(select from tenants where deleting_since is not null) as "any_left!",
                (select count(*) from log) + (select count(*) from inbound) + (select count(*) from outbound)
                    + (select count(*) from waiting) + (select count(*) from sent) + (select count(*) from known_chats)
                    + (select count(*) from windows) as "rows!""#,
            BATCH,
        );
        let row = self.one("remove what is left of a tenant", query).await?;
        if let Some(tenant) = row.finished {
            return Ok(DeletionBatch::Finished {
                tenant: TenantId::new(&tenant).map_err(StoreError::corrupt_id)?,
            });
        }
        Ok(match (row.held, row.any_left) {
            (true, _) => DeletionBatch::Removed { rows: row.rows.unsigned_abs() },
            (false, true) => DeletionBatch::Elsewhere,
            (false, false) => DeletionBatch::Nothing,
        })
    }
}

/// Answers with the id if there was such a tenant.
pub(crate) fn deletion(
    id: &TenantId,
) -> Map<'static, Postgres, impl FnMut(PgRow) -> Result<String, sqlx::Error> + Send + use<>, PgArguments> {
    sqlx::query!(
        r#"with held as materialized (
            select tenant_id from worker_processes where tenant_id = $1 for update
        ), marked as (
            update tenants t set
                deleting_since = now(), display_name = '', phone = '', texts = '{}', proxy = null, proxy_user = null,
                proxy_password = null, updated_at = now()
            from held where t.id = held.tenant_id
            returning t.id, t.uid
        ), removal as (
            insert into tenant_removals (uid, tenant_id) select uid, id from marked
        ), session as (
            delete from whatsapp_sessions s using held where s.tenant_id = held.tenant_id
        ), heartbeat as (
            delete from worker_heartbeats h using held where h.tenant_id = held.tenant_id
        ), placed as (
            delete from placements p using held where p.tenant_id = held.tenant_id
        ), worker as (
            delete from worker_processes w using held where w.tenant_id = held.tenant_id
        )
        select id from marked"#,
        id.as_str(),
    )
    .map(|row| row.id)
}

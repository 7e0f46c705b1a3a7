//! The erasure of a chat by order: its texts and its number go, and it is answered once all the same (I6).
//!
//! What is left of a message is its row in the inbound queue without text and number, which a second delivery meets by
//! its digest. One that waited for its answer is DONE by that: an answer that is under way meanwhile completes nothing
//! and queues nothing. A reply that waited goes; one that is being sent is then marked by nobody, and by nobody sent
//! again.

use std::time::Duration;

use roost_model::ids::TenantId;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{Requester, Store, StoreError, call::within};

/// A chat with very many messages takes a while.
const LONG_TRANSACTION: Duration = Duration::from_secs(60);

impl Store {
    /// Removes what is kept of a chat, and answers with how many messages, replies and lines of the log that was. The
    /// history notes that, by whom and why, without the chat. Repeating it is fine.
    pub async fn erase_chat(&self, tenant: &TenantId, chat: &str, by: &Requester) -> Result<u64, StoreError> {
        let step = "erase the chat";
        self.met().await?;
        let erased = within(LONG_TRANSACTION, step, async {
            let mut lease = self.lease().await?;
            let answer = erase_in_transaction(lease.connection(), tenant, chat, by).await;
            lease.settle(answer)
        })
        .await?;
        erased.ok_or_else(|| StoreError::no_tenant(tenant))
    }
}

/// The log goes first, for it may be long and placements wait for the worker's row. From when that row is held until the
/// commit no write of the worker is under way, so what is removed then is all there is. The policy's row is taken last:
/// the controller waits for it, and who holds it waits for no message.
async fn erase_in_transaction(
    connection: &mut PgConnection,
    tenant: &TenantId,
    chat: &str,
    by: &Requester,
) -> Result<Option<u64>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    hold_log(&mut transaction, tenant).await?;
    let mut rows = erase_log(&mut transaction, tenant, chat).await?;
    let held = sqlx::query!(
        "select tenant_id from worker_processes where tenant_id = $1 for update",
        tenant.as_str()
    );
    if held.fetch_optional(&mut *transaction).await?.is_none() {
        transaction.rollback().await?;
        return Ok(None);
    }
    rows += erase_log(&mut transaction, tenant, chat).await?;
    rows += erase_queues(&mut transaction, tenant, chat).await?;
    note(&mut transaction, tenant, rows, by).await?;
    transaction.commit().await?;
    Ok(Some(rows))
}

/// Begins a long transaction that removes lines of a tenant's log: the only one of its kind until it ends.
async fn hold_log(transaction: &mut PgConnection, id: &TenantId) -> Result<(), sqlx::Error> {
    let limit = format!("set local statement_timeout = {}", LONG_TRANSACTION.as_millis());
    transaction.execute(AssertSqlSafe(limit)).await?;
    let alone = sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended('the log of ' || $1, 0))::text",
        id.as_str()
    );
    alone.fetch_one(transaction).await?;
    Ok(())
}

async fn erase_log(
    transaction: &mut PgConnection,
    tenant: &TenantId,
    chat: &str,
) -> Result<u64, sqlx::Error> {
    let query =
        sqlx::query!("delete from message_logs where tenant_id = $1 and chat_id = $2", tenant.as_str(), chat);
    Ok(query.execute(transaction).await?.rows_affected())
}

/// Replies of the last minute count for the reply limit, so their rows stay, empty.
async fn erase_queues(
    transaction: &mut PgConnection,
    tenant: &TenantId,
    chat: &str,
) -> Result<u64, sqlx::Error> {
    let query = sqlx::query!(
        r#"with unfinished as materialized (
            select direction, id from bm_pending where tenant_id = $1
            union all select direction, id from dead_letters where tenant_id = $1 and chat_id = $2
        ), inbound as (
            update bm_in b set
                state = 'DONE', done_at = coalesce(b.done_at, now()),
                whatsapp_id = '', chat_id = '', sender = '', body = '', last_error = ''
            from unfinished u
            where u.direction = 'IN' and b.id = u.id and b.chat_id = $2 and b.state in ('PENDING', 'DEAD')
            returning b.id
        ), replies as materialized (
            select b.id, b.counted and b.created_at > now() - interval '60 seconds' as counts
            from unfinished u join bm_out b on b.id = u.id
            where u.direction = 'OUT' and b.chat_id = $2 and b.state in ('PENDING', 'DEAD')
        ), counted as (
            update bm_out b set
                state = 'SENT', sent_at = now(), whatsapp_id = '', chat_id = '', body = '', last_error = ''
            from replies where b.id = replies.id and replies.counts
            returning b.id, b.created_at
        ), recent as (
            insert into recent_replies (tenant_id, sent_at, queued_at) select $1, now(), created_at from counted
        ), outbound as (
            delete from bm_out b using replies where b.id = replies.id and not replies.counts
            returning b.id
        ), settled as (
            delete from bm_pending where tenant_id = $1 and (
                direction = 'IN' and id in (select id from inbound)
                or direction = 'OUT' and id in (select id from replies))
        ), forgotten as (
            delete from chats where tenant_id = $1 and chat_id = $2
        )
        select (select count(*) from inbound) + (select count(*) from counted) + (select count(*) from outbound)
            as "rows!""#,
        tenant.as_str(),
        chat,
    );
    Ok(query.fetch_one(transaction).await?.rows.unsigned_abs())
}

async fn note(
    transaction: &mut PgConnection,
    tenant: &TenantId,
    rows: u64,
    by: &Requester,
) -> Result<(), sqlx::Error> {
    let (requested_by, reason) = by.columns();
    let query = sqlx::query!(
        r#"with policy_lock as materialized (
            select singleton from cluster_policy for no key update
        )
        insert into cluster_events (kind, tenant_id, text, requested_by, reason)
        select 'CHAT_ERASED', $1::text, format('a chat of tenant %s is erased (%s rows)', $1::text, $2::bigint), $3, $4
        from policy_lock"#,
        tenant.as_str(),
        i64::try_from(rows).unwrap_or(i64::MAX),
        requested_by,
        reason,
    );
    query.execute(transaction).await?;
    Ok(())
}

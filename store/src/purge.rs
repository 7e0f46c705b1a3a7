//! What is over and old goes, so that no table grows for ever (I5). Any number of processes may purge at once: each
//! passes over rows that another one holds, and waits for nobody.
//!
//! How long answered messages are kept is a matter of I6, for their ids are what a second delivery is known by.
//! WhatsApp delivers a message again until it is confirmed, which a page does within a second after [`Store::admit`],
//! and what is not confirmed by then comes first when the tenant's session is opened the next time. So an answered
//! message may go once the session has been open after it was answered; it is kept for [`KEPT_DONE`] even then, long
//! after the session has settled. For a tenant that was never connected since, it is kept for [`KEPT_UNSEEN`]: by then
//! WhatsApp has unlinked a device that stayed away (14 days) and dropped what it held for it (30 days).

use std::time::Duration;

use crate::{Store, StoreError};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Answered messages and sent replies, and windows of the reply limit.
pub const KEPT_DONE: Duration = DAY.saturating_mul(7);
/// Answered messages of a tenant whose session was not open since.
pub const KEPT_UNSEEN: Duration = DAY.saturating_mul(31);
/// The log, messages that were given up, and operations. A chat that is silent for longer is greeted as a new one.
pub const KEPT_HISTORY: Duration = DAY.saturating_mul(90);

/// Rows that one statement looks at, and deletes at most.
const BATCH: i64 = 5_000;
/// Statements for one table in one purge; what is left over is for the next one.
const MAX_BATCHES: u32 = 200;

/// How many rows went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    pub inbound: u64,
    pub outbound: u64,
    pub reply_windows: u64,
    pub message_logs: u64,
    pub operations: u64,
    pub node_orders: u64,
}

/// What a statement did.
struct Batch {
    gone: i64,
    /// From where the next one goes on; `None` when there is nothing old beyond.
    next: Option<i64>,
}

impl Store {
    /// To be called about once in an hour.
    pub async fn purge(&self) -> Result<Purged, StoreError> {
        Ok(Purged {
            inbound: batches(|after| self.purge_inbound(after)).await?,
            outbound: batches(|after| self.purge_outbound(after)).await?,
            reply_windows: batches(|_after| self.purge_reply_windows()).await?,
            message_logs: batches(|_after| self.purge_message_logs()).await?,
            operations: batches(|_after| self.purge_operations()).await?,
            node_orders: self.purge_node_orders().await?,
        })
    }

    /// Ids grow with time, so the old ones are the first: it walks up from there, past those that are to stay, and
    /// stops where all are young. An index by time would cost every message more than this costs once in an hour.
    async fn purge_inbound(&self, after: i64) -> Result<Batch, StoreError> {
        let query = sqlx::query_as!(
            Batch,
            r#"with page as materialized (
                select id, received_at from bm_in where id > $1 order by id limit $2
            ), doomed as materialized (
                select b.id from bm_in b join page using (id) join whatsapp_sessions s using (tenant_id)
                where case b.state
                    when 'PENDING' then false
                    when 'DEAD' then b.done_at < now() - make_interval(secs => $5)
                    else b.done_at < now() - make_interval(secs => $3) and (
                        s.status = 'CONNECTED' or s.connected_at > b.done_at
                        or b.done_at < now() - make_interval(secs => $4))
                end
                for update of b skip locked
            ), gone as (
                delete from bm_in b using doomed where b.id = doomed.id returning b.id
            )
            select (select count(*) from gone) as "gone!", (
                select case when min(received_at) < now() - make_interval(secs => $3) then max(id) end from page
            ) as next"#,
            after,
            BATCH,
            KEPT_DONE.as_secs_f64(),
            KEPT_UNSEEN.as_secs_f64(),
            KEPT_HISTORY.as_secs_f64(),
        );
        self.one("purge the inbound queue", query).await
    }

    /// A sent reply is needed by nothing: it is sent again only while it is PENDING.
    async fn purge_outbound(&self, after: i64) -> Result<Batch, StoreError> {
        let query = sqlx::query_as!(
            Batch,
            r#"with page as materialized (
                select id, created_at from bm_out where id > $1 order by id limit $2
            ), doomed as materialized (
                select b.id from bm_out b join page using (id)
                where case b.state
                    when 'PENDING' then false
                    when 'DEAD' then b.created_at < now() - make_interval(secs => $4)
                    else b.sent_at < now() - make_interval(secs => $3)
                end
                for update of b skip locked
            ), gone as (
                delete from bm_out b using doomed where b.id = doomed.id returning b.id
            )
            select (select count(*) from gone) as "gone!", (
                select case when min(created_at) < now() - make_interval(secs => $3) then max(id) end from page
            ) as next"#,
            after,
            BATCH,
            KEPT_DONE.as_secs_f64(),
            KEPT_HISTORY.as_secs_f64(),
        );
        self.one("purge the outbound queue", query).await
    }

    async fn purge_reply_windows(&self) -> Result<Batch, StoreError> {
        let query = sqlx::query_as!(
            Batch,
            r#"with doomed as materialized (
                select tenant_id, started_at from reply_windows
                where started_at < now() - make_interval(secs => $2) limit $1 for update skip locked
            ), gone as (
                delete from reply_windows w using doomed
                where (w.tenant_id, w.started_at) = (doomed.tenant_id, doomed.started_at) returning 1
            )
            select count(*) as "gone!", case when count(*) = $1 then 0::bigint end as next from gone"#,
            BATCH,
            KEPT_DONE.as_secs_f64(),
        );
        self.one("purge the reply windows", query).await
    }

    /// All that is old goes, so the first page is old or nothing is.
    async fn purge_message_logs(&self) -> Result<Batch, StoreError> {
        let query = sqlx::query_as!(
            Batch,
            r#"with page as materialized (
                select id, created_at from message_logs order by id limit $1
            ), doomed as materialized (
                select l.id from message_logs l join page using (id)
                where page.created_at < now() - make_interval(secs => $2) for update of l skip locked
            ), gone as (
                delete from message_logs l using doomed where l.id = doomed.id returning l.id
            )
            select count(*) as "gone!", case when count(*) = $1 then 0::bigint end as next from gone"#,
            BATCH,
            KEPT_HISTORY.as_secs_f64(),
        );
        self.one("purge the log", query).await
    }

    async fn purge_operations(&self) -> Result<Batch, StoreError> {
        let query = sqlx::query_as!(
            Batch,
            r#"with doomed as materialized (
                select id from operations where ended_at < now() - make_interval(secs => $2)
                order by id limit $1 for update skip locked
            ), gone as (
                delete from operations o using doomed where o.id = doomed.id returning o.id
            )
            select count(*) as "gone!", case when count(*) = $1 then 0::bigint end as next from gone"#,
            BATCH,
            KEPT_HISTORY.as_secs_f64(),
        );
        self.one("purge the operations", query).await
    }

    /// Rows that order nothing any more: as many as nodes were ever ordered about, so one statement is enough.
    async fn purge_node_orders(&self) -> Result<u64, StoreError> {
        let query = sqlx::query!(
            r#"with policy_lock as materialized (
                select singleton from cluster_policy for no key update
            ), gone as (
                delete from node_orders n using policy_lock
                where not n.cordoned and coalesce(n.window_until < now(), true)
                    and coalesce(n.suspect_until < now(), true)
                returning n.node
            )
            select count(*) as "gone!" from gone"#
        );
        Ok(self.one("purge the orders on nodes", query).await?.gone.unsigned_abs())
    }
}

/// One statement after the other, until nothing is left or it has been enough.
async fn batches<F>(purge: impl Fn(i64) -> F) -> Result<u64, StoreError>
where
    F: Future<Output = Result<Batch, StoreError>>,
{
    let (mut gone, mut after) = (0, 0);
    for _ in 0..MAX_BATCHES {
        let batch = purge(after).await?;
        gone += batch.gone.unsigned_abs();
        match batch.next {
            Some(next) => after = next,
            None => break,
        }
    }
    Ok(gone)
}

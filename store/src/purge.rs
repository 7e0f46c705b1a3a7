//! What is over and old goes, so that no table grows for ever (I5). Any number of processes may purge at once: each
//! passes over rows that another one holds, and waits for nobody. What is to go is found first in an index, so a purge
//! costs what it removes, not what is kept. It is then removed by an array of ids: for a join of so many the planner would
//! rather read the whole table.
//!
//! What the queues hold goes by its age, the oldest first (`purge/queues.rs`). What the reply limit's window holds goes tenant by
//! tenant, and a purge that was enough goes on where the last one stopped: a tenant with more than its share waits for its
//! next turn, and none starves behind it.
//!
//! Texts and numbers of customers are in the log and in messages that were given up, and both go after the retention
//! that the cluster's policy says ([`crate::policy`]); a chat that is silent for longer is forgotten with its last line, and
//! greeted as a new one.
//!
//! How long finished messages are kept is a matter of I6, for their ids are what a second delivery is known by. A page
//! may tell of a message for as long as it is open, and WhatsApp deliver one for as long as it is not confirmed. So each is
//! kept for [`KEPT_DONE`] after its end, which is later than it was written: one that is forgotten is older than any tenant
//! answers (a week), and is not answered if it comes again.

mod queues;

use std::time::Duration;

use crate::{Store, StoreError};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Finished messages and sent replies, and windows of the reply limit: a day more than the longest `answer_within`.
pub const KEPT_DONE: Duration = DAY.saturating_mul(8);
/// Operations.
pub const KEPT_OPERATIONS: Duration = DAY.saturating_mul(90);

/// Rows that one statement deletes at most.
const BATCH: i64 = 5_000;
/// Tenants that one statement looks at.
const PAGE: i64 = 1_000;
/// Statements for one table in one purge; what is left over is for the next one.
const MAX_BATCHES: u32 = 200;

/// How many rows went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    pub inbound: u64,
    pub outbound: u64,
    pub recent_replies: u64,
    pub reply_windows: u64,
    pub message_logs: u64,
    pub operations: u64,
    pub node_orders: u64,
}

/// What a statement did.
struct Batch {
    gone: i64,
    /// There may be more that is old.
    more: bool,
}

/// What a statement did that looks at one tenant after the other.
struct TenantsBatch {
    gone: i64,
    /// The tenant after which the next one goes on; `None` when this was the last page of them.
    next: Option<String>,
}

/// What a statement did that looks at the log from one line on.
struct LogBatch {
    gone: i64,
    /// The line after which the next one goes on; `None` when what follows is young.
    next: Option<i64>,
}

impl Store {
    /// To be called about once in an hour.
    pub async fn purge(&self) -> Result<Purged, StoreError> {
        self.purge_within(MAX_BATCHES).await
    }

    /// With so many statements for one table at most.
    pub async fn purge_within(&self, max_batches: u32) -> Result<Purged, StoreError> {
        self.sweep_pairings().await?;
        Ok(Purged {
            inbound: self.purge_inbound(max_batches).await?,
            outbound: self.purge_outbound(max_batches).await?,
            recent_replies: self
                .tenant_by_tenant("recent_replies", max_batches, |after| self.purge_recent_replies(after))
                .await?,
            reply_windows: batches(max_batches, || self.purge_reply_windows()).await?,
            message_logs: self.purge_log(max_batches).await?,
            operations: batches(max_batches, || self.purge_operations()).await?,
            node_orders: self.purge_node_orders().await?,
        })
    }

    /// Round and round, from where the last purge has stopped, until a round has left nothing or it has been enough.
    async fn tenant_by_tenant<F>(
        &self,
        queue: &'static str,
        max_batches: u32,
        purge: impl Fn(String) -> F,
    ) -> Result<u64, StoreError>
    where
        F: Future<Output = Result<TenantsBatch, StoreError>>,
    {
        let mut after = self.purge_cursor(queue).await?;
        let (mut gone, mut round) = (0, Round::begun_after(&after));
        for _ in 0..max_batches {
            let batch = purge(after).await?;
            gone += batch.gone.unsigned_abs();
            round.has_left |= batch.gone == BATCH;
            round.is_at_the_end |= batch.next.is_none();
            after = batch.next.unwrap_or_default();
            if round.is_over(&after) {
                if !round.has_left {
                    break;
                }
                round = Round::begun_after(&after);
            }
        }
        self.set_purge_cursor(queue, &after).await?;
        Ok(gone)
    }

    async fn purge_cursor(&self, queue: &'static str) -> Result<String, StoreError> {
        let query = sqlx::query!("select after_tenant from purge_cursors where queue = $1", queue);
        let row = self.maybe("read how far a purge has got", query).await?;
        Ok(row.map(|row| row.after_tenant).unwrap_or_default())
    }

    async fn set_purge_cursor(&self, queue: &'static str, after: &str) -> Result<(), StoreError> {
        let query = sqlx::query!(
            "insert into purge_cursors (queue, after_tenant) values ($1, $2)
            on conflict (queue) do update set after_tenant = excluded.after_tenant returning queue",
            queue,
            after,
        );
        self.one("note how far a purge has got", query).await.map(drop)
    }

    /// From the oldest line on. What was removed a moment ago is not looked at again: until it is vacuumed it is still in the
    /// index.
    async fn purge_log(&self, max_batches: u32) -> Result<u64, StoreError> {
        let (mut gone, mut after) = (0, 0);
        for _ in 0..max_batches {
            let batch = self.purge_message_logs(after).await?;
            gone += batch.gone.unsigned_abs();
            match batch.next {
                Some(next) => after = next,
                None => break,
            }
        }
        Ok(gone)
    }

    /// Tenant by tenant, as the index has them.
    async fn purge_recent_replies(&self, after: String) -> Result<TenantsBatch, StoreError> {
        let query = sqlx::query_as!(
            TenantsBatch,
            r#"with page as materialized (
                select s.tenant_id from whatsapp_sessions s where s.tenant_id > $1 order by s.tenant_id limit $3
            ), doomed as materialized (
                select old.place, page.tenant_id from page
                cross join lateral (
                    select r.ctid as place from recent_replies r
                    where r.tenant_id = page.tenant_id and r.sent_at < now() - interval '60 seconds'
                    order by r.sent_at limit $2 for update skip locked
                ) as old
                limit $2
            ), gone as (
                delete from recent_replies where ctid = any(array(select place from doomed)) returning 1
            )
            select (select count(*) from gone) as "gone!", case
                when (select count(*) from gone) = $2 then (select max(tenant_id) from doomed)
                when (select count(*) from page) = $3 then (select max(tenant_id) from page)
            end as next"#,
            after,
            BATCH,
            PAGE,
        );
        self.one("purge the replies of a moment ago", query).await
    }

    async fn purge_reply_windows(&self) -> Result<Batch, StoreError> {
        let query = sqlx::query_as!(
            Batch,
            r#"with doomed as materialized (
                select tenant_id, started_at from reply_windows
                where started_at < now() - make_interval(secs => $2) order by started_at limit $1 for update skip locked
            ), gone as (
                delete from reply_windows w using doomed
                where (w.tenant_id, w.started_at) = (doomed.tenant_id, doomed.started_at) returning 1
            )
            select count(*) as "gone!", count(*) = $1 as "more!" from gone"#,
            BATCH,
            KEPT_DONE.as_secs_f64(),
        );
        self.one("purge the reply windows", query).await
    }

    /// All that is old goes, so a page is old or nothing after it is.
    async fn purge_message_logs(&self, after: i64) -> Result<LogBatch, StoreError> {
        let query = sqlx::query_as!(
            LogBatch,
            r#"with page as materialized (
                select id, created_at < now() - (
                    select make_interval(days => message_retention_days) from cluster_policy
                ) as is_old
                from message_logs where id > $2 order by id limit $1
            ), doomed as materialized (
                select id from message_logs where id = any(array(select id from page where is_old))
                for update skip locked
            ), gone as (
                delete from message_logs where id = any(array(select id from doomed))
                returning id, tenant_id, chat_id, direction, state
            ), thinned as materialized (
                select distinct tenant_id, chat_id from gone where direction = 'IN' and state is distinct from 'TOO_OLD'
            ), silent as materialized (
                -- The chat's last line is asked for in the order of an index, not by 'exists': the planner takes a scan of
                -- the whole log for a good way to find just one of them. A message that comes in this moment may find its
                -- chat still known; then it is the next one that is greeted.
                select t.tenant_id, t.chat_id from thinned t where (
                    select l.id from message_logs l
                    where l.tenant_id = t.tenant_id and l.chat_id = t.chat_id and l.direction = 'IN'
                        and l.state is distinct from 'TOO_OLD' and l.id > (select max(id) from gone)
                    order by l.tenant_id, l.chat_id, l.id desc limit 1
                ) is null
            ), forgotten as (
                delete from chats c using silent s where c.tenant_id = s.tenant_id and c.chat_id = s.chat_id
            )
            select (select count(*) from gone) as "gone!", case
                when count(*) = $1 and bool_and(is_old) then max(id)
            end as next
            from page"#,
            BATCH,
            after,
        );
        self.one("purge the log", query).await
    }

    async fn purge_operations(&self) -> Result<Batch, StoreError> {
        let query = sqlx::query_as!(
            Batch,
            r#"with doomed as materialized (
                select id from operations where ended_at < now() - make_interval(secs => $2)
                order by ended_at limit $1 for update skip locked
            ), gone as (
                delete from operations o using doomed where o.id = doomed.id returning o.id
            )
            select count(*) as "gone!", count(*) = $1 as "more!" from gone"#,
            BATCH,
            KEPT_OPERATIONS.as_secs_f64(),
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
                    and coalesce(n.suspect_until < now(), true) and n.shedding = ''
                returning n.node
            )
            select count(*) as "gone!" from gone"#
        );
        Ok(self.one("purge the orders on nodes", query).await?.gone.unsigned_abs())
    }
}

/// One statement after the other, until nothing is left or it has been enough.
async fn batches<F>(max_batches: u32, purge: impl Fn() -> F) -> Result<u64, StoreError>
where
    F: Future<Output = Result<Batch, StoreError>>,
{
    let mut gone = 0;
    for _ in 0..max_batches {
        let batch = purge().await?;
        gone += batch.gone.unsigned_abs();
        if !batch.more {
            break;
        }
    }
    Ok(gone)
}

/// One way past all tenants, which begins in the middle of them and comes back there.
struct Round {
    begun_after: String,
    is_at_the_end: bool,
    /// A statement had enough before it was through with a tenant.
    has_left: bool,
}

impl Round {
    fn begun_after(tenant: &str) -> Self {
        Self { begun_after: tenant.to_owned(), is_at_the_end: false, has_left: false }
    }

    fn is_over(&self, after: &str) -> bool {
        self.is_at_the_end && after >= self.begun_after.as_str()
    }
}

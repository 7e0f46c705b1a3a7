//! What is over and old goes, so that no table grows for ever (I5). Any number of processes may purge at once: each
//! passes over rows that another one holds, and waits for nobody. What is to go is found first in an index, so a purge
//! costs what it removes, not what is kept.
//!
//! Texts and numbers of customers are in the log and in messages that were given up, and both go after the retention
//! that the cluster's policy says ([`crate::policy`]); a chat that is silent for longer is greeted as a new one.
//!
//! How long finished messages are kept is a matter of I6, for their ids are what a second delivery is known by. A page
//! may tell of a message for as long as it is open, and WhatsApp deliver one for as long as it is not confirmed. So each is
//! kept for [`KEPT_DONE`] after its end, which is later than it was written: one that is forgotten is older than any tenant
//! answers (a week), and is not answered if it comes again.

use std::time::Duration;

use crate::{Store, StoreError};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Finished messages and sent replies, and windows of the reply limit: a day more than the longest `answer_within`.
pub const KEPT_DONE: Duration = DAY.saturating_mul(8);
/// Operations.
pub const KEPT_OPERATIONS: Duration = DAY.saturating_mul(90);

/// Rows that one statement deletes at most, and tenants that it looks at.
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
    /// There may be more that is old.
    more: bool,
}

/// What a statement did that looks at one tenant after the other.
struct TenantsBatch {
    gone: i64,
    /// The tenant after which the next one goes on; `None` when this was the last page of them.
    next: Option<String>,
}

impl Store {
    /// To be called about once in an hour.
    pub async fn purge(&self) -> Result<Purged, StoreError> {
        Ok(Purged {
            inbound: tenant_by_tenant(|after| self.purge_inbound(after)).await?,
            outbound: tenant_by_tenant(|after| self.purge_outbound(after)).await?,
            reply_windows: batches(|| self.purge_reply_windows()).await?,
            message_logs: batches(|| self.purge_message_logs()).await?,
            operations: batches(|| self.purge_operations()).await?,
            node_orders: self.purge_node_orders().await?,
        })
    }

    /// Tenant by tenant: what is to go is then what an index has first, and what is to stay is never looked at, however
    /// much it is. No id goes before its message is too old to be answered, whatever the retention is.
    async fn purge_inbound(&self, after: String) -> Result<TenantsBatch, StoreError> {
        let query = sqlx::query_as!(
            TenantsBatch,
            r#"with page as materialized (
                select s.tenant_id, now() - make_interval(secs => $3) as done_before,
                    now() - greatest(make_interval(days => p.message_retention_days), make_interval(secs => $3)) as dead_before
                from whatsapp_sessions s, cluster_policy p where s.tenant_id > $1 order by s.tenant_id limit $2
            ), doomed as materialized (
                select old.id from page
                cross join lateral (
                    values ('DONE'::inbound_state, page.done_before), ('TOO_OLD', page.done_before),
                        ('SUPPRESSED', page.done_before), ('DEAD', page.dead_before)
                ) as kind(state, before)
                cross join lateral (
                    select b.id from bm_in b
                    where b.tenant_id = page.tenant_id and b.state = kind.state and b.state <> 'PENDING'
                        and b.done_at < kind.before
                    order by b.done_at limit $2 for update skip locked
                ) as old
                limit $2
            ), gone as (
                delete from bm_in b using doomed where b.id = doomed.id returning b.id
            )
            select (select count(*) from gone) as "gone!", case
                when (select count(*) from gone) = $2 then $1
                when (select count(*) from page) = $2 then (select max(tenant_id) from page)
            end as next"#,
            after,
            BATCH,
            KEPT_DONE.as_secs_f64(),
        );
        self.one("purge the inbound queue", query).await
    }

    /// A sent reply is needed by the reply limit for a minute, and then by nothing.
    async fn purge_outbound(&self, after: String) -> Result<TenantsBatch, StoreError> {
        let query = sqlx::query_as!(
            TenantsBatch,
            r#"with page as materialized (
                select s.tenant_id, now() - make_interval(days => p.message_retention_days) as dead_before
                from whatsapp_sessions s, cluster_policy p where s.tenant_id > $1 order by s.tenant_id limit $2
            ), doomed as materialized (
                select old.id from page
                cross join lateral (
                    values ('SENT'::outbound_state, now() - make_interval(secs => $3)), ('DEAD', page.dead_before)
                ) as kind(state, before)
                cross join lateral (
                    select b.id from bm_out b
                    where b.tenant_id = page.tenant_id and b.state = kind.state and b.state <> 'PENDING'
                        and b.created_at < kind.before
                    order by b.created_at limit $2 for update skip locked
                ) as old
                limit $2
            ), gone as (
                delete from bm_out b using doomed where b.id = doomed.id returning b.id
            )
            select (select count(*) from gone) as "gone!", case
                when (select count(*) from gone) = $2 then $1
                when (select count(*) from page) = $2 then (select max(tenant_id) from page)
            end as next"#,
            after,
            BATCH,
            KEPT_DONE.as_secs_f64(),
        );
        self.one("purge the outbound queue", query).await
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

    /// All that is old goes, so the first page is old or nothing is.
    async fn purge_message_logs(&self) -> Result<Batch, StoreError> {
        let query = sqlx::query_as!(
            Batch,
            r#"with page as materialized (
                select id, created_at from message_logs order by id limit $1
            ), doomed as materialized (
                select l.id from message_logs l join page using (id)
                where page.created_at < now() - (
                    select make_interval(days => message_retention_days) from cluster_policy
                )
                for update of l skip locked
            ), gone as (
                delete from message_logs l using doomed where l.id = doomed.id returning l.id
            )
            select count(*) as "gone!", count(*) = $1 as "more!" from gone"#,
            BATCH,
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
async fn batches<F>(purge: impl Fn() -> F) -> Result<u64, StoreError>
where
    F: Future<Output = Result<Batch, StoreError>>,
{
    let mut gone = 0;
    for _ in 0..MAX_BATCHES {
        let batch = purge().await?;
        gone += batch.gone.unsigned_abs();
        if !batch.more {
            break;
        }
    }
    Ok(gone)
}

/// The same for statements that look at a page of tenants each.
async fn tenant_by_tenant<F>(purge: impl Fn(String) -> F) -> Result<u64, StoreError>
where
    F: Future<Output = Result<TenantsBatch, StoreError>>,
{
    let (mut gone, mut after) = (0, String::new());
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

//! The queue of replies to send (I6).
//!
//! ```text
//!   complete --> PENDING --claim--> claimed --mark_sent--> SENT, with its line in the log
//!                  ^--retry_outbound--|
//!                                     +--bury_outbound--> DEAD, until a redrive (dead_letters), which takes the claim back
//! ```
//!
//! What is PENDING has a row in `bm_pending`, like a message ([`crate::inbound`]), and is sent without a change of an index.
//!
//! A reply is claimed before its first try, by [`Store::complete`] if it may go at once and else by [`Store::claim`]. So what
//! is not claimed was not sent by anybody without an order. A claimed reply may have reached WhatsApp before the node died:
//! it is in doubt, and is looked for in the page. If the page does not know of it the tenant's resend policy decides: it is
//! sent again under the same `whatsapp_id`, and counted, or buried.

use std::time::Duration;

use crate::{Fence, Store, StoreError, columns::storable};

/// A reply that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    pub id: i64,
    /// The message that it answers; none of what a person says.
    pub inbound_id: Option<i64>,
    pub seq: i32,
    pub whatsapp_id: String,
    pub chat: String,
    pub body: String,
    /// Counted by the reply limit.
    pub counted: bool,
    /// It may have been tried since it was queued, or redriven.
    pub claimed: bool,
    /// It may have been tried before that.
    pub redriven: bool,
    /// Sends that failed.
    pub attempts: u32,
    /// How long from now, by the database's clock, the next attempt has to wait.
    pub due_in: Duration,
}

impl Store {
    /// Replies that wait, by id, from the one after `after_id` on; those due later included. For an owner that has
    /// just begun: later ones come from [`Store::complete`].
    pub async fn pending_outbound(
        &self,
        fence: &Fence,
        after_id: i64,
        limit: u32,
    ) -> Result<Vec<Outbound>, StoreError> {
        self.read_outbound(fence, None, after_id, limit).await
    }

    /// The unsent replies to these messages.
    pub(crate) async fn outbound_of(
        &self,
        fence: &Fence,
        inbound_ids: &[i64],
    ) -> Result<Vec<Outbound>, StoreError> {
        self.read_outbound(fence, Some(inbound_ids), 0, u32::MAX).await
    }

    async fn read_outbound(
        &self,
        fence: &Fence,
        inbound_ids: Option<&[i64]>,
        after_id: i64,
        limit: u32,
    ) -> Result<Vec<Outbound>, StoreError> {
        let query = sqlx::query!(
            r#"with owner as (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2
            ), pending as (
                select b.* from bm_pending w
                cross join lateral (select * from bm_out where id = w.id and state = 'PENDING' limit 1) b
                where w.tenant_id = $1 and exists(select from owner) and w.direction = 'OUT' and w.id > $3
                    and ($5::bigint[] is null or b.inbound_id = any($5))
                order by w.id limit $4
            )
            select exists(select from owner) as "owns!", p.id as "id?", p.inbound_id,
                p.seq as "seq?", p.whatsapp_id as "whatsapp_id?", p.chat_id as "chat?", p.body as "body?",
                p.attempts as "attempts?", p.counted as "counted?", p.claimed_at is not null as "claimed!",
                coalesce(p.redriven, false) as "redriven!",
                greatest(extract(epoch from p.next_attempt_at - now()), 0)::float8 as "due_in_s?"
            from (select) as once left join pending p on true
            order by p.id"#,
            fence.tenant.as_str(),
            fence.generation.0,
            after_id,
            i64::from(limit),
            inbound_ids as Option<&[i64]>,
        );
        let rows = self.all("read the outbound queue", query).await?;
        fence.check(rows.iter().any(|row| row.owns))?;
        let pending = rows.into_iter().filter_map(|row| {
            Some(Outbound {
                id: row.id?,
                inbound_id: row.inbound_id,
                seq: row.seq?,
                whatsapp_id: row.whatsapp_id?,
                chat: row.chat?,
                body: row.body?,
                counted: row.counted?,
                claimed: row.claimed,
                redriven: row.redriven,
                attempts: row.attempts?.unsigned_abs(),
                due_in: Duration::from_secs_f64(row.due_in_s?),
            })
        });
        Ok(pending.collect())
    }

    /// To be called before the first try of a reply that is not claimed.
    pub async fn claim(&self, fence: &Fence, ids: &[i64]) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), claimed as (
                update bm_out b set claimed_at = now()
                from owner
                where b.id = any($3) and b.tenant_id is not distinct from owner.tenant_id and b.state = 'PENDING'
                    and b.claimed_at is null
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            ids,
        );
        fence.check(self.one("claim the replies", query).await?.owns)
    }

    /// Notes that WhatsApp has these replies; their lines in the log are in the order given, and their texts are nowhere
    /// else any more. Repeating it is fine. Those of them that are `resent` too, which were in doubt and have been sent
    /// again, are counted ([`crate::Worker::resends`]).
    pub async fn mark_sent(&self, fence: &Fence, ids: &[i64], resent: &[i64]) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), given as (
                select * from unnest($3::bigint[]) with ordinality as given(id, position)
            ), counter as materialized (
                -- Before the replies, as everybody locks them.
                select w.tenant_id from worker_processes w join owner using (tenant_id)
                where cardinality($4::bigint[]) > 0 for no key update of w
            ), unsent as materialized (
                select b.*, given.position
                from owner left join counter using (tenant_id) cross join given
                join bm_out b on b.id = given.id and b.tenant_id is not distinct from owner.tenant_id
                where b.state = 'PENDING'
                order by b.id for no key update of b
            ), sent as (
                update bm_out b set
                    state = 'SENT', sent_at = now(), whatsapp_id = '', chat_id = '', body = '', last_error = ''
                from unsent where b.id = unsent.id
            ), settled as (
                delete from bm_pending
                where tenant_id = $1 and direction = 'OUT' and id = any(array(select id from unsent))
            ), recent as (
                insert into recent_replies (tenant_id, sent_at, queued_at)
                select tenant_id, now(), created_at from unsent where counted
            ), logged as (
                insert into message_logs (tenant_id, direction, chat_id, body, whatsapp_id, said_by)
                select tenant_id, 'OUT', chat_id, body, whatsapp_id, said_by from unsent order by position
            ), tally as (
                select tenant_id, count(*) as resends from unsent where id = any($4) group by tenant_id
            ), counted as (
                update worker_processes w set resends = w.resends + tally.resends
                from tally where w.tenant_id = tally.tenant_id
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            ids,
            resent,
        );
        fence.check(self.one("mark the replies sent", query).await?.owns)
    }

    /// Puts a reply back after a send that failed.
    pub async fn retry_outbound(
        &self,
        fence: &Fence,
        id: i64,
        error: &str,
        delay: Duration,
    ) -> Result<(), StoreError> {
        let error = storable(error);
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), put_back as (
                update bm_out b set
                    attempts = b.attempts + 1, last_error = $4, next_attempt_at = now() + make_interval(secs => $5)
                from owner where b.id = $3 and b.tenant_id = owner.tenant_id and b.state = 'PENDING'
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            id,
            error.as_ref(),
            delay.as_secs_f64(),
        );
        fence.check(self.one("put the reply back", query).await?.owns)
    }

    /// Gives a reply up; it stays in the table as DEAD.
    pub async fn bury_outbound(&self, fence: &Fence, id: i64, error: &str) -> Result<(), StoreError> {
        let error = storable(error);
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), buried as (
                update bm_out b set state = 'DEAD', attempts = b.attempts + 1, last_error = $4
                from owner where b.id = $3 and b.tenant_id = owner.tenant_id and b.state = 'PENDING'
                returning b.id
            ), settled as (
                delete from bm_pending
                where tenant_id = $1 and direction = 'OUT' and id = any(array(select id from buried))
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            id,
            error.as_ref(),
        );
        fence.check(self.one("bury the reply", query).await?.owns)
    }
}

//! The step from one queue to the other: messages are answered and their replies queued, in one statement (I6).

use std::time::Duration;

use crate::{Fence, Outbound, Store, StoreError, columns::storable, halving::by_halves};

/// The answer to one message: replies, or none because there is nothing to say or the reply limit suppressed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    pub inbound_id: i64,
    pub replies: Vec<NewOutbound>,
    /// Why the reply limit suppressed it; a warning may go in its place.
    pub suppressed: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOutbound {
    /// Position among the replies to one message.
    pub seq: i32,
    /// Chosen before sending, and the same each time this reply to this message is made.
    pub whatsapp_id: String,
    pub chat: String,
    pub body: String,
    /// False for the warning that the reply limit was reached: it does not count, and it opens a window.
    pub counted: bool,
    /// It may be sent as soon as it is durable; what is not claimed is not sent before [`Store::claim`].
    pub claimed: bool,
}

impl Store {
    /// Marks messages answered and queues their replies, all in one step. Answers with the replies that are to be
    /// sent, by id. A completion made again changes nothing, whatever its replies are now: the answer is then what
    /// the first one queued and has not been sent. A message whose replies Postgres refuses is given up.
    pub async fn complete(
        &self,
        fence: &Fence,
        completions: &[Completion],
    ) -> Result<Vec<Outbound>, StoreError> {
        let (queued, refused) = by_halves(completions, |batch| self.complete_batch(fence, batch)).await?;
        for (completion, reason) in refused {
            self.bury_inbound(fence, completion.inbound_id, &reason).await?;
        }
        Ok(queued)
    }

    async fn complete_batch(
        &self,
        fence: &Fence,
        completions: &[Completion],
    ) -> Result<Vec<Outbound>, StoreError> {
        let done: Vec<i64> = completions.iter().map(|c| c.inbound_id).collect();
        let suppressed: Vec<Option<&str>> = completions.iter().map(|c| c.suppressed.as_deref()).collect();
        let replies: Vec<(i64, &NewOutbound)> =
            completions.iter().flat_map(|c| c.replies.iter().map(|reply| (c.inbound_id, reply))).collect();
        let column = |of: fn(&NewOutbound) -> &str| {
            replies.iter().map(|(_, r)| storable(of(r)).into_owned()).collect()
        };
        let inbound_ids: Vec<i64> = replies.iter().map(|(inbound_id, _)| *inbound_id).collect();
        let seqs: Vec<i32> = replies.iter().map(|(_, r)| r.seq).collect();
        let whatsapp_ids: Vec<String> = column(|r| &r.whatsapp_id);
        let chats: Vec<String> = column(|r| &r.chat);
        let bodies: Vec<String> = column(|r| &r.body);
        let counted: Vec<bool> = replies.iter().map(|(_, r)| r.counted).collect();
        let claimed: Vec<bool> = replies.iter().map(|(_, r)| r.claimed).collect();
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), answered as materialized (
                -- Of a chat that was taken over meanwhile nothing is answered any more. Row by row, as for the queues.
                select answered.*, (
                    select (select c.held_by from chats c where c.tenant_id = $1 and c.chat_id = b.chat_id)
                    from bm_in b where b.id = answered.inbound_id
                ) as holder
                from unnest($3::bigint[], $4::text[]) as answered(inbound_id, suppressed)
            ), given as (
                select * from unnest(
                    $5::bigint[], $6::int[], $7::text[], $8::text[], $9::text[], $10::boolean[], $11::boolean[])
                    with ordinality as given(inbound_id, seq, whatsapp_id, chat_id, body, counted, claimed, position)
            ), done as (
                update bm_in b set
                    state = case when holder is not null then 'HELD' when suppressed is not null then 'SUPPRESSED'
                        else 'DONE' end::inbound_state,
                    done_at = now(), whatsapp_id = '', chat_id = '', sender = '', body = '',
                    last_error = coalesce(holder || ' has the chat', suppressed, '')
                from owner, answered
                where b.id = answered.inbound_id and b.tenant_id is not distinct from owner.tenant_id
                    and b.state = 'PENDING'
                returning b.id, b.tenant_id, b.log_id, b.state, b.last_error
            ), settled as (
                delete from bm_pending
                where tenant_id = $1 and direction = 'IN' and id = any(array(select id from done))
            ), lines as materialized (
                -- A line that an erasure or a deletion holds is about to go, and waiting for it could be in a circle.
                select l.id, done.state, done.last_error from message_logs l join done on done.log_id = l.id
                where done.state <> 'DONE' order by l.id for no key update of l skip locked
            ), told as (
                update message_logs l set
                    state = case lines.state when 'HELD' then 'HELD' else 'SUPPRESSED' end::message_state,
                    state_reason = lines.last_error
                from lines where l.id = lines.id
            ), queued as (
                insert into bm_out (tenant_id, inbound_id, seq, whatsapp_id, chat_id, body, counted, claimed_at)
                select done.tenant_id, done.id, given.seq, given.whatsapp_id, given.chat_id, given.body, given.counted,
                    case when given.claimed then now() end
                from given join done on done.id = given.inbound_id and done.state <> 'HELD'
                order by given.position
                on conflict on constraint bm_out_of_message do nothing
                returning *
            ), waiting as (
                insert into bm_pending (tenant_id, direction, id) select tenant_id, 'OUT', id from queued
            ), tally as (
                select (select count(*) from done where state = 'SUPPRESSED') as suppressed,
                    exists(select from queued where not counted) as warned
            ), limited as (
                insert into reply_windows (tenant_id, started_at, suppressed)
                select owner.tenant_id,
                    case when warned then now() else coalesce(open_reply_window(owner.tenant_id), now()) end,
                    tally.suppressed
                from owner, tally where warned or tally.suppressed > 0
                on conflict (tenant_id, started_at)
                    do update set suppressed = reply_windows.suppressed + excluded.suppressed
            )
            select exists(select from owner) as "owns!", (select count(*) from done) as "done!",
                q.id as "id?", q.inbound_id, q.seq as "seq?", q.whatsapp_id as "whatsapp_id?",
                q.chat_id as "chat?", q.body as "body?", q.counted as "counted?",
                q.claimed_at is not null as "claimed!", coalesce(q.redriven, false) as "redriven!"
            from (select) as once left join queued q on true
            order by q.id"#,
            fence.tenant.as_str(),
            fence.generation.0,
            &done,
            &suppressed as &[Option<&str>],
            &inbound_ids,
            &seqs,
            &whatsapp_ids,
            &chats,
            &bodies,
            &counted,
            &claimed,
        );
        let rows = self.all("complete the inbound messages", query).await?;
        fence.check(rows.iter().any(|row| row.owns))?;
        if rows.iter().any(|row| row.done < count(completions.len())) {
            return self.outbound_of(fence, &done).await;
        }
        let queued = rows.into_iter().filter_map(|row| {
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
                attempts: 0,
                due_in: Duration::ZERO,
            })
        });
        Ok(queued.collect())
    }
}

fn count(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

/// What the last 60 s, by the database's clock, have seen. Ages instead of times: the owner's clock has no part in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyWindow {
    /// How long ago each counted reply was queued.
    pub counted_ages: Vec<Duration>,
    /// How long ago each counted reply was sent.
    pub sent_ages: Vec<Duration>,
    /// How long ago the last warning was queued.
    pub warned_age: Option<Duration>,
}

impl Store {
    /// The state of the tenant's reply limit. It is read off the outbound queue, what was sent a moment ago and the windows
    /// that [`Store::complete`] writes, so the next owner goes on where the last one stopped: a failover gives nobody a fresh budget.
    pub async fn reply_window(&self, fence: &Fence) -> Result<ReplyWindow, StoreError> {
        let query = sqlx::query!(
            r#"with owner as (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2
            )
            select exists(select from owner) as "owns!",
                extract(epoch from now() - open_reply_window($1))::float8 as warned_age_s,
                array(
                    select extract(epoch from now() - queued_at)::float8 from recent_replies
                    where tenant_id = $1 and sent_at > now() - interval '60 seconds'
                        and queued_at > now() - interval '60 seconds'
                    union all
                    select extract(epoch from now() - b.created_at)::float8 from bm_pending w
                    cross join lateral (select * from bm_out where id = w.id and state = 'PENDING' limit 1) b
                    where w.tenant_id = $1 and w.direction = 'OUT' and b.counted
                        and b.created_at > now() - interval '60 seconds'
                    union all
                    select extract(epoch from now() - created_at)::float8 from bm_out
                    where tenant_id = $1 and counted and dead_from > now() - interval '60 seconds'
                ) as "counted_ages_s!",
                array(
                    select extract(epoch from now() - sent_at)::float8 from recent_replies
                    where tenant_id = $1 and sent_at > now() - interval '60 seconds'
                ) as "sent_ages_s!""#,
            fence.tenant.as_str(),
            fence.generation.0,
        );
        let row = self.one("read the reply window", query).await?;
        fence.check(row.owns)?;
        Ok(ReplyWindow {
            counted_ages: row.counted_ages_s.into_iter().map(age).collect(),
            sent_ages: row.sent_ages_s.into_iter().map(age).collect(),
            warned_age: row.warned_age_s.map(age),
        })
    }
}

/// A row may be younger than the transaction that reads it.
fn age(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}

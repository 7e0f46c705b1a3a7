//! The queue of messages to answer (I6).
//!
//! ```text
//!   page --admit--> PENDING --complete--> DONE, with its replies in the outbound queue
//!                     |  ^--retry_inbound--|
//!                     +--bury_inbound--> DEAD
//! ```
//!
//! Order: within a tenant ids grow in the order in which admissions commit, so a reader that has seen an id has missed
//! none below it, and a chat's messages are answered in the order of their ids. An admission holds the tenant's
//! session row from before it takes ids until it has committed; two of them, even one whose caller has given it up,
//! cannot overtake each other.
//!
//! A crash between any two steps loses nothing and doubles nothing: a message is admitted before the page confirms it
//! to WhatsApp, which delivers it again otherwise, and the unique id makes the second delivery the first; the replies
//! and the completion are one statement; and the replies' ids are chosen before they are sent.

use std::{collections::HashMap, time::Duration};

use time::OffsetDateTime;

use crate::{Fence, Outbound, Store, StoreError, text::storable};

/// A message as the page delivered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInbound {
    /// Unique within the tenant: deduplication is by it.
    pub whatsapp_id: String,
    pub chat: String,
    pub sender: String,
    pub body: String,
    pub received_at: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    pub id: i64,
    pub whatsapp_id: String,
    /// It was not there before.
    pub fresh: bool,
    /// It is fresh, and nothing was received in its chat before it.
    pub first_in_chat: bool,
}

/// A message that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    pub id: i64,
    pub whatsapp_id: String,
    pub chat: String,
    pub sender: String,
    pub body: String,
    /// Answers that failed.
    pub attempts: u32,
    /// How long from now, by the database's clock, the next attempt has to wait.
    pub due_in: Duration,
    pub received_at: OffsetDateTime,
    /// Nothing was received in this chat before it.
    pub first_in_chat: bool,
}

/// The answer to one message: replies, none (nothing to say), or none because the reply limit suppressed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    pub inbound_id: i64,
    pub replies: Vec<NewOutbound>,
    pub suppressed: bool,
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
}

impl Store {
    /// Makes messages durable, in the order given; from the return on they may be confirmed to WhatsApp. Answers with
    /// one element for each distinct `whatsapp_id`, in order. The fresh ones are in the log too.
    pub async fn admit(&self, fence: &Fence, messages: &[NewInbound]) -> Result<Vec<Admitted>, StoreError> {
        let column =
            |of: fn(&NewInbound) -> &str| messages.iter().map(|m| storable(of(m)).into_owned()).collect();
        let whatsapp_ids: Vec<String> = column(|m| &m.whatsapp_id);
        let chats: Vec<String> = column(|m| &m.chat);
        let senders: Vec<String> = column(|m| &m.sender);
        let bodies: Vec<String> = column(|m| &m.body);
        let received: Vec<OffsetDateTime> = messages.iter().map(|m| m.received_at).collect();
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for share
            ), turn as materialized (
                select s.tenant_id from whatsapp_sessions s join owner using (tenant_id) for no key update of s
            ), given as (
                select * from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
                    with ordinality as given(whatsapp_id, chat_id, sender, body, received_at, position)
            ), fresh as (
                insert into bm_in (tenant_id, whatsapp_id, chat_id, sender, body, received_at)
                select turn.tenant_id, whatsapp_id, chat_id, sender, body, received_at from turn, given
                order by position
                on conflict on constraint bm_in_once do nothing
                returning id, tenant_id, whatsapp_id, chat_id, body
            ), first as (
                -- bm_in is here as it was before this statement.
                select min(fresh.id) as id from fresh
                where not exists(
                    select from bm_in b where b.tenant_id = fresh.tenant_id and b.chat_id = fresh.chat_id
                )
                group by fresh.chat_id
            ), logged as (
                insert into message_logs (tenant_id, direction, chat_id, body, whatsapp_id)
                select tenant_id, 'IN', chat_id, body, whatsapp_id from fresh order by id
            )
            select exists(select from owner) as "owns!", fresh.id as "id?", fresh.whatsapp_id as "whatsapp_id?",
                first.id is not null as "is_first!"
            from (select) as once left join fresh on true left join first using (id)"#,
            fence.tenant.as_str(),
            fence.generation.0,
            &whatsapp_ids,
            &chats,
            &senders,
            &bodies,
            &received,
        );
        let rows = self.all("admit the inbound messages", query).await?;
        fence.check(rows.iter().any(|row| row.owns))?;
        let fresh: HashMap<String, (i64, bool)> =
            rows.into_iter().filter_map(|row| Some((row.whatsapp_id?, (row.id?, row.is_first)))).collect();
        let known =
            self.known_inbound(fence, whatsapp_ids.iter().filter(|id| !fresh.contains_key(*id))).await?;
        in_order_given(fence, whatsapp_ids, &fresh, &known)
    }

    /// The ids of messages that were there before. A second statement, for it must see what the first one waited for.
    async fn known_inbound(
        &self,
        fence: &Fence,
        whatsapp_ids: impl Iterator<Item = &String>,
    ) -> Result<HashMap<String, i64>, StoreError> {
        let whatsapp_ids: Vec<&str> = whatsapp_ids.map(String::as_str).collect();
        if whatsapp_ids.is_empty() {
            return Ok(HashMap::new());
        }
        let query = sqlx::query!(
            "select id, whatsapp_id from bm_in where tenant_id = $1 and whatsapp_id = any($2)",
            fence.tenant.as_str(),
            &whatsapp_ids as &[&str],
        );
        let rows = self.all("look up known inbound messages", query).await?;
        Ok(rows.into_iter().map(|row| (row.whatsapp_id, row.id)).collect())
    }

    /// Messages that wait, by id, from the one after `after_id` on: those due later (`due_in`) included, for they hold
    /// their chat up.
    pub async fn pending_inbound(
        &self,
        fence: &Fence,
        after_id: i64,
        limit: u32,
    ) -> Result<Vec<Inbound>, StoreError> {
        let query = sqlx::query!(
            r#"with owner as (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2
            ), pending as (
                select b.* from bm_in b join owner using (tenant_id)
                where b.state = 'PENDING' and b.id > $3
                order by b.id limit $4
            )
            select exists(select from owner) as "owns!", p.id as "id?", p.whatsapp_id as "whatsapp_id?",
                p.chat_id as "chat?", p.sender as "sender?", p.body as "body?", p.attempts as "attempts?",
                p.received_at as "received_at?",
                greatest(extract(epoch from p.next_attempt_at - now()), 0)::float8 as "due_in_s?",
                not exists(
                    select from bm_in b where b.tenant_id = p.tenant_id and b.chat_id = p.chat_id and b.id < p.id
                ) as "is_first!"
            from (select) as once left join pending p on true
            order by p.id"#,
            fence.tenant.as_str(),
            fence.generation.0,
            after_id,
            i64::from(limit),
        );
        let rows = self.all("read the inbound queue", query).await?;
        fence.check(rows.iter().any(|row| row.owns))?;
        let pending = rows.into_iter().filter_map(|row| {
            Some(Inbound {
                id: row.id?,
                whatsapp_id: row.whatsapp_id?,
                chat: row.chat?,
                sender: row.sender?,
                body: row.body?,
                attempts: row.attempts?.unsigned_abs(),
                due_in: Duration::from_secs_f64(row.due_in_s?),
                received_at: row.received_at?,
                first_in_chat: row.is_first,
            })
        });
        Ok(pending.collect())
    }

    /// Marks messages answered and queues their replies, all in one step. Answers with the replies that are to be
    /// sent, by id. A completion made again changes nothing, whatever its replies are now: the answer is then what
    /// the first one queued and has not been sent.
    pub async fn complete(
        &self,
        fence: &Fence,
        completions: &[Completion],
    ) -> Result<Vec<Outbound>, StoreError> {
        let done: Vec<i64> = completions.iter().map(|c| c.inbound_id).collect();
        let suppressed: Vec<bool> = completions.iter().map(|c| c.suppressed).collect();
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
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for share
            ), answered as (
                select * from unnest($3::bigint[], $4::boolean[]) as answered(inbound_id, suppressed)
            ), given as (
                select * from unnest($5::bigint[], $6::int[], $7::text[], $8::text[], $9::text[], $10::boolean[])
                    with ordinality as given(inbound_id, seq, whatsapp_id, chat_id, body, counted, position)
            ), done as (
                update bm_in b set state = 'DONE', done_at = now()
                from owner, answered
                where b.id = answered.inbound_id and b.tenant_id = owner.tenant_id and b.state = 'PENDING'
                returning b.id, b.tenant_id, answered.suppressed
            ), queued as (
                insert into bm_out (tenant_id, inbound_id, seq, whatsapp_id, chat_id, body, counted)
                select done.tenant_id, done.id, given.seq, given.whatsapp_id, given.chat_id, given.body, given.counted
                from given join done on done.id = given.inbound_id
                order by given.position
                on conflict on constraint bm_out_once do nothing
                returning *
            ), tally as (
                select (select count(*) from done where suppressed) as suppressed,
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
                q.id as "id?", q.inbound_id as "inbound_id?", q.seq as "seq?", q.whatsapp_id as "whatsapp_id?",
                q.chat_id as "chat?", q.body as "body?"
            from (select) as once left join queued q on true
            order by q.id"#,
            fence.tenant.as_str(),
            fence.generation.0,
            &done,
            &suppressed,
            &inbound_ids,
            &seqs,
            &whatsapp_ids,
            &chats,
            &bodies,
            &counted,
        );
        let rows = self.all("complete the inbound messages", query).await?;
        fence.check(rows.iter().any(|row| row.owns))?;
        if rows.iter().any(|row| row.done < count(completions.len())) {
            return self.outbound_of(fence, &done).await;
        }
        let queued = rows.into_iter().filter_map(|row| {
            Some(Outbound {
                id: row.id?,
                inbound_id: row.inbound_id?,
                seq: row.seq?,
                whatsapp_id: row.whatsapp_id?,
                chat: row.chat?,
                body: row.body?,
                attempts: 0,
                due_in: Duration::ZERO,
            })
        });
        Ok(queued.collect())
    }

    /// Puts a message back after an answer that failed.
    pub async fn retry_inbound(
        &self,
        fence: &Fence,
        id: i64,
        error: &str,
        delay: Duration,
    ) -> Result<(), StoreError> {
        let error = storable(error);
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for share
            ), put_back as (
                update bm_in b set
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
        fence.check(self.one("put the inbound message back", query).await?.owns)
    }

    /// Gives a message up; it stays in the table as DEAD.
    pub async fn bury_inbound(&self, fence: &Fence, id: i64, error: &str) -> Result<(), StoreError> {
        let error = storable(error);
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for share
            ), buried as (
                update bm_in b set state = 'DEAD', attempts = b.attempts + 1, last_error = $4, done_at = now()
                from owner where b.id = $3 and b.tenant_id = owner.tenant_id and b.state = 'PENDING'
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            id,
            error.as_ref(),
        );
        fence.check(self.one("bury the inbound message", query).await?.owns)
    }
}

/// The answer to an admission. An id that is neither fresh nor known went with its tenant between the two statements.
fn in_order_given(
    fence: &Fence,
    whatsapp_ids: Vec<String>,
    fresh: &HashMap<String, (i64, bool)>,
    known: &HashMap<String, i64>,
) -> Result<Vec<Admitted>, StoreError> {
    let mut admitted: Vec<Admitted> = Vec::with_capacity(whatsapp_ids.len());
    let mut given = std::collections::HashSet::with_capacity(whatsapp_ids.len());
    for whatsapp_id in whatsapp_ids {
        if !given.insert(whatsapp_id.clone()) {
            continue;
        }
        let (id, fresh, first_in_chat) = match (fresh.get(&whatsapp_id), known.get(&whatsapp_id)) {
            (Some((id, first)), _) => (*id, true, *first),
            (None, Some(id)) => (*id, false, false),
            (None, None) => return fence.check(false).map(|()| admitted),
        };
        admitted.push(Admitted { id, whatsapp_id, fresh, first_in_chat });
    }
    Ok(admitted)
}

fn count(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

//! The queue of messages to answer (I6).
//!
//! ```text
//!   page --admit--> PENDING --complete--> DONE, with its replies in the outbound queue, or SUPPRESSED by the reply limit
//!                     |  ^--retry_inbound--|
//!                     +--bury_inbound--> DEAD, until a redrive (dead_letters)
//! ```
//!
//! What is PENDING has a row in `bm_pending` as well, which comes and goes in the same statement: what waits is found there,
//! and costs what waits. Completing a message changes no column that is in an index, so the row stays in its page (HOT).
//!
//! What comes into a chat that a person has taken over is HELD from its beginning ([`crate::takeovers`]), kept as what is too old is.
//!
//! What cannot be admitted is DEAD from its beginning, and the others go on (`set_apart`). What is too old when it comes is
//! TOO_OLD from its beginning: by the database's clock it was written longer ago than the tenant answers
//! (`answer_within`), or before the session was linked. It is durable and confirmed like any other, the log has it with the
//! reason, and it is never answered. A time in the future counts as now.
//!
//! What is DONE has neither text nor number any more: they are in the log. A second delivery is known by the digest of
//! its id, so an answered message is never answered again, whatever has been erased ([`crate::erasure`]). The digest is
//! kept for longer than any tenant answers, so one that was forgotten ([`crate::purge`]) is too old.
//!
//! Order: within a tenant ids grow in the order in which admissions commit, so a reader that has seen an id has missed
//! none below it, and a chat's messages are answered in the order of their ids. An admission holds the tenant's
//! session row from before it takes ids until it has committed; two of them, even one whose caller has given it up,
//! cannot overtake each other.
//!
//! A crash between any two steps loses nothing and doubles nothing: a message is admitted before the page confirms it
//! to WhatsApp, which delivers it again otherwise, and the unique digest makes the second delivery the first; the replies
//! and the completion are one statement; and the replies' ids are chosen before they are sent.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use time::OffsetDateTime;

use crate::{Fence, Store, StoreError, columns::storable, halving::by_halves};

/// A message as the page delivered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInbound {
    /// Unique within the tenant: deduplication is by it.
    pub whatsapp_id: String,
    pub chat: String,
    pub sender: String,
    pub body: String,
    /// When it was written, by WhatsApp's clock.
    pub received_at: OffsetDateTime,
    /// Why nothing but the id is known of it: it is set apart then.
    pub undecoded: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    pub id: i64,
    pub whatsapp_id: String,
    /// It was not there before.
    pub fresh: bool,
    /// It is fresh, and nothing was received in its chat before it.
    pub first_in_chat: bool,
    /// It is to have an answer, and has none yet.
    pub waits: bool,
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

impl Store {
    /// Makes messages durable, in the order given; from the return on they may be confirmed to WhatsApp. Answers with
    /// one element for each distinct `whatsapp_id`, in order. The fresh ones are in the log too. One that Postgres refuses,
    /// or that was not understood, is set apart and has no element.
    pub async fn admit(&self, fence: &Fence, messages: &[NewInbound]) -> Result<Vec<Admitted>, StoreError> {
        for message in messages {
            if let Some(reason) = &message.undecoded {
                self.set_apart(fence, message, reason).await?;
            }
        }
        let (admitted, refused) = by_halves(messages, |batch| self.admit_batch(fence, batch)).await?;
        for (message, reason) in refused {
            self.set_apart(fence, message, &reason).await?;
        }
        Ok(admitted)
    }

    async fn admit_batch(&self, fence: &Fence, messages: &[NewInbound]) -> Result<Vec<Admitted>, StoreError> {
        let messages = || messages.iter().filter(|message| message.undecoded.is_none());
        let column = |of: fn(&NewInbound) -> &str| messages().map(|m| storable(of(m)).into_owned()).collect();
        let whatsapp_ids: Vec<String> = column(|m| &m.whatsapp_id);
        let chats: Vec<String> = column(|m| &m.chat);
        let senders: Vec<String> = column(|m| &m.sender);
        let bodies: Vec<String> = column(|m| &m.body);
        let received: Vec<OffsetDateTime> = messages().map(|m| m.received_at).collect();
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), session_lock as materialized (
                select s.tenant_id, s.linked_at, make_interval(secs => t.answer_within_s) as answer_within
                from whatsapp_sessions s join owner using (tenant_id) join tenants t on t.id = s.tenant_id
                for no key update of s
            ), given as (
                select distinct on (whatsapp_id) *, least(received_at, now()) as written_at,
                    message_digest(whatsapp_id) as digest
                from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
                    with ordinality as given(whatsapp_id, chat_id, sender, body, received_at, position)
                order by whatsapp_id, position
            ), judged as (
                -- Not by 'exists', for which the planner may read all chats of the tenant.
                select tenant_id, given.*, (
                    select coalesce(c.held_by, '') from chats c where c.tenant_id = $1 and c.chat_id = given.chat_id
                ) as holder, case
                    when written_at < now() - answer_within then format(
                        'it was written at %s and came %s later; what is older than %s is not answered',
                        to_char(written_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                        date_trunc('second', now() - written_at), answer_within)
                    when written_at < date_trunc('second', linked_at) then format(
                        'it was written at %s, before the session was linked',
                        to_char(written_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
                end as too_old
                from session_lock, given
            ), sorted as materialized (
                select *, case
                        when too_old is not null then 'TOO_OLD' when holder <> '' then 'HELD' else 'PENDING'
                    end::inbound_state as state,
                    coalesce(too_old, nullif(holder, '') || ' has the chat', '') as why
                from judged
            ), fresh as (
                insert into bm_in (
                    tenant_id, whatsapp_id, whatsapp_digest, chat_id, sender, body, received_at, first_in_chat,
                    state, done_at, last_error, log_id)
                select tenant_id,
                    case when state = 'PENDING' then whatsapp_id else '' end, digest,
                    case when state = 'PENDING' then chat_id else '' end,
                    case when state = 'PENDING' then sender else '' end,
                    case when state = 'PENDING' then body else '' end, written_at,
                    too_old is null and holder is null
                        and row_number() over (partition by chat_id, too_old is null order by position) = 1,
                    state, case when state <> 'PENDING' then now() end, why,
                    nextval('message_logs_id_seq')
                from sorted
                order by position
                on conflict on constraint bm_in_known do nothing
                returning id, whatsapp_digest, first_in_chat, state, log_id
            ), waiting as (
                insert into bm_pending (tenant_id, direction, id) select $1, 'IN', id from fresh where state = 'PENDING'
            ), met as (
                insert into chats (tenant_id, chat_id)
                select distinct tenant_id, chat_id from fresh join sorted on sorted.digest = fresh.whatsapp_digest
                where too_old is null and holder is null
                on conflict do nothing
            ), logged as (
                insert into message_logs (id, tenant_id, direction, chat_id, body, whatsapp_id, state, state_reason)
                overriding system value
                select log_id, tenant_id, 'IN', chat_id, body, whatsapp_id,
                    case fresh.state when 'TOO_OLD' then 'TOO_OLD' when 'HELD' then 'HELD' end::message_state, why
                from fresh join sorted on sorted.digest = fresh.whatsapp_digest order by fresh.id
            )
            select exists(select from owner) as "owns!", fresh.id as "id?", sorted.whatsapp_id as "whatsapp_id?",
                fresh.first_in_chat as "first_in_chat?", fresh.state = 'PENDING' as "waits?"
            from (select) as once left join (fresh join sorted on sorted.digest = fresh.whatsapp_digest) on true"#,
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
        let fresh: HashMap<String, Fresh> = rows
            .into_iter()
            .filter_map(|row| {
                let fresh = Fresh { id: row.id?, first_in_chat: row.first_in_chat?, waits: row.waits? };
                Some((row.whatsapp_id?, fresh))
            })
            .collect();
        let known =
            self.known_inbound(fence, whatsapp_ids.iter().filter(|id| !fresh.contains_key(*id))).await?;
        in_order_given(fence, whatsapp_ids, &fresh, &known)
    }

    /// The ids of messages that were there before, and whether they wait. A second statement, for it must see what the first one waited for.
    async fn known_inbound(
        &self,
        fence: &Fence,
        whatsapp_ids: impl Iterator<Item = &String>,
    ) -> Result<HashMap<String, (i64, bool)>, StoreError> {
        let whatsapp_ids: Vec<&str> = whatsapp_ids.map(String::as_str).collect();
        if whatsapp_ids.is_empty() {
            return Ok(HashMap::new());
        }
        let query = sqlx::query!(
            r#"select b.id, b.state = 'PENDING' as "waits!", given.whatsapp_id as "whatsapp_id!" from unnest($2::text[]) as given(whatsapp_id)
            join bm_in b on b.whatsapp_digest = message_digest(given.whatsapp_id) where b.tenant_id = $1"#,
            fence.tenant.as_str(),
            &whatsapp_ids as &[&str],
        );
        let rows = self.all("look up known inbound messages", query).await?;
        Ok(rows.into_iter().map(|row| (row.whatsapp_id, (row.id, row.waits))).collect())
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
                -- Row by row: a join might be made by reading all that is kept.
                select b.* from bm_pending w
                cross join lateral (select * from bm_in where id = w.id and state = 'PENDING' limit 1) b
                where w.tenant_id = $1 and exists(select from owner) and w.direction = 'IN' and w.id > $3
                order by w.id limit $4
            )
            select exists(select from owner) as "owns!", p.id as "id?", p.whatsapp_id as "whatsapp_id?",
                p.chat_id as "chat?", p.sender as "sender?", p.body as "body?", p.attempts as "attempts?",
                p.received_at as "received_at?", p.first_in_chat as "first_in_chat?",
                greatest(extract(epoch from p.next_attempt_at - now()), 0)::float8 as "due_in_s?"
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
                first_in_chat: row.first_in_chat?,
            })
        });
        Ok(pending.collect())
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
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
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
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), buried as (
                update bm_in b set state = 'DEAD', attempts = b.attempts + 1, last_error = $4, done_at = now()
                from owner where b.id = $3 and b.tenant_id = owner.tenant_id and b.state = 'PENDING'
                returning b.id
            ), settled as (
                delete from bm_pending
                where tenant_id = $1 and direction = 'IN' and id = any(array(select id from buried))
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

struct Fresh {
    id: i64,
    first_in_chat: bool,
    waits: bool,
}

/// The answer to an admission. An id that is neither fresh nor known went with its tenant between the two statements.
fn in_order_given(
    fence: &Fence,
    whatsapp_ids: Vec<String>,
    fresh: &HashMap<String, Fresh>,
    known: &HashMap<String, (i64, bool)>,
) -> Result<Vec<Admitted>, StoreError> {
    let mut admitted: Vec<Admitted> = Vec::with_capacity(whatsapp_ids.len());
    let mut given = HashSet::with_capacity(whatsapp_ids.len());
    for whatsapp_id in whatsapp_ids {
        if !given.insert(whatsapp_id.clone()) {
            continue;
        }
        let (id, fresh, first_in_chat, waits) = match (fresh.get(&whatsapp_id), known.get(&whatsapp_id)) {
            (Some(fresh), _) => (fresh.id, true, fresh.first_in_chat, fresh.waits),
            (None, Some((id, waits))) => (*id, false, false, *waits),
            (None, None) => return fence.check(false).map(|()| admitted),
        };
        admitted.push(Admitted { id, whatsapp_id, fresh, first_in_chat, waits });
    }
    Ok(admitted)
}

//! What a tenant and its customers have said to one another, as people read it: which chats there are, one of them line by line, and a search.
//!
//! Each answer reads a bounded part of the log, however much is kept, and says where it has stopped: the newest chats are those of the newest
//! 1,000 lines, and a search goes through 20,000 lines at a time.

use roost_model::ids::TenantId;
use time::OffsetDateTime;

use crate::{Direction, MessageState, Store, StoreError, columns::unsigned};

/// Lines among which the newest chats are found.
const NEWEST: i64 = 1_000;
/// Lines that one search goes through.
const SEARCHED: i64 = 20_000;
/// Lines among which those of the last day are counted.
const COUNTED: i64 = 10_000;
/// Of what was to be sent and is not: one chat has seldom more than a reply or two.
const UNSENT: i64 = 100;

/// A chat, with its last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    pub chat: String,
    pub last: Line,
}

/// Something that was received or sent, or is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub id: i64,
    pub chat: String,
    pub direction: Direction,
    pub body: String,
    pub at: OffsetDateTime,
    pub state: LineState,
    /// Of what a person has said, and not the automation.
    pub said_by: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineState {
    /// Received, and handled since.
    Answered,
    /// Received, and not handled yet.
    Waiting,
    /// Received so long after it was written that it is not answered.
    TooOld { reason: String },
    /// Received, and the tenant had its replies of a minute.
    Suppressed { reason: String },
    /// Received while a person had the chat.
    Held { reason: String },
    /// Of either direction: given up.
    Dead { reason: String },
    /// WhatsApp has taken it.
    Sent,
    /// It is to be sent.
    Sending,
}

/// What a search has found, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub lines: Vec<Line>,
    /// The line before which the rest has not been looked at; none when there is no rest.
    pub searched_to: Option<i64>,
}

/// How many lines there were in the last 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessagesLately {
    pub received: u64,
    pub sent: u64,
    /// Else there were more than these 10,000.
    pub counted_all: bool,
}

/// As the columns of a line of the log are read, with what its queue says of it.
struct Row {
    id: i64,
    chat_id: String,
    direction: Direction,
    body: String,
    created_at: OffsetDateTime,
    state: Option<MessageState>,
    state_reason: String,
    waits: bool,
    dead_because: Option<String>,
    said_by: Option<String>,
}

impl Store {
    /// Those in which something was said lately, the newest first.
    pub async fn newest_chats(&self, tenant: &TenantId, limit: u32) -> Result<Vec<Chat>, StoreError> {
        let query = sqlx::query_as!(
            Row,
            r#"with lately as materialized (
                select * from message_logs where tenant_id = $1 order by id desc limit $2
            ), last as (
                select distinct on (chat_id) * from lately order by chat_id, id desc
            )
            select l.id as "id!", l.chat_id as "chat_id!", l.direction as "direction!: Direction", l.body as "body!",
                l.created_at as "created_at!", l.state as "state: MessageState", l.state_reason as "state_reason!",
                coalesce(b.state = 'PENDING', false) as "waits!",
                case when b.state = 'DEAD' then b.last_error end as dead_because, l.said_by
            from last l left join bm_in b on l.direction = 'IN' and b.tenant_id = $1 and b.whatsapp_id = l.whatsapp_id
            order by l.id desc limit $3"#,
            tenant.as_str(),
            NEWEST,
            i64::from(limit),
        );
        let rows = self.all("list the newest chats", query).await?;
        Ok(rows.into_iter().map(|row| Chat { chat: row.chat_id.clone(), last: row.into() }).collect())
    }

    /// It reads 10,000 lines at most, however many there were.
    pub async fn messages_lately(&self, tenant: &TenantId) -> Result<MessagesLately, StoreError> {
        let query = sqlx::query!(
            r#"select count(*) filter (where direction = 'IN') as "received!",
                count(*) filter (where direction = 'OUT') as "sent!"
            from (
                select direction, created_at from message_logs where tenant_id = $1 order by id desc limit $2
            ) newest where created_at > now() - interval '24 hours'"#,
            tenant.as_str(),
            COUNTED,
        );
        let row = self.one("count the messages of a day", query).await?;
        let counted_all = row.received + row.sent < COUNTED;
        let (received, sent) = (unsigned("received", row.received)?, unsigned("sent", row.sent)?);
        Ok(MessagesLately { received, sent, counted_all })
    }

    /// All from which something was received, by their addresses, from the one after `after` on.
    pub async fn chats_by_address(
        &self,
        tenant: &TenantId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Chat>, StoreError> {
        let query = sqlx::query_as!(
            Row,
            r#"select l.id as "id!", l.chat_id as "chat_id!", l.direction as "direction!: Direction", l.body as "body!",
                l.created_at as "created_at!", l.state as "state: MessageState", l.state_reason as "state_reason!",
                coalesce(b.state = 'PENDING', false) as "waits!",
                case when b.state = 'DEAD' then b.last_error end as dead_because, l.said_by
            from chats c
            cross join lateral (
                select * from message_logs where tenant_id = $1 and chat_id = c.chat_id order by id desc limit 1
            ) l
            left join bm_in b on l.direction = 'IN' and b.tenant_id = $1 and b.whatsapp_id = l.whatsapp_id
            where c.tenant_id = $1 and c.chat_id > $2 order by c.chat_id limit $3"#,
            tenant.as_str(),
            after,
            i64::from(limit),
        );
        let rows = self.all("list the chats", query).await?;
        Ok(rows.into_iter().map(|row| Chat { chat: row.chat_id.clone(), last: row.into() }).collect())
    }

    /// Newest first, from the one before `before` on.
    pub async fn chat_lines(
        &self,
        tenant: &TenantId,
        chat: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Line>, StoreError> {
        let query = sqlx::query_as!(
            Row,
            r#"select l.id, l.chat_id, l.direction as "direction: Direction", l.body, l.created_at,
                l.state as "state: MessageState", l.state_reason,
                coalesce(b.state = 'PENDING', false) as "waits!",
                case when b.state = 'DEAD' then b.last_error end as dead_because, l.said_by
            from message_logs l
            left join bm_in b on l.direction = 'IN' and b.tenant_id = $1 and b.whatsapp_id = l.whatsapp_id
            where l.tenant_id = $1 and l.chat_id = $2 and l.id < $3 order by l.id desc limit $4"#,
            tenant.as_str(),
            chat,
            before.unwrap_or(i64::MAX),
            i64::from(limit),
        );
        Ok(self.all("read a chat", query).await?.into_iter().map(Line::from).collect())
    }

    /// What is to be sent to this chat, and what was given up, oldest first. Not in the log, which has what was sent.
    pub async fn unsent_lines(&self, tenant: &TenantId, chat: &str) -> Result<Vec<Line>, StoreError> {
        let query = sqlx::query!(
            r#"with unsent as (
                select w.id from bm_pending w where w.tenant_id = $1 and w.direction = 'OUT'
                union all
                select b.id from bm_out b where b.tenant_id = $1 and b.dead_from is not null
            )
            select b.id, b.chat_id, b.body, b.created_at, b.state = 'DEAD' as "is_dead!", b.last_error, b.said_by
            from unsent join bm_out b on b.id = unsent.id
            where b.tenant_id = $1 and b.chat_id = $2 and b.state <> 'SENT' order by b.id desc limit $3"#,
            tenant.as_str(),
            chat,
            UNSENT,
        );
        let rows = self.all("read what is to be sent", query).await?;
        let lines = rows.into_iter().rev().map(|row| Line {
            id: row.id,
            chat: row.chat_id,
            direction: Direction::Out,
            body: row.body,
            at: row.created_at,
            state: if row.is_dead { LineState::Dead { reason: row.last_error } } else { LineState::Sending },
            said_by: row.said_by,
        });
        Ok(lines.collect())
    }

    /// Lines whose text or chat has `text` in it, in whatever case, newest first, from the one before `before` on.
    pub async fn search_lines(
        &self,
        tenant: &TenantId,
        text: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Found, StoreError> {
        let query = sqlx::query!(
            r#"with part as materialized (
                select * from message_logs where tenant_id = $1 and id < $2 order by id desc limit $4
            ), found as (
                select * from part
                where strpos(lower(body), lower($3)) > 0 or strpos(chat_id, $3) > 0 order by id desc limit $5
            )
            select (select min(id) from part) as reached, (select count(*) from part) as "searched!",
                l.id as "id?", l.chat_id as "chat_id?", l.direction as "direction?: Direction", l.body as "body?",
                l.created_at as "created_at?", l.state as "state?: MessageState", l.state_reason as "state_reason?",
                coalesce(b.state = 'PENDING', false) as "waits!",
                case when b.state = 'DEAD' then b.last_error end as dead_because, l.said_by
            from (select) one left join found l on true
            left join bm_in b on l.direction = 'IN' and b.tenant_id = $1 and b.whatsapp_id = l.whatsapp_id
            order by l.id desc"#,
            tenant.as_str(),
            before.unwrap_or(i64::MAX),
            text,
            SEARCHED,
            i64::from(limit),
        );
        let rows = self.all("search the log", query).await?;
        let end = rows.first().and_then(|row| (row.searched == SEARCHED).then_some(row.reached).flatten());
        let lines: Vec<Line> = rows
            .into_iter()
            .filter_map(|row| {
                let row = Row {
                    id: row.id?,
                    chat_id: row.chat_id?,
                    direction: row.direction?,
                    body: row.body?,
                    created_at: row.created_at?,
                    state: row.state,
                    state_reason: row.state_reason?,
                    waits: row.waits,
                    dead_because: row.dead_because,
                    said_by: row.said_by,
                };
                Some(row.into())
            })
            .collect();
        // As many as were asked for: there may be more in the part that was searched.
        let is_full = u32::try_from(lines.len()).is_ok_and(|found| found == limit);
        let searched_to = if is_full { lines.last().map(|line: &Line| line.id) } else { end };
        Ok(Found { lines, searched_to })
    }
}

impl From<Row> for Line {
    fn from(row: Row) -> Self {
        let reason = row.state_reason;
        let state = match (row.direction, row.state, row.dead_because) {
            (Direction::Out, _, _) => LineState::Sent,
            (Direction::In, Some(MessageState::TooOld), _) => LineState::TooOld { reason },
            (Direction::In, Some(MessageState::Suppressed), _) => LineState::Suppressed { reason },
            (Direction::In, Some(MessageState::Held), _) => LineState::Held { reason },
            (Direction::In, None, Some(reason)) => LineState::Dead { reason },
            (Direction::In, None, None) if row.waits => LineState::Waiting,
            (Direction::In, None, None) => LineState::Answered,
        };
        Self {
            id: row.id,
            chat: row.chat_id,
            direction: row.direction,
            body: row.body,
            at: row.created_at,
            state,
            said_by: row.said_by,
        }
    }
}

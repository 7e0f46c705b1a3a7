//! The log of messages received and sent, for people. Nothing is decided by it.

use roost_model::ids::TenantId;
use time::OffsetDateTime;

use crate::{Store, StoreError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: i64,
    pub tenant: TenantId,
    pub direction: Direction,
    pub chat: String,
    pub body: String,
    pub whatsapp_id: String,
    pub created_at: OffsetDateTime,
    /// `None` for what goes the usual way.
    pub state: Option<MessageState>,
    /// Why it is in that state.
    pub state_reason: String,
    /// Of what a person has said, and not the automation.
    pub said_by: Option<String>,
}

/// Why a message has no answer, where that is nobody's fault; what failed is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "message_state", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MessageState {
    TooOld,
    /// The tenant had its replies of a minute.
    Suppressed,
    /// A person had the chat.
    Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "message_direction", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Direction {
    In,
    Out,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    pub tenant: Option<TenantId>,
    pub chat: Option<String>,
    pub direction: Option<Direction>,
    pub state: Option<MessageState>,
}

impl MessageFilter {
    pub fn takes(&self, message: &Message) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == message.tenant)
            && self.chat.as_ref().is_none_or(|chat| *chat == message.chat)
            && self.direction.is_none_or(|direction| direction == message.direction)
            && (self.state.is_none() || self.state == message.state)
    }
}

impl Store {
    /// Newest first, from the one before `before` on.
    pub async fn list_messages(
        &self,
        filter: &MessageFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let query = sqlx::query_as!(
            MessageRow,
            r#"select id, tenant_id, direction as "direction: Direction", chat_id, body, whatsapp_id, created_at,
                state as "state: MessageState", state_reason, said_by
            from message_logs
            where id < $1 and ($2::text is null or tenant_id = $2) and ($3::text is null or chat_id = $3)
                and ($4::message_direction is null or direction = $4)
                and ($5::message_state is null or (state is not null and state = $5))
                and tenant_id <> all (array(select id from tenants where deleting_since is not null))
            order by id desc limit $6"#,
            before.unwrap_or(i64::MAX),
            filter.tenant.as_ref().map(TenantId::as_str),
            filter.chat.as_deref(),
            filter.direction as Option<Direction>,
            filter.state as Option<MessageState>,
            i64::from(limit),
        );
        self.all("list the messages", query).await?.into_iter().map(Message::try_from).collect()
    }

    /// Oldest first, from the one after `after` on: for a tail. Ids of different tenants do not commit in order, so a
    /// line is shown only 0.1 s after it was written, when those below it are there; a commit that takes longer is
    /// missing from a tail, never from a list.
    pub async fn messages_after(
        &self,
        filter: &MessageFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let query = sqlx::query_as!(
            MessageRow,
            r#"select id, tenant_id, direction as "direction: Direction", chat_id, body, whatsapp_id, created_at,
                state as "state: MessageState", state_reason, said_by
            from message_logs
            where id > $1 and ($2::text is null or tenant_id = $2) and ($3::text is null or chat_id = $3)
                and ($4::message_direction is null or direction = $4)
                and created_at < now() - interval '100 milliseconds'
                and ($5::message_state is null or state = $5)
                and tenant_id <> all (array(select id from tenants where deleting_since is not null))
            order by id limit $6"#,
            after,
            filter.tenant.as_ref().map(TenantId::as_str),
            filter.chat.as_deref(),
            filter.direction as Option<Direction>,
            filter.state as Option<MessageState>,
            i64::from(limit),
        );
        self.all("tail the messages", query).await?.into_iter().map(Message::try_from).collect()
    }
}

/// As the columns come, before they are checked.
struct MessageRow {
    id: i64,
    tenant_id: String,
    direction: Direction,
    chat_id: String,
    body: String,
    whatsapp_id: String,
    created_at: OffsetDateTime,
    state: Option<MessageState>,
    state_reason: String,
    said_by: Option<String>,
}

impl TryFrom<MessageRow> for Message {
    type Error = StoreError;

    fn try_from(row: MessageRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            tenant: TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)?,
            direction: row.direction,
            chat: row.chat_id,
            body: row.body,
            whatsapp_id: row.whatsapp_id,
            created_at: row.created_at,
            state: row.state,
            state_reason: row.state_reason,
            said_by: row.said_by,
        })
    }
}

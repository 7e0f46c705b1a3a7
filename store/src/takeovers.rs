//! Chats that people take over: nobody else answers in them meanwhile, and what they say goes the way of a reply.
//!
//! ```text
//!   answered by itself --take_chat--> held by a person (say_in_chat) --release_chat--> answered by itself
//!                                         ^--take_chat, from whoever has it
//! ```
//!
//! Each change names the version that it was decided upon, so of two people who take the same chat one has it and the other is told
//! so. What comes into a chat that is held is HELD from its beginning ([`crate::inbound`]), and what was under way to be answered is
//! HELD by the statement that would have answered it ([`crate::completion`]). A reply that was queued before is sent.
//!
//! What a person says has its id from its key before it is queued, is claimed by the owner and sent at the pace of the replies, and
//! counts among them.

use roost_model::ids::TenantId;
use time::OffsetDateTime;

use crate::{Store, StoreError, columns::storable};

/// A chat, and who answers in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatHold {
    /// None: it is answered by itself.
    pub held: Option<(String, OffsetDateTime)>,
    pub version: i64,
}

/// Something that a person says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saying {
    pub chat: String,
    pub body: String,
    pub by: String,
    /// Of whoever says it: the same key is the same saying.
    pub key: String,
    pub whatsapp_id: String,
}

impl Store {
    /// Of a chat from which something was received.
    pub async fn chat_hold(&self, tenant: &TenantId, chat: &str) -> Result<ChatHold, StoreError> {
        let query = sqlx::query!(
            r#"select held_by, held_since, version from chats c join tenants t on t.id = c.tenant_id and t.deleting_since is null
            where tenant_id = $1 and chat_id = $2"#,
            tenant.as_str(),
            chat,
        );
        let row = self.maybe("look who has a chat", query).await?;
        let row = row.ok_or_else(|| StoreError::NotFound { kind: "chat", id: chat.to_owned() })?;
        Ok(ChatHold { held: row.held_by.zip(row.held_since), version: row.version })
    }

    /// Has this person answer in it from now on, and nobody else. `ChatChanged` when it is not as it was in `version`. Whoever has it
    /// already keeps it.
    pub async fn take_chat(
        &self,
        tenant: &TenantId,
        chat: &str,
        by: &str,
        version: i64,
    ) -> Result<ChatHold, StoreError> {
        let query = sqlx::query!(
            r#"update chats set held_by = $3, held_since = now(), version = version + 1
            where tenant_id = $1 and chat_id = $2 and version = $4 and held_by is distinct from $3 returning version"#,
            tenant.as_str(),
            chat,
            &storable(by),
            version,
        );
        let taken = self.maybe("take a chat over", query).await?.is_some();
        let now = self.chat_hold(tenant, chat).await?;
        let is_theirs = now.held.as_ref().is_some_and(|(holder, _)| holder == by);
        if taken || is_theirs { Ok(now) } else { Err(changed(chat, now)) }
    }

    /// Has it answered by itself again. `ChatChanged` when it is not as it was in `version`.
    pub async fn release_chat(
        &self,
        tenant: &TenantId,
        chat: &str,
        version: i64,
    ) -> Result<ChatHold, StoreError> {
        let query = sqlx::query!(
            r#"update chats set held_by = null, held_since = null, version = version + 1
            where tenant_id = $1 and chat_id = $2 and version = $3 and held_by is not null returning version"#,
            tenant.as_str(),
            chat,
            version,
        );
        let released = self.maybe("give a chat back", query).await?.is_some();
        let now = self.chat_hold(tenant, chat).await?;
        if released || now.held.is_none() { Ok(now) } else { Err(changed(chat, now)) }
    }

    /// Queues what the person says who has the chat; the tenant's owner is told. Said again under the same key it is queued once.
    /// `ChatChanged` when it is not this person's.
    pub async fn say_in_chat(&self, tenant: &TenantId, saying: &Saying) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with owner as materialized (
                select w.tenant_id from worker_processes w join tenants t on t.id = w.tenant_id and t.deleting_since is null
                where w.tenant_id = $1 for no key update of w
            ), held as materialized (
                -- Not given back before this has committed.
                select c.chat_id from chats c join owner using (tenant_id)
                where c.chat_id = $2 and c.held_by = $3 for share of c
            ), said as (
                insert into bm_out (tenant_id, whatsapp_id, chat_id, body, counted, said_by, said_key)
                select $1, $4, chat_id, $5, true, $3, $6 from held
                on conflict (tenant_id, said_key) where said_key is not null do nothing
                returning id
            ), waiting as (
                insert into bm_pending (tenant_id, direction, id) select $1, 'OUT', id from said
            ), told as (
                update worker_processes w set spec_revision = nextval('spec_revisions')
                where tenant_id = $1 and exists(select from said)
            )
            select exists(select from held) as "is_theirs!""#,
            tenant.as_str(),
            saying.chat,
            &storable(&saying.by),
            saying.whatsapp_id,
            &storable(&saying.body),
            saying.key,
        );
        match self.one("queue what a person says", query).await?.is_theirs {
            true => Ok(()),
            false => Err(changed(&saying.chat, self.chat_hold(tenant, &saying.chat).await?)),
        }
    }
}

fn changed(chat: &str, now: ChatHold) -> StoreError {
    StoreError::ChatChanged { chat: chat.to_owned(), held_by: now.held.map(|(holder, _)| holder) }
}

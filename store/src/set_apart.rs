//! Messages that cannot go the usual way and must not hold up those that can: one that Postgres refuses, and one of which
//! nobody understands what the page tells. Each is kept as a dead letter from its beginning, with the reason, known by the
//! digest of its id like any other; so it may be confirmed to WhatsApp, and its delivery again changes nothing.

use std::borrow::Cow;

use crate::{Fence, NewInbound, Store, StoreError, columns::storable};

/// What is kept of an id or a chat: more than any that WhatsApp gives, less than an index takes.
const ID_BYTES: usize = 256;

impl Store {
    /// Keeps what a refused message says, or, where that is what Postgres will not have, only that there was one.
    pub(crate) async fn set_apart(
        &self,
        fence: &Fence,
        message: &NewInbound,
        reason: &str,
    ) -> Result<(), StoreError> {
        tracing::error!(reason, "a message is set apart as a dead letter: see `roost message dead list`");
        match self.insert_dead(fence, message, KeptTexts::of(message), reason).await {
            Err(error) if error.is_about_values() => {
                self.insert_dead(fence, message, KeptTexts::default(), reason).await
            }
            done => done,
        }
    }

    async fn insert_dead(
        &self,
        fence: &Fence,
        message: &NewInbound,
        kept: KeptTexts<'_>,
        reason: &str,
    ) -> Result<(), StoreError> {
        let (id, reason) = (storable(&message.whatsapp_id), storable(reason));
        let query = sqlx::query!(
            r#"with owner as materialized (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2 for key share
            ), dead as (
                insert into bm_in (
                    tenant_id, whatsapp_id, whatsapp_digest, chat_id, sender, body, first_in_chat,
                    state, set_apart, last_error, done_at)
                select tenant_id, $4, message_digest($3), $5, $6, $7, false, 'DEAD', true, $8, now() from owner
                on conflict on constraint bm_in_known do nothing
            )
            select exists(select from owner) as "owns!""#,
            fence.tenant.as_str(),
            fence.generation.0,
            id.as_ref(),
            kept.whatsapp_id.as_ref(),
            kept.chat.as_ref(),
            kept.sender.as_ref(),
            kept.body.as_ref(),
            reason.as_ref(),
        );
        fence.check(self.one("set a message apart", query).await?.owns)
    }
}

#[derive(Default)]
struct KeptTexts<'a> {
    whatsapp_id: Cow<'a, str>,
    chat: Cow<'a, str>,
    sender: Cow<'a, str>,
    body: Cow<'a, str>,
}

impl<'a> KeptTexts<'a> {
    fn of(message: &'a NewInbound) -> Self {
        let short = |text: &'a str| storable(&text[..text.floor_char_boundary(ID_BYTES)]);
        Self {
            whatsapp_id: short(&message.whatsapp_id),
            chat: short(&message.chat),
            sender: short(&message.sender),
            body: storable(&message.body),
        }
    }
}

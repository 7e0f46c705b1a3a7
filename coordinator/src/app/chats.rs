//! Chats that people take over, and what they say in them.

use roost_model::{ids::TenantId, sent_message_id};
use roost_store::{ChatHold, Saying};

use super::{App, Error, access::Caller};

impl App {
    pub async fn chat_hold(&self, tenant: &TenantId, chat: &str) -> Result<ChatHold, Error> {
        Ok(self.store()?.chat_hold(tenant, chat).await?)
    }

    pub async fn take_chat(
        &self,
        tenant: &TenantId,
        chat: &str,
        version: i64,
        by: &Caller,
    ) -> Result<ChatHold, Error> {
        let hold = self.store()?.take_chat(tenant, chat, by.name(), version).await?;
        tracing::info!(%tenant, by = by.name(), "a chat is taken over");
        Ok(hold)
    }

    pub async fn release_chat(
        &self,
        tenant: &TenantId,
        chat: &str,
        version: i64,
        by: &Caller,
    ) -> Result<ChatHold, Error> {
        let hold = self.store()?.release_chat(tenant, chat, version).await?;
        tracing::info!(%tenant, by = by.name(), "a chat is given back");
        Ok(hold)
    }

    /// The same key of the same caller says it once.
    pub async fn say_in_chat(
        &self,
        tenant: &TenantId,
        chat: &str,
        body: String,
        key: &str,
        by: &Caller,
    ) -> Result<(), Error> {
        let store = self.store()?;
        let uid = store.get_tenant(tenant).await?.uid;
        let (chat, by) = (chat.to_owned(), by.name().to_owned());
        let key = format!("{by} {key}");
        let whatsapp_id = sent_message_id(&chat, &format!("{uid}|said|{key}"));
        Ok(store.say_in_chat(tenant, &Saying { chat, body, by, key, whatsapp_id }).await?)
    }
}

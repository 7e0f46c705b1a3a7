//! The log of messages, and the erasure of a chat.

use roost_model::ids::TenantId;
use roost_store::{Message, MessageFilter, Requester};

use super::{App, Error};

impl App {
    /// Newest first, from the one before `before` on.
    pub async fn list_messages(
        &self,
        filter: &MessageFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Message>, Error> {
        Ok(self.store()?.list_messages(filter, before, limit).await?)
    }

    /// How many rows held something of the chat. What is logged does not name it.
    pub async fn erase_chat(&self, tenant: &TenantId, chat: &str, by: &Requester) -> Result<u64, Error> {
        let rows = self.store()?.erase_chat(tenant, chat, by).await?;
        tracing::info!(%tenant, rows, "chat erased");
        Ok(rows)
    }

    /// A mistyped id is an error, not a tenant without messages.
    pub async fn check_tenant(&self, chosen: Option<&TenantId>) -> Result<(), Error> {
        if let Some(tenant) = chosen {
            self.store()?.get_tenant(tenant).await?;
        }
        Ok(())
    }
}

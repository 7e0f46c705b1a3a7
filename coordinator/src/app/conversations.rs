//! What a tenant and its customers have said to one another, for those who read it.

use roost_model::ids::TenantId;
use roost_store::{Chat, Found, Line, MessagesLately};

use super::{App, Error};

impl App {
    /// Of the last 24 hours.
    pub async fn messages_lately(&self, tenant: &TenantId) -> Result<MessagesLately, Error> {
        Ok(self.store()?.messages_lately(tenant).await?)
    }

    pub async fn newest_chats(&self, tenant: &TenantId, limit: u32) -> Result<Vec<Chat>, Error> {
        Ok(self.store()?.newest_chats(tenant, limit).await?)
    }

    pub async fn chats_by_address(
        &self,
        tenant: &TenantId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Chat>, Error> {
        Ok(self.store()?.chats_by_address(tenant, after, limit).await?)
    }

    pub async fn chat_lines(
        &self,
        tenant: &TenantId,
        chat: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Line>, Error> {
        Ok(self.store()?.chat_lines(tenant, chat, before, limit).await?)
    }

    pub async fn unsent_lines(&self, tenant: &TenantId, chat: &str) -> Result<Vec<Line>, Error> {
        Ok(self.store()?.unsent_lines(tenant, chat).await?)
    }

    pub async fn search_lines(
        &self,
        tenant: &TenantId,
        text: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Found, Error> {
        Ok(self.store()?.search_lines(tenant, text, before, limit).await?)
    }
}

//! The log of messages.

use roost_store::{Message, MessageFilter};

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

    /// A mistyped id is an error, not a tenant without messages.
    pub async fn check_tenant_of(&self, filter: &MessageFilter) -> Result<(), Error> {
        if let Some(tenant) = &filter.tenant {
            self.store()?.get_tenant(tenant).await?;
        }
        Ok(())
    }
}

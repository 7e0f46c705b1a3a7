//! Sessions: a tenant's link to its phone.

use roost_model::ids::TenantId;
use roost_store::Session;

use super::{App, Error};

impl App {
    pub async fn get_session(&self, tenant: &TenantId) -> Result<Session, Error> {
        Ok(self.store()?.get_session(tenant).await?)
    }

    /// The node that owns the worker unlinks it.
    pub async fn logout(&self, tenant: &TenantId) -> Result<Session, Error> {
        let session = self.store()?.request_logout(tenant).await?;
        tracing::info!(%tenant, "session asked to log out");
        Ok(session)
    }
}

//! Links for others: whoever has one scans the tenant's code, and sees and does nothing else.

use std::time::Duration;

use roost_model::ids::TenantId;
use roost_store::{ScanLink, SessionStatus};
use time::OffsetDateTime;

use super::{
    App, Error, NoPairing, Refusal,
    access::{Caller, secret},
};

const LIFETIME: Duration = Duration::from_secs(15 * 60);

impl App {
    /// The secret of the link, in the place of the one before, and until when it counts.
    pub async fn create_scan_link(
        &self,
        tenant: &TenantId,
        by: &Caller,
    ) -> Result<(String, OffsetDateTime), Error> {
        if self.get_session(tenant).await?.status == SessionStatus::Connected {
            return Err(Refusal::NoPairing { tenant: tenant.clone(), why: NoPairing::Linked }.into());
        }
        let link = secret::new_secret();
        let expires_at =
            self.store()?.create_scan_link(tenant, by.name(), &secret::digest(&link), LIFETIME).await?;
        tracing::info!(%tenant, "a link by which others scan its code is made");
        Ok((link, expires_at))
    }

    pub async fn scan_link(&self, secret: &str) -> Result<ScanLink, Error> {
        Ok(self.store()?.scan_link(&secret::digest(secret)).await?)
    }
}

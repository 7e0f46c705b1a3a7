//! Who is of which business.

use std::time::Duration;

use roost_model::{Role, ids::TenantId};
use roost_store::{Member, NewInvitation};

use crate::app::{
    App, Error,
    access::{Caller, secret},
};

/// For how long a link may be used.
pub(super) const LINK_LIFETIME: Duration = Duration::from_secs(24 * 3_600);

/// Somebody who is to use the portal.
#[derive(Debug, Clone)]
pub struct Invitation {
    pub tenant: TenantId,
    /// In lower case.
    pub email: String,
    /// OWNER or STAFF.
    pub role: Role,
}

impl App {
    /// What it is kept as, and the secret of its link.
    pub async fn invite_member(
        &self,
        invitation: Invitation,
        by: &Caller,
    ) -> Result<(Member, String), Error> {
        let Invitation { tenant, email, role } = invitation;
        let secret = secret::new_secret();
        let digest = secret::digest(&secret);
        let created_by = by.name().to_owned();
        let new = NewInvitation { tenant, email, role, created_by, digest, lifetime: LINK_LIFETIME };
        let member = self.store()?.create_invitation(&new).await?;
        tracing::info!(tenant = %member.tenant, role = role.as_str(), "somebody is invited to a business");
        Ok((member, secret))
    }

    pub async fn list_members(
        &self,
        tenant: &TenantId,
        after: Option<&(String, bool)>,
        limit: u32,
    ) -> Result<Vec<Member>, Error> {
        let store = self.store()?;
        let members = store.list_members(tenant, after, limit).await?;
        if members.is_empty() {
            store.get_tenant(tenant).await?;
        }
        Ok(members)
    }

    pub async fn remove_member(&self, tenant: &TenantId, email: &str) -> Result<(), Error> {
        self.store()?.remove_member(tenant, email).await?;
        tracing::info!(%tenant, "a member is removed");
        Ok(())
    }

    /// The secret of the link.
    pub async fn create_password_reset(&self, email: &str) -> Result<String, Error> {
        let secret = secret::new_secret();
        self.store()?.create_password_reset(email, &secret::digest(&secret), LINK_LIFETIME).await?;
        tracing::info!("a link to reset a password is made");
        Ok(secret)
    }
}

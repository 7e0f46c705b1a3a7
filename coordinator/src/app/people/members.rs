//! Who is of which business.

use std::time::Duration;

use roost_model::{Role, ids::TenantId};
use roost_store::{Member, NewUser};

use crate::app::{
    App, Error,
    access::{Caller, secret},
};

/// For how long a link may be used.
const LINK_LIFETIME: Duration = Duration::from_secs(24 * 3_600);

/// Somebody who is to use the portal.
#[derive(Debug, Clone)]
pub struct Invitation {
    pub tenant: TenantId,
    /// In lower case.
    pub email: String,
    pub display_name: String,
    /// OWNER or STAFF.
    pub role: Role,
}

impl App {
    /// The member, and the secret of the link by which a password is set, once.
    pub async fn invite_member(&self, invitation: Invitation, by: &Caller) -> Result<(Member, String), Error> {
        let Invitation { tenant, email, display_name, role } = invitation;
        let link = secret::new_secret();
        let new = NewUser {
            email,
            display_name,
            tenant,
            role,
            created_by: by.name().to_owned(),
            link: secret::digest(&link),
            link_lifetime: LINK_LIFETIME,
        };
        let member = self.store()?.add_member(&new).await?;
        tracing::info!(tenant = %member.tenant, user = member.user_id, role = role.as_str(), "a member is invited");
        Ok((member, link))
    }

    pub async fn list_members(&self, tenant: &TenantId) -> Result<Vec<Member>, Error> {
        let store = self.store()?;
        store.get_tenant(tenant).await?;
        Ok(store.list_members(tenant).await?)
    }

    pub async fn remove_member(&self, tenant: &TenantId, email: &str) -> Result<(), Error> {
        self.store()?.remove_member(tenant, email).await?;
        tracing::info!(%tenant, "a member is removed");
        Ok(())
    }
}

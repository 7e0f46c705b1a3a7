//! Who runs the cluster.

use std::time::Duration;

use roost_model::Role;
use roost_store::{ClusterUser, NewUserLink};

use crate::app::{
    App, Error, Refusal,
    access::{Caller, secret},
};

/// For how long a link may be used.
const LINK_LIFETIME: Duration = Duration::from_secs(24 * 3_600);

/// Whether somebody with this role gives a code beside the password.
pub fn needs_code(role: Role) -> bool {
    role != Role::Viewer
}

impl App {
    /// What the invitation is kept as, and the secret of its link. `keeps_secrets`: there is a key for those of phones.
    pub async fn create_user(
        &self,
        email: String,
        role: Role,
        keeps_secrets: bool,
        by: &Caller,
    ) -> Result<(ClusterUser, String), Error> {
        check_key(role, keeps_secrets)?;
        let secret = secret::new_secret();
        let digest = secret::digest(&secret);
        let given_by = by.name().to_owned();
        let new = NewUserLink { email, role, created_by: given_by, digest, lifetime: LINK_LIFETIME };
        let until = self.store()?.create_user_link(&new).await?;
        tracing::info!(role = role.as_str(), "somebody is invited to the cluster");
        let NewUserLink { email, created_by: given_by, .. } = new;
        let user = ClusterUser {
            email,
            role,
            given_by,
            since: None,
            link_until: Some(until),
            has_second_factor: false,
        };
        Ok((user, secret))
    }

    pub async fn list_users(&self, after: &str, limit: u32) -> Result<Vec<ClusterUser>, Error> {
        Ok(self.store()?.list_users(after, limit).await?)
    }

    pub async fn set_user_role(&self, email: &str, role: Role, by: &Caller) -> Result<(), Error> {
        self.store()?.set_user_role(email, role, by.name()).await?;
        tracing::info!(role = role.as_str(), "a user has another role");
        Ok(())
    }

    pub async fn remove_user(&self, email: &str) -> Result<(), Error> {
        self.store()?.remove_user(email).await?;
        tracing::info!("a user of the cluster is removed");
        Ok(())
    }

    /// The secret of the link.
    pub async fn reset_user(&self, email: &str, keeps_secrets: bool, by: &Caller) -> Result<String, Error> {
        let store = self.store()?;
        if let Some(role) = store.cluster_role(email).await? {
            check_key(role, keeps_secrets)?;
        }
        let secret = secret::new_secret();
        store.create_user_reset(email, by.name(), &secret::digest(&secret), LINK_LIFETIME).await?;
        tracing::info!("a link by which a user comes in anew is made");
        Ok(secret)
    }
}

/// Before a link is made that would lead nowhere.
fn check_key(role: Role, keeps_secrets: bool) -> Result<(), Refusal> {
    if needs_code(role) && !keeps_secrets { Err(Refusal::NoSecretsKey { role }) } else { Ok(()) }
}

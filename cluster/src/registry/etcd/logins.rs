//! The user that a registry is at etcd, where it has to be one.
//!
//! A name and its password buy a token, which etcd forgets when nobody has used it for a while, when it is started anew, and when
//! the password changes. The client buys a new one and asks again when a call is refused for its token; here is the first one of
//! each member's client, and another with what the file says then when also a new token was refused.

use etcd_client::{Client, Error};
use tokio::sync::Mutex;

use super::access::EtcdUser;

/// What etcd answers a user where nobody has to be one.
const NOT_ENABLED: &str = "etcdserver: authentication is not enabled";

pub(super) struct Logins {
    user: Option<EtcdUser>,
    /// Of each member, by its number, whether its client has been told who it is. Held while it is, so that calls that come
    /// meanwhile wait for it and do not make etcd hash the password as often.
    told: Vec<Mutex<bool>>,
}

impl Logins {
    pub(super) fn new(user: Option<EtcdUser>, members: usize) -> Self {
        Self { user, told: (0..members).map(|_| Mutex::new(false)).collect() }
    }

    /// What to do about an etcd that does not let this program in.
    pub(super) fn not_let_in(&self, reason: &str) -> String {
        match &self.user {
            None => format!(
                "it asks who we are ({reason}), and Roost has no credentials for it: give them with --etcd-user and \
                 --etcd-password-file, or give --etcd another one"
            ),
            Some(user) => format!(
                "it does not let the user {:?} do this ({reason}): see --etcd-user and --etcd-password-file, and that the user's \
                 roles may read and write the keys under /roost/v1/",
                user.name
            ),
        }
    }

    pub(super) async fn log_in(&self, member: usize, client: &Client) -> Result<(), Error> {
        let Some(user) = &self.user else { return Ok(()) };
        let mut told = self.told[member].lock().await;
        if *told {
            return Ok(());
        }
        let password = user.password().map_err(|error| Error::InvalidArgs(error.to_string()))?;
        // Clones share what they are told.
        match client.clone().update_user(Some((user.name.clone(), password))).await {
            Err(Error::GRpcStatus(status)) if status.message() == NOT_ENABLED => {}
            done => done?,
        }
        *told = true;
        Ok(())
    }

    /// It was refused, as who it is.
    pub(super) async fn refused(&self, member: usize) {
        if self.user.is_some() {
            *self.told[member].lock().await = false;
        }
    }
}

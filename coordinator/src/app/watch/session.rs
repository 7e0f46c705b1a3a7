//! WatchSession: the session now and at each change, until the tenant is deleted.

use std::sync::Arc;

use roost_model::ids::TenantId;
use roost_store::{Session, StoreError};

use super::{
    row_sources::Sessions,
    state_feed::Follower,
    streams::{Outlet, Watched},
    wakeups::TenantWakeups,
};
use crate::app::{App, Error};

impl App {
    /// The session now and at each change, until the tenant is deleted.
    pub async fn watch_session(&self, tenant: TenantId) -> Result<Watched<Session>, Error> {
        let store = self.store()?;
        let begin = async { (Sessions::new(store.clone()), TenantWakeups::of(store, None)) };
        let follower = self.feeds.sessions.follow(Some(tenant.clone()), begin).await?;
        if follower.present().is_empty() {
            return Err(no_tenant(tenant));
        }
        self.streams.open(|outlet| run(follower, tenant, outlet))
    }
}

async fn run(mut follower: Follower<Sessions>, tenant: TenantId, outlet: Outlet<Session>) -> Error {
    loop {
        match follower.next().await {
            Ok(changes) => {
                for change in changes {
                    if change.is_gone {
                        return no_tenant(tenant);
                    }
                    outlet.send(Arc::unwrap_or_clone(change.state)).await;
                }
            }
            Err(end) => return end,
        }
    }
}

fn no_tenant(tenant: TenantId) -> Error {
    StoreError::NotFound { kind: "tenant", id: tenant.into() }.into()
}

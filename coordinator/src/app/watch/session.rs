//! WatchSession: the session now and at each change, until the tenant is deleted.

use roost_model::ids::TenantId;
use roost_store::{Session, Store, StoreError};

use super::{
    streams::{Outage, Outlet, Watched},
    wakeups::TenantWakeups,
};
use crate::app::{App, Error};

impl App {
    /// The session now and at each change, until the tenant is deleted.
    pub async fn watch_session(&self, tenant: TenantId) -> Result<Watched<Session>, Error> {
        let watch = WatchSession::begin(self.store()?.clone(), tenant).await?;
        self.streams.open(|outlet| watch.run(outlet))
    }
}

struct WatchSession {
    store: Store,
    tenant: TenantId,
    wakeups: TenantWakeups,
    sent: Session,
}

impl WatchSession {
    /// Reads the session: what changes after this is sent.
    async fn begin(store: Store, tenant: TenantId) -> Result<Self, StoreError> {
        let wakeups = TenantWakeups::of(&store, Some(tenant.clone()));
        let sent = store.get_session(&tenant).await?;
        Ok(Self { store, tenant, wakeups, sent })
    }

    async fn run(mut self, outlet: Outlet<Session>) -> Error {
        let mut outage = Outage::default();
        outlet.send(self.sent.clone()).await;
        loop {
            self.wakeups.next().await;
            match self.store.get_session(&self.tenant).await {
                Ok(session) => {
                    outage.over();
                    if differs(&self.sent, &session) {
                        outlet.send(session.clone()).await;
                        self.sent = session;
                    }
                }
                Err(error) => {
                    if let Err(end) = outage.sit_out(error) {
                        return end;
                    }
                }
            }
        }
    }
}

/// That the worker was seen again, or saved, is no change.
fn differs(a: &Session, b: &Session) -> bool {
    let still = |session: &Session| Session { last_seen_at: None, snapshot_at: None, ..session.clone() };
    still(a) != still(b)
}

//! WatchSession: the session now and at each change, until the tenant is deleted.

use roost_cluster::ids::TenantId;
use roost_proto::{error::ApiError, v1};
use roost_store::{Store, StoreError};

use super::word::Word;
use crate::{
    stream::{Outage, Outlet},
    wire,
};

pub struct WatchSession {
    store: Store,
    tenant: TenantId,
    word: Word,
    sent: v1::Session,
}

impl WatchSession {
    /// Reads the session: what changes after this is told.
    pub async fn begin(store: Store, tenant: TenantId) -> Result<Self, StoreError> {
        let word = Word::of(&store, Some(tenant.clone()));
        let sent = look(&store, &tenant).await?;
        Ok(Self { store, tenant, word, sent })
    }

    pub async fn run(mut self, outlet: Outlet<v1::Session>) -> ApiError {
        let mut outage = Outage::default();
        outlet.send(self.sent.clone()).await;
        loop {
            self.word.next().await;
            match look(&self.store, &self.tenant).await {
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

async fn look(store: &Store, tenant: &TenantId) -> Result<v1::Session, StoreError> {
    store.get_session(tenant).await.map(wire::session)
}

/// That the worker was seen again is no change.
fn differs(a: &v1::Session, b: &v1::Session) -> bool {
    let still = |session: &v1::Session| v1::Session { last_seen_time: None, ..session.clone() };
    still(a) != still(b)
}

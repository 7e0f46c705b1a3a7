//! WatchQr: the session now and at each change, until the tenant is deleted.

use roost_cluster::ids::TenantId;
use roost_proto::{error::ApiError, v1};
use roost_store::{Store, StoreError};

use super::word::Word;
use crate::{
    fault::from_store,
    stream::{Outage, Outlet},
    wire,
};

pub async fn run(store: Store, tenant: TenantId, outlet: Outlet<v1::Session>) -> ApiError {
    let mut word = Word::of(&store, Some(tenant.clone()));
    let mut outage = Outage::default();
    let mut sent = match look(&store, &tenant).await {
        Ok(session) => session,
        Err(error) => return from_store(error),
    };
    outlet.send(sent.clone()).await;
    loop {
        word.next().await;
        match look(&store, &tenant).await {
            Ok(session) => {
                outage.over();
                if differs(&sent, &session) {
                    outlet.send(session.clone()).await;
                    sent = session;
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

async fn look(store: &Store, tenant: &TenantId) -> Result<v1::Session, StoreError> {
    store.get_session(tenant).await.map(wire::session)
}

/// That the worker was seen again is no change.
fn differs(a: &v1::Session, b: &v1::Session) -> bool {
    let still = |session: &v1::Session| v1::Session { last_seen_time: None, ..session.clone() };
    still(a) != still(b)
}

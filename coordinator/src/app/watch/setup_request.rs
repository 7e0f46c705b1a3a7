//! A setup request while somebody waits for what becomes of it.

use std::time::Duration;

use roost_store::{ClusterChange, SetupRequest, Store, StoreError};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{sleep, timeout},
};

use super::streams::{Outage, Outlet, Watched};
use crate::app::{App, Error};

/// From one look without a notification to the next: one may be lost, and whoever waits here waits for a person.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// From one look to the next while the database is away.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

impl App {
    /// Each time that it is in another state than the one before, of which `seen` is the first.
    pub fn watch_setup_request(&self, seen: SetupRequest) -> Result<Watched<SetupRequest>, Error> {
        let store = self.store()?.clone();
        let changes = store.cluster_changes();
        self.streams.open(|outlet| run(store, changes, seen, outlet))
    }
}

async fn run(
    store: Store,
    mut changes: Receiver<ClusterChange>,
    mut seen: SetupRequest,
    outlet: Outlet<SetupRequest>,
) -> Error {
    let mut outage = Outage::default();
    loop {
        match store.get_setup_request(seen.id).await {
            Ok(now) => {
                outage.over();
                if now.state != seen.state {
                    outlet.send(now.clone()).await;
                }
                seen = now;
                let _ = timeout(LOOK_EVERY, changed(&mut changes, seen.id)).await;
            }
            Err(error @ StoreError::NotFound { .. }) => return error.into(),
            Err(error) => {
                if let Err(end) = outage.sit_out(error) {
                    return end;
                }
                sleep(LOOK_AGAIN).await;
            }
        }
    }
}

/// Returns when there may be news of it.
async fn changed(changes: &mut Receiver<ClusterChange>, id: i64) {
    loop {
        match changes.recv().await {
            Ok(ClusterChange::SetupRequest(of)) if of == id => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            // The store is going down with the coordinator.
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

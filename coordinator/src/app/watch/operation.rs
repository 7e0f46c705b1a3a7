//! WatchOperation: the operation now and at each change, until it is over.

use roost_model::ids::OperationId;
use roost_store::{ClusterChange, OperationRecord, OperationState, Store, StoreError};

use super::{
    streams::{Outage, Outlet, Watched},
    wakeups::ClusterWakeups,
};
use crate::app::{App, Error};

impl App {
    /// The operation now and at each change, until it is over.
    pub async fn watch_operation(&self, id: OperationId) -> Result<Watched<OperationRecord>, Error> {
        let watch = WatchOperation::begin(self.store()?.clone(), id).await?;
        self.streams.open(|outlet| watch.run(outlet))
    }
}

struct WatchOperation {
    store: Store,
    id: OperationId,
    wakeups: ClusterWakeups,
    sent: OperationRecord,
}

impl WatchOperation {
    /// Reads the operation: what changes after this is sent.
    async fn begin(store: Store, id: OperationId) -> Result<Self, StoreError> {
        let wakeups = ClusterWakeups::of(&store, ClusterChange::Operation(id));
        let sent = store.get_operation(id).await?;
        Ok(Self { store, id, wakeups, sent })
    }

    /// Ends without an error when the operation is over.
    async fn run(mut self, outlet: Outlet<OperationRecord>) -> Option<Error> {
        let mut outage = Outage::default();
        outlet.send(self.sent.clone()).await;
        while self.sent.state == OperationState::Running {
            self.wakeups.next().await;
            match self.store.get_operation(self.id).await {
                Ok(operation) => {
                    outage.over();
                    if self.sent != operation {
                        outlet.send(operation.clone()).await;
                        self.sent = operation;
                    }
                }
                Err(error) => {
                    if let Err(end) = outage.sit_out(error) {
                        return Some(end);
                    }
                }
            }
        }
        None
    }
}

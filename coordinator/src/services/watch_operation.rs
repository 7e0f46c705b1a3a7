//! WatchOperation: the operation now and at each change, until it is over.

use roost_model::ids::OperationId;
use roost_proto::{error::ApiError, v1};
use roost_store::{ClusterChange, Store, StoreError};

use super::news::News;
use crate::{
    stream::{Outage, Outlet},
    wire,
};

pub struct WatchOperation {
    store: Store,
    id: OperationId,
    news: News,
    sent: v1::Operation,
}

impl WatchOperation {
    /// Reads the operation: what changes after this is told.
    pub async fn begin(store: Store, id: OperationId) -> Result<Self, StoreError> {
        let news = News::of(&store, ClusterChange::Operation(id));
        let sent = look(&store, id).await?;
        Ok(Self { store, id, news, sent })
    }

    /// Ends without an error when the operation is over.
    pub async fn run(mut self, outlet: Outlet<v1::Operation>) -> Option<ApiError> {
        let mut outage = Outage::default();
        outlet.send(self.sent.clone()).await;
        while self.sent.state() == v1::OperationState::Running {
            self.news.next().await;
            match look(&self.store, self.id).await {
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

async fn look(store: &Store, id: OperationId) -> Result<v1::Operation, StoreError> {
    store.get_operation(id).await.map(wire::operation)
}

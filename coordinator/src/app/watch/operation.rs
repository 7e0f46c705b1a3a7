//! WatchOperation: the operation now and at each change, until it is over.

use std::sync::Arc;

use roost_model::ids::OperationId;
use roost_store::{OperationRecord, OperationState, StoreError};

use super::{
    row_sources::Operations,
    state_feed::Follower,
    streams::{Outlet, Watched},
    wakeups::OperationWakeups,
};
use crate::app::{App, Error};

impl App {
    /// The operation now and at each change, until it is over.
    pub async fn watch_operation(&self, id: OperationId) -> Result<Watched<OperationRecord>, Error> {
        let store = self.store()?;
        let begin = async { (Operations::new(store.clone()), OperationWakeups::of(store)) };
        let follower = self.feeds.operations.follow(Some(id), begin).await?;
        if follower.present().is_empty() {
            return Err(no_operation(id));
        }
        self.streams.open(|outlet| run(follower, id, outlet))
    }
}

/// Ends without an error when the operation is over.
async fn run(
    mut follower: Follower<Operations>,
    id: OperationId,
    outlet: Outlet<OperationRecord>,
) -> Option<Error> {
    loop {
        match follower.next().await {
            Ok(changes) => {
                for change in changes {
                    if change.is_gone {
                        return Some(no_operation(id));
                    }
                    let is_over = change.state.state != OperationState::Running;
                    outlet.send(Arc::unwrap_or_clone(change.state)).await;
                    if is_over {
                        return None;
                    }
                }
            }
            Err(end) => return Some(end),
        }
    }
}

fn no_operation(id: OperationId) -> Error {
    StoreError::NotFound { kind: "operation", id: id.to_string() }.into()
}

//! What a deleted tenant leaves is removed here, batch by batch, by whichever coordinator comes first.
//!
//! Every coordinator is woken by a deletion, wherever it was ordered, and the database gives a tenant's next batch to one of them
//! at a time. The others look again from time to time until all is done, so that a coordinator that dies in the middle of it is
//! replaced in seconds. With nothing to delete nobody asks.

use std::{sync::Arc, time::Duration};

use roost_model::causes;
use roost_store::{ClusterChange, DeletionBatch, Store};
use tokio::{
    sync::{
        Notify,
        broadcast::{Receiver, error::RecvError},
    },
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// From one look at what another process has in hand, or after a failure, to the next.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// From one look without a notification to the next: one may have been lost.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// The removals of this process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Deletions {
    begun_here: Arc<Notify>,
}

impl Deletions {
    /// A tenant was deleted by this process, which need not wait to be told by the database.
    pub(super) fn begun(&self) {
        self.begun_here.notify_one();
    }

    /// Goes on with what an earlier process has left, and then with each deletion, until stopped.
    pub async fn run(&self, store: Store, stop: CancellationToken) {
        let mut changes = store.cluster_changes();
        let removing = async {
            loop {
                remove_all(&store).await;
                let told = async {
                    tokio::select! {
                        () = self.begun_here.notified() => {}
                        () = heard(&mut changes) => {}
                    }
                };
                // An error is the timeout's: it is time to look all the same.
                let _told = timeout(LOOK_EVERY, told).await;
            }
        };
        stop.run_until_cancelled(removing).await;
    }
}

async fn remove_all(store: &Store) {
    let mut failed = false;
    loop {
        match store.delete_next_batch().await {
            Ok(DeletionBatch::Nothing) => return,
            Ok(DeletionBatch::Removed { rows }) => tracing::debug!(rows, "removed rows of a deleted tenant"),
            Ok(DeletionBatch::Finished { tenant }) => {
                tracing::info!(%tenant, "all of the deleted tenant is removed")
            }
            Ok(DeletionBatch::Elsewhere) => sleep(RETRY_AFTER).await,
            Err(error) => {
                if !std::mem::replace(&mut failed, true) {
                    tracing::warn!(error = %causes(&error), "what a deleted tenant left is not removed yet, trying again");
                }
                sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// Resolves at a deletion, or when one may have been missed.
async fn heard(changes: &mut Receiver<ClusterChange>) {
    loop {
        match changes.recv().await {
            Ok(ClusterChange::Deletion) | Err(RecvError::Lagged(_)) => return,
            Ok(_other) => {}
            // The store is going down with the coordinator.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

//! What is kept for a time only is removed here, on the hour's round of every coordinator: the database bounds each round
//! and lets several at once do no harm, so nobody has to be chosen for it.

use std::time::Duration;

use roost_model::causes;
use roost_store::Store;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(3_600);

/// Purges at once and then every hour, until stopped.
pub async fn run(store: Store, stop: CancellationToken) {
    let mut round = interval(EVERY);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let purging = async {
        loop {
            round.tick().await;
            match store.purge().await {
                Ok(purged) => tracing::info!(?purged, "removed what is older than it is kept"),
                // The next round does the work of this one.
                Err(error) => tracing::warn!(error = %causes(&error), "could not remove what is old"),
            }
        }
    };
    stop.run_until_cancelled(purging).await;
}

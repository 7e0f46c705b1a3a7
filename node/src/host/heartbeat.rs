//! The flush of `last_seen_at`: one statement per node and interval, for the workers whose pages have proved themselves
//! since the last one. A worker without fresh evidence is left out, and that is how its silence is noticed.

use std::{sync::Arc, time::Instant};

use roost_cluster::timing::Timing;
use roost_model::causes;
use roost_store::Heartbeat;
use tokio::time::MissedTickBehavior;

use super::{ownership::RegistryOwnership, worker_table::WorkerTable};
use crate::{
    env::NodeEnv,
    worker::{OwnershipCheck, StopMode},
};

/// Runs for as long as this life of the node.
pub(super) async fn run(
    env: Arc<NodeEnv>,
    workers: WorkerTable,
    ownership: Arc<RegistryOwnership>,
    timing: Timing,
) {
    let mut ticks = tokio::time::interval(timing.heartbeat_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let usages = env.resources.usages();
        let seen = workers.seen_within(timing.heartbeat_every).into_iter();
        let (seen, workers): (Vec<_>, Vec<_>) = seen
            .map(|(fence, proof, worker)| {
                let usage = usages.get(&fence.tenant).copied();
                let messages_per_minute = worker.messages_per_minute();
                let sends = worker.send_figures();
                let evident_for = proof.evident_for(timing.heartbeat_every, Instant::now());
                (Heartbeat { fence, usage, messages_per_minute, evident_for, sends }, worker)
            })
            .unzip();
        if seen.is_empty() {
            continue;
        }
        let refused = match env.store.heartbeat(&seen).await {
            Ok(refused) => refused,
            Err(error) => {
                tracing::warn!(error = %causes(&error), workers = seen.len(), "the heartbeat was not written");
                env.symptoms.database_failed();
                continue;
            }
        };
        for worker in workers.iter().filter(|worker| refused.contains(worker.tenant())) {
            // A newer generation may be on its way to this very node; only the registry knows.
            match ownership.still_owner(worker.tenant(), worker.generation()).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(tenant = %worker.tenant(), generation = %worker.generation(), "a worker outlived its ownership");
                    worker.stop(StopMode::Kill).await;
                }
                Err(error) => {
                    tracing::warn!(error = %causes(&error), tenant = %worker.tenant(), "a refused heartbeat is unexplained")
                }
            }
        }
    }
}

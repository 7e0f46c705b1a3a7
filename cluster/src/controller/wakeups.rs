//! What wakes the controller: a change in the registry that it has not seen, a change in the ledger, the timer.

use std::{sync::Arc, time::Duration};

use roost_model::ids::Revision;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use crate::{
    keys,
    ledger::Ledger,
    registry::{RegistryError, SharedRegistry},
    timing::Timing,
};

/// Listens until it is dropped.
pub(super) struct Wakeups {
    latest: watch::Receiver<Revision>,
    ledger_changed: Arc<Notify>,
    reconcile_every: Duration,
    coalesce: Duration,
    /// Aborted when dropped.
    _listeners: JoinSet<()>,
}

impl Wakeups {
    pub(super) fn new(registry: SharedRegistry, ledger: Arc<dyn Ledger>, timing: Timing) -> Self {
        let (sender, latest) = watch::channel(Revision::default());
        let ledger_changed = Arc::new(Notify::new());
        let mut listeners = JoinSet::new();
        listeners.spawn(follow_registry(registry, timing.watch_retry, sender));
        listeners.spawn(follow_ledger(ledger, timing.coalesce, ledger_changed.clone()));
        let Timing { reconcile_every, coalesce, .. } = timing;
        Self { latest, ledger_changed, reconcile_every, coalesce, _listeners: listeners }
    }

    /// Resolves a moment after something has changed since `seen`, so that what comes together is seen together; at
    /// the latest after `recheck_after`.
    pub(super) async fn after(&mut self, seen: Revision, recheck_after: Option<Duration>) {
        let at_the_latest = recheck_after.map_or(self.reconcile_every, |span| span.min(self.reconcile_every));
        tokio::select! {
            // In order, so that a simulation of the same seed is the same.
            biased;
            // An error means that the listener is gone, which it is only together with this.
            Ok(_) = self.latest.wait_for(|latest| *latest > seen) => {}
            () = self.ledger_changed.notified() => {}
            () = tokio::time::sleep(at_the_latest) => return,
        }
        tokio::time::sleep(self.coalesce).await;
    }
}

/// Keeps `latest` at the revision of the last change that was heard of; begins anew whenever a watch ends.
async fn follow_registry(registry: SharedRegistry, retry: Duration, latest: watch::Sender<Revision>) {
    loop {
        // A watch's end is no news here: the pass that fails for the same reason reports it.
        if let Err(error) = follow_one_watch(&registry, &latest).await {
            tracing::debug!(%error, "the controller's watch could not be started");
        }
        tokio::time::sleep(retry).await;
    }
}

async fn follow_one_watch(
    registry: &SharedRegistry,
    latest: &watch::Sender<Revision>,
) -> Result<(), RegistryError> {
    let now = registry.list(keys::LEADER).await?.revision;
    let mut changes = registry.watch(keys::ALL, now).await?;
    // What happened while there was no watch is in no batch, but it is older than this.
    latest.send_replace(now);
    while let Some(batch) = changes.recv().await {
        if let Some(newest) = batch.iter().map(crate::registry::Change::revision).max() {
            latest.send_replace(newest);
        }
    }
    Ok(())
}

async fn follow_ledger(ledger: Arc<dyn Ledger>, pause: Duration, changed: Arc<Notify>) {
    loop {
        ledger.changed().await;
        changed.notify_one();
        tokio::time::sleep(pause).await;
    }
}

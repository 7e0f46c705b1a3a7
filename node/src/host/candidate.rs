//! The node as a candidate of last resort: a failover must not need a coordinator to be up.
//!
//! Coordinators stand as soon as there is no leader; a node stands only once there has been none for a whole TTL, and it
//! does not stand again when its term has ended. Waiting costs nothing: it watches the leader's key.

use std::{sync::Arc, time::Duration};

use roost_cluster::{
    controller::{Controller, ControllerConfig},
    election, keys,
    records::LeaderRecord,
    registry::{Change, RegistryError, SharedRegistry},
    timing::Timing,
};
use roost_model::{causes, ids::NodeId};
use roost_store::{PostgresLedger, Store};
use tokio_util::sync::CancellationToken;

pub(super) struct Candidate {
    pub(super) registry: SharedRegistry,
    pub(super) store: Store,
    pub(super) node: NodeId,
    /// The cluster's name.
    pub(super) cluster: String,
    pub(super) timing: Timing,
    /// A worker that has not been seen for this long is marked ERROR.
    pub(super) stale_after: Duration,
    /// How much of etcd's history is kept; none where somebody else compacts it.
    pub(super) etcd_history: Option<Duration>,
}

impl Candidate {
    /// Returns when `stop` is cancelled and a term, if there was one, has been resigned.
    pub(super) async fn run(self, stop: CancellationToken) {
        while let Some(vacancy) = stop.run_until_cancelled(self.long_vacancy()).await {
            match vacancy {
                Ok(()) => {
                    // Of a thousand nodes one is to stand.
                    let turn = election::stagger(&self.holder(), self.timing.ttl);
                    stop.run_until_cancelled(tokio::time::sleep(turn)).await;
                    if !matches!(self.registry.get(keys::LEADER).await, Ok(None)) {
                        continue;
                    }
                    tracing::warn!("no coordinator leads; this node stands as the controller");
                    self.stand(stop.child_token()).await;
                }
                Err(error) => {
                    tracing::debug!(error = %causes(&error), "the leader's key cannot be followed now")
                }
            }
            stop.run_until_cancelled(tokio::time::sleep(self.timing.candidate_retry)).await;
        }
    }

    /// Resolves when nobody has led for a whole TTL.
    async fn long_vacancy(&self) -> Result<(), RegistryError> {
        let seen = self.registry.read(keys::LEADER).await?;
        let mut watch = self.registry.watch_key(keys::LEADER, seen.revision).await?;
        let mut is_vacant = seen.entry.is_none();
        loop {
            let changes = if is_vacant {
                match tokio::time::timeout(self.timing.ttl, watch.recv()).await {
                    Ok(changes) => changes,
                    Err(_) => return Ok(()),
                }
            } else {
                watch.recv().await
            };
            let Some(changes) = changes else {
                let reason = "the watch ended".to_owned();
                return Err(RegistryError::Unavailable { step: "watch the leader", reason });
            };
            is_vacant = changes.last().map_or(is_vacant, |change| matches!(change, Change::Delete { .. }));
        }
    }

    fn holder(&self) -> String {
        format!("node/{}", self.node)
    }

    /// One term at most: the controller stands again by itself, but a coordinator comes first.
    async fn stand(&self, token: CancellationToken) {
        let candidate = LeaderRecord { holder: self.holder(), address: String::new() };
        let config = ControllerConfig {
            etcd_history: self.etcd_history,
            ..ControllerConfig::new(&self.cluster, self.timing, candidate, self.stale_after)
        };
        // Made here, for it listens to Postgres on a connection of its own.
        let ledger = Arc::new(PostgresLedger::new(self.store.clone()));
        let controller = Controller::new(self.registry.clone(), ledger, config);
        let mut status = controller.status();
        let term = async {
            let elected = status.wait_for(|status| status.leading);
            if tokio::time::timeout(self.timing.ttl, elected).await.is_ok() {
                // An error means that the controller has returned.
                let _over = status.wait_for(|status| !status.leading).await;
            }
            token.cancel();
        };
        tokio::join!(controller.run(token.clone()), term);
    }
}

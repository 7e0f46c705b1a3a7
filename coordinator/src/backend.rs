//! What the services stand on, either part of which may be away at any time.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use roost_cluster::registry::SharedRegistry;
use roost_proto::error::ApiError;
use roost_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::fault::{RETRY_AFTER, causes, not_migrated};

/// Cheap to clone.
#[derive(Clone)]
pub struct Backend {
    store: Store,
    registry: SharedRegistry,
    migrated: Arc<AtomicBool>,
}

impl Backend {
    /// Nothing is connected to yet.
    pub fn new(store: Store, registry: SharedRegistry) -> Self {
        Self { store, registry, migrated: Arc::default() }
    }

    /// The database, once it has been found to have this program's schema: before that a query would fail on a table
    /// that is missing, which is no answer to give to a caller.
    pub fn store(&self) -> Result<&Store, ApiError> {
        if self.migrated.load(Ordering::Acquire) { Ok(&self.store) } else { Err(not_migrated()) }
    }

    pub fn registry(&self) -> &SharedRegistry {
        &self.registry
    }

    /// Brings the schema up to date as soon as Postgres can be reached, and opens the database to all. None when
    /// stopped before.
    pub async fn migrated(&self, stop: CancellationToken) -> Option<Store> {
        let mut told = None;
        loop {
            let attempt = tokio::select! {
                attempt = self.store.migrate() => attempt,
                () = stop.cancelled() => return None,
            };
            let Err(error) = attempt else { break };
            let reason = causes(&error);
            if told.as_ref() != Some(&reason) {
                // Being away passes by itself; anything else needs a person.
                if matches!(error, StoreError::Unavailable { .. }) {
                    tracing::warn!(reason, "cannot reach the database, trying again");
                } else {
                    tracing::error!(reason, "cannot bring the database's schema up to date, trying again");
                }
                told = Some(reason);
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY_AFTER) => {}
                () = stop.cancelled() => return None,
            }
        }
        self.migrated.store(true, Ordering::Release);
        tracing::info!("database schema up to date");
        Some(self.store.clone())
    }
}

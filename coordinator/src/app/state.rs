//! What every order and question stands on: the database and the registry, either of which may be away at any time.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use roost_cluster::{
    controller::{Survey, SurveyError, survey},
    registry::SharedRegistry,
};
use roost_model::causes;
use roost_store::{Change, ClusterChange, PostgresLedger, Store, StoreError};
use tokio::sync::broadcast::Receiver;
use tokio_util::sync::CancellationToken;

use super::{
    Error, FailedMigration,
    complaints::OwnController,
    deletions::Deletions,
    waiting_tenants::WaitingTenants,
    watch::{Feeds, Streams},
};
use crate::node_rpc::NodeRpc;

/// From one attempt to bring the schema up to date to the next.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Takes orders and answers questions. Cheap to clone.
#[derive(Clone)]
pub struct App {
    store: Store,
    registry: SharedRegistry,
    migrated: Arc<AtomicBool>,
    /// Until it is.
    failed_migration: Arc<Mutex<Option<FailedMigration>>>,
    controller: Arc<OnceLock<OwnController>>,
    /// What surveys read, kept so that each reads what has changed since the last.
    ledger: Arc<OnceLock<PostgresLedger>>,
    pub(super) deletions: Deletions,
    pub(super) waiting_tenants: WaitingTenants,
    pub(super) feeds: Feeds,
    pub(super) streams: Streams,
    pub(super) node_rpc: Arc<NodeRpc>,
}

impl App {
    /// Nothing is connected to yet. `stop` ends every stream.
    pub fn new(store: Store, registry: SharedRegistry, node_rpc: NodeRpc, stop: CancellationToken) -> Self {
        Self {
            store,
            registry,
            migrated: Arc::default(),
            failed_migration: Arc::default(),
            controller: Arc::default(),
            ledger: Arc::default(),
            deletions: Deletions::default(),
            waiting_tenants: WaitingTenants::new(),
            feeds: Feeds::default(),
            streams: Streams::new(stop),
            node_rpc: Arc::new(node_rpc),
        }
    }

    /// The database, once it has been found to have this program's schema: before that a query would fail on a table
    /// that is missing, which is no answer to give to a caller.
    pub(super) fn store(&self) -> Result<&Store, Error> {
        if self.migrated.load(Ordering::Acquire) {
            Ok(&self.store)
        } else {
            Err(Error::NotMigrated(self.failed_migration.lock().clone()))
        }
    }

    /// This process's controller, which begins once the schema is up to date.
    pub fn set_controller(&self, own: OwnController) {
        self.controller.set(own).unwrap_or_else(|_| unreachable!("a process has one controller"));
    }

    pub(super) fn own_controller(&self) -> Option<&OwnController> {
        self.controller.get()
    }

    /// All that callers follow, together.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Hints of changes, to tenants and to the cluster; see [`roost_store::Change`].
    pub fn changes(&self) -> (Receiver<Change>, Receiver<ClusterChange>) {
        (self.store.changes(), self.store.cluster_changes())
    }

    /// What this process is to do about tenants that were deleted.
    pub fn deletions(&self) -> &Deletions {
        &self.deletions
    }

    pub fn registry(&self) -> &SharedRegistry {
        &self.registry
    }

    /// The cluster as it is now, registry and ledger together: what orders are checked against.
    pub(super) async fn survey(&self) -> Result<Survey, Error> {
        // etcd first: without both there is no answer, and this one is found to be away sooner.
        let store = self.store()?;
        let ledger = self.ledger.get_or_init(|| PostgresLedger::new(store.clone()));
        survey(self.registry().as_ref(), ledger).await.map_err(|error| match error {
            SurveyError::Registry(error) => error.into(),
            SurveyError::Ledger(error) => error.into(),
        })
    }

    /// Brings the schema up to date as soon as Postgres can be reached, and opens the database to all. None when
    /// stopped before. An error is one that no waiting mends.
    pub async fn migrated(&self, stop: CancellationToken) -> Result<Option<Store>, StoreError> {
        loop {
            let attempt = tokio::select! {
                attempt = self.store.migrate() => attempt,
                () = stop.cancelled() => return Ok(None),
            };
            let Err(error) = attempt else { break };
            if error.is_final() {
                return Err(error);
            }
            // Being away passes by itself; anything else needs a person.
            let is_away = matches!(error, StoreError::Unavailable { .. });
            let failed = Some(FailedMigration { is_away, reason: causes(&error).to_string() });
            if *self.failed_migration.lock() != failed {
                if is_away {
                    tracing::warn!(error = %causes(&error), "cannot reach the database, trying again");
                } else {
                    tracing::error!(
                        error = %causes(&error),
                        "cannot bring the database's schema up to date: see to what it says; trying again"
                    );
                }
                *self.failed_migration.lock() = failed;
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY_AFTER) => {}
                () = stop.cancelled() => return Ok(None),
            }
        }
        self.migrated.store(true, Ordering::Release);
        tracing::info!("database schema up to date");
        Ok(Some(self.store.clone()))
    }
}

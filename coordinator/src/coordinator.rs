//! A coordinator from start to stop.
//!
//! Five things run: the server, the health checks, the migration of the schema, and, from its success on, the controller
//! and the retention. They share one token to stop. Stopping is a hand-over: streams end so that their callers go elsewhere,
//! the controller resigns so that another takes over at once and not after a lease, calls under way are finished.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use roost_cluster::{
    controller::{Controller, ControllerConfig},
    records::LeaderRecord,
    registry::{EtcdRegistry, RegistryError},
};
use roost_store::{PostgresLedger, Store, StoreError};
use secrecy::ExposeSecret;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tonic_health::server::HealthReporter;

use crate::{
    announce,
    app::{
        App, retention,
        tokens::{TokenFile, TokenFileError},
    },
    config::Config,
    grpc::{self, AuthLayer, ServeError, health},
};

/// Connections to Postgres, beside the one that listens. A call that finds none free for 3 s is told UNAVAILABLE.
const CONNECTIONS: u32 = 16;
/// How long calls under way and the resignation may take after the order to stop.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    #[error(transparent)]
    Database(#[from] StoreError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("cannot listen on {addr}")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error("cannot write the announcement {}", path.display())]
    Announce { path: PathBuf, source: io::Error },
}

#[derive(Debug, thiserror::Error)]
pub enum StopError {
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the server's task failed")]
    Task(#[from] tokio::task::JoinError),
}

/// A running coordinator; dropping it stops it without waiting.
pub struct Coordinator {
    addr: SocketAddr,
    server: JoinHandle<Result<(), ServeError>>,
    background: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Coordinator {
    /// Serves. Neither Postgres nor etcd need be up; what fails here is wrong in the configuration.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let tokens = TokenFile::open(&config.token_file)?;
        let store = Store::connect_lazy(config.database_url.expose_secret(), CONNECTIONS)?;
        let registry =
            EtcdRegistry::connect(&config.etcd, config.cluster.as_str(), config.lease_ttl.request_timeout)
                .await?;
        let stop = CancellationToken::new();
        let app = App::new(store, Arc::new(registry), stop.clone());
        let listen = |source| StartError::Listen { addr: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;

        let background = TaskTracker::new();
        let health = HealthReporter::new();
        health::begin(&health).await;
        background.spawn(health::run(health.clone(), app.clone(), stop.clone()));
        background.spawn(control(app.clone(), controller_config(&config, addr), stop.clone()));
        let auth = AuthLayer::new(tokens);
        let server = tokio::spawn(grpc::serve(listener, app, auth, health, stop.clone().cancelled_owned()));
        let running = Self { addr, server, background, _stop_on_drop: stop.clone().drop_guard(), stop };

        if let Some(path) = config.announce {
            announce::write(&path, addr).map_err(|source| StartError::Announce { path, source })?;
        }
        tracing::info!(id = config.id, cluster = %config.cluster, %addr, "coordinator serving");
        Ok(running)
    }

    /// Where it serves.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resolves when the server has ended, which it does by itself only in failure.
    pub async fn ended(&mut self) -> Result<(), StopError> {
        Ok((&mut self.server).await??)
    }

    /// Hands over and ends. What does not end within ten seconds is cut off.
    pub async fn stop(mut self) -> Result<(), StopError> {
        tracing::info!("coordinator stopping");
        let deadline = Instant::now() + GRACE;
        self.stop.cancel();
        self.background.close();
        if timeout_at(deadline, self.background.wait()).await.is_err() {
            tracing::warn!("the controller has not resigned in time, its lease will end by itself");
        }
        match timeout_at(deadline, &mut self.server).await {
            Ok(ended) => ended??,
            Err(_elapsed) => {
                tracing::warn!("calls under way are cut off");
                self.server.abort();
            }
        }
        tracing::info!("coordinator stopped");
        Ok(())
    }
}

fn controller_config(config: &Config, addr: SocketAddr) -> ControllerConfig {
    let candidate = LeaderRecord { holder: format!("coordinator/{}", config.id), address: addr.to_string() };
    let etcd_history = Some(config.etcd_history).filter(|history| !history.is_zero());
    ControllerConfig {
        etcd_history,
        ..ControllerConfig::new(config.lease_ttl, candidate, config.stale_after)
    }
}

/// The controller needs the ledger's tables, so it stands for election when they are there and not before: one that
/// cannot act must not keep the place from one that can. So do the rounds of the retention.
async fn control(app: App, config: ControllerConfig, stop: CancellationToken) {
    let Some(store) = app.migrated(stop.clone()).await else { return };
    let ledger = Arc::new(PostgresLedger::new(store.clone()));
    let controller = Controller::new(app.registry().clone(), ledger, config);
    tokio::join!(controller.run(stop.clone()), retention::run(store, stop));
}

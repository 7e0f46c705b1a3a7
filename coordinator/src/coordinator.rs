//! A coordinator from start to stop.
//!
//! Eight things run: the servers, the look at what it stands on, the faces of that, the look for those who follow workers, the one at the tokens of streams, the migration of the schema, and, from its
//! success on, the controller and the retention. They share one token to stop. Stopping is a hand-over: streams end so that their callers go elsewhere,
//! the controller resigns so that another takes over at once and not after a lease, calls under way are finished.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use roost_cluster::{
    controller::{Controller, ControllerConfig},
    records::LeaderRecord,
    registry::{EtcdAccessError, EtcdRegistry, RegistryError},
};
use roost_model::causes;
use roost_store::{PostgresLedger, Store, StoreError};
use roost_tls::ServerTls;
use secrecy::ExposeSecret;
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tonic_health::server::HealthReporter;

use crate::{
    announce::{self, Addresses},
    app::{
        App, OwnController,
        access::{
            Access,
            token_file::{TokenFile, TokenFileError},
        },
        health,
        people::{PortalAddress, SecretsKey, SecretsKeyError},
        retention, waiting_look,
    },
    config::Config,
    grpc::{self, Calls, ServeError},
    http::{
        self,
        json::{JsonApi, JsonApiError},
        site::Site,
    },
    legacy::{self, Legacy, PortalKey, PortalKeyError},
    oidc::{OidcSettings, OidcSettingsError, Provider},
    portal::{self, Portal, TemplateError},
    transport::{self, Certificates, TransportError},
};

/// How long calls under way and the resignation may take after the order to stop.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    #[error(transparent)]
    PortalKey(#[from] PortalKeyError),
    #[error(transparent)]
    SecretsKey(#[from] SecretsKeyError),
    #[error(transparent)]
    Oidc(#[from] OidcSettingsError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Database(#[from] StoreError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    EtcdAccess(#[from] EtcdAccessError),
    #[error("cannot listen on {addr}")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error(transparent)]
    Calls(#[from] ServeError),
    #[error(transparent)]
    JsonApi(#[from] JsonApiError),
    #[error(transparent)]
    Portal(#[from] TemplateError),
    #[error("cannot write the announcement {}", path.display())]
    Announce { path: PathBuf, source: io::Error },
}

impl StartError {
    /// Starting again would end the same way: the settings are wrong.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Tokens(_)
            | Self::PortalKey(_)
            | Self::SecretsKey(_)
            | Self::Oidc(_)
            | Self::Transport(_)
            | Self::Database(_)
            | Self::Registry(_)
            | Self::EtcdAccess(_)
            | Self::Calls(_)
            | Self::JsonApi(_)
            | Self::Portal(_) => true,
            Self::Listen { .. } | Self::Announce { .. } => false,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// At its first answer the database or etcd was found to be one that cannot be used with these settings.
    #[error(transparent)]
    Unusable(#[from] StartError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the server's task failed")]
    Task(#[from] tokio::task::JoinError),
}

/// A running coordinator; dropping it stops it without waiting.
pub struct Coordinator {
    addresses: Addresses,
    server: JoinHandle<Result<(), ServeError>>,
    background: TaskTracker,
    unusable: mpsc::Receiver<StartError>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Coordinator {
    /// Serves. Neither Postgres nor etcd need be up; what fails here is wrong in the configuration.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let tokens = TokenFile::open(&config.token_file)?;
        let portal_key = PortalKey::open(&config.legacy)?;
        let secrets_key = config.secrets_key_file.as_deref().map(SecretsKey::from_file).transpose()?;
        let oidc = OidcSettings::open(&config.oidc)?;
        let (url, password_file) =
            (config.database_url.expose_secret(), config.database_password_file.clone());
        let store = Store::connect_lazy_with(url, password_file, config.database_connections)?;
        let registry = Arc::new(connect(&config).await?);
        let certificates = Certificates::open(&config.transport, config.listen, config.http_listen)?;
        let node_rpc = transport::node_rpc(&config.transport, certificates.rpc.clone())?;
        let stop = CancellationToken::new();
        let app = App::new(store, registry.clone(), node_rpc, stop.clone());
        let (listener, addr) = listen(config.listen).await?;
        let (health_listener, health_addr) = listen_if(config.health_listen).await?;
        let (http_listener, http_addr) = listen_if(config.http_listen).await?;
        let addresses = Addresses { addr, health_addr, http_addr };

        let background = TaskTracker::new();
        let (found, looking) =
            health::watch(app.clone(), config.lease_ttl, certificates.clone(), stop.clone());
        background.spawn(looking);
        let health = HealthReporter::new();
        grpc::health::begin(&health).await;
        background.spawn(grpc::health::run(health.clone(), found.clone()));
        if let Some(listener) = health_listener {
            background.spawn(stop.clone().run_until_cancelled_owned(http::health::serve(listener, found)));
        }
        background.spawn(waiting_look::run(app.clone(), stop.clone()));
        let (tell, unusable) = mpsc::channel(1);
        background.spawn(control(app.clone(), controller_config(&config, addr), tell.clone(), stop.clone()));
        background.spawn(meet(registry, config.lease_ttl.watch_retry, tell, stop.clone()));
        let access = Arc::new(Access::new(tokens, app.clone()));
        background.spawn(access.clone().run(stop.clone()));
        let address = http_addr.and_then(|addr| {
            config.public_url.or_else(|| PortalAddress::of_loopback(addr, certificates.admin.is_some()))
        });
        let calls = Calls::new(app.clone(), access.clone(), health, address.clone(), secrets_key.is_some())?;
        let site = match http_listener {
            Some(listener) => {
                let legacy = Arc::new(Legacy::new(app.clone(), access.clone(), portal_key));
                background.spawn(legacy.clone().run(stop.clone()));
                Some((listener, site(&calls, legacy, address, secrets_key, oidc)?))
            }
            None => None,
        };
        let server = tokio::spawn(serve(listener, site, certificates.admin, calls, stop.clone()));
        let running =
            Self { addresses, server, background, unusable, _stop_on_drop: stop.clone().drop_guard(), stop };

        if let Some(path) = config.announce {
            announce::write(&path, addresses).map_err(|source| StartError::Announce { path, source })?;
        }
        tracing::info!(id = config.id, cluster = %config.cluster, %addr, "coordinator serving");
        Ok(running)
    }

    /// Where it serves.
    pub fn addr(&self) -> SocketAddr {
        self.addresses.addr
    }

    /// Where it tells its health in HTTP.
    pub fn health_addr(&self) -> Option<SocketAddr> {
        self.addresses.health_addr
    }

    /// Where it serves in JSON over HTTP.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.addresses.http_addr
    }

    /// Resolves when the server has ended, which it does by itself only in failure, or when it is found to be of no use.
    pub async fn ended(&mut self) -> Result<(), StopError> {
        tokio::select! {
            ended = &mut self.server => Ok(ended??),
            Some(error) = self.unusable.recv() => Err(error.into()),
        }
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

async fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn listen_if(
    addr: Option<SocketAddr>,
) -> Result<(Option<TcpListener>, Option<SocketAddr>), StartError> {
    match addr {
        Some(addr) => listen(addr).await.map(|(listener, addr)| (Some(listener), Some(addr))),
        None => Ok((None, None)),
    }
}

/// What is served over HTTP.
fn site(
    calls: &Calls,
    legacy: Arc<Legacy>,
    address: Option<PortalAddress>,
    secrets_key: Option<SecretsKey>,
    oidc: Option<OidcSettings>,
) -> Result<Site, StartError> {
    let (app, access) = (legacy.app.clone(), legacy.access.clone());
    let portal = address.map(|address| {
        let provider = oidc.map(|oidc| Provider::new(oidc, address.oidc_callback())).transpose()?;
        Ok::<_, StartError>(Portal::new(app, access, address, secrets_key, provider)?)
    });
    let portal = portal.transpose()?;
    Ok(Site::new(JsonApi::new(calls.clone())?, Some(legacy::routes(legacy)), portal.map(portal::routes)))
}

/// Every face of the calls, until the order to stop.
async fn serve(
    listener: TcpListener,
    site: Option<(TcpListener, Site)>,
    tls: Option<ServerTls>,
    calls: Calls,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let http_tls = tls.as_ref().map(ServerTls::http1);
    let http = async {
        if let Some((listener, site)) = site {
            http::server::serve(listener, http_tls, site, stop.clone()).await;
        }
        Ok(())
    };
    let grpc = grpc::serve(listener, tls, calls, stop.clone().cancelled_owned());
    tokio::try_join!(grpc, http).map(drop)
}

fn controller_config(config: &Config, addr: SocketAddr) -> ControllerConfig {
    let candidate = LeaderRecord { holder: format!("coordinator/{}", config.id), address: addr.to_string() };
    let etcd_history = Some(config.etcd_history).filter(|history| !history.is_zero());
    ControllerConfig {
        etcd_history,
        adopt_store: config.adopt_store,
        ..ControllerConfig::new(config.cluster.as_str(), config.lease_ttl, candidate, config.stale_after)
    }
}

/// The controller needs the ledger's tables, so it stands for election when they are there and not before: one that
/// cannot act must not keep the place from one that can. So do the rounds of the retention and the
/// removal of what deleted tenants leave.
async fn control(
    app: App,
    config: ControllerConfig,
    unusable: mpsc::Sender<StartError>,
    stop: CancellationToken,
) {
    let store = match app.migrated(stop.clone()).await {
        Ok(Some(store)) => store,
        Ok(None) => return,
        Err(error) => return tell(&unusable, error.into()),
    };
    let ledger = Arc::new(PostgresLedger::new(store.clone()));
    let holder = config.candidate.holder.clone();
    let controller = Controller::new(app.registry().clone(), ledger, config);
    app.set_controller(OwnController { holder, status: controller.status() });
    tokio::join!(
        controller.run(stop.clone()),
        retention::run(store.clone(), stop.clone()),
        app.deletions().run(store, stop)
    );
}

/// Waits for etcd's first answer.
async fn meet(
    registry: Arc<EtcdRegistry>,
    retry: Duration,
    unusable: mpsc::Sender<StartError>,
    stop: CancellationToken,
) {
    if let Some(Err(error)) = stop.run_until_cancelled(registry.until_answered(retry)).await {
        tell(&unusable, error.into());
    }
}

/// One is enough to end for.
fn tell(unusable: &mpsc::Sender<StartError>, error: StartError) {
    if let Err(mpsc::error::TrySendError::Full(error) | mpsc::error::TrySendError::Closed(error)) =
        unusable.try_send(error)
    {
        tracing::error!(error = %causes(&error), "one more thing that cannot be used");
    }
}

async fn connect(config: &Config) -> Result<EtcdRegistry, StartError> {
    let access = config.etcd_access.open(&config.etcd)?;
    let (cluster, timeout) = (config.cluster.as_str(), config.lease_ttl.request_timeout);
    Ok(EtcdRegistry::connect_by(&config.etcd, cluster, timeout, access).await?)
}

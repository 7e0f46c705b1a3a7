//! The node's work: it registers, hosts the tenants that are assigned to it, and hands them over when it is asked to stop.
//!
//! ```text
//!  etcd                      this module                                     Postgres
//!  nodes/, acks/   <-- registration, acks (held before launched)
//!  lease           <-- keepalive ----> standing ----> every worker
//!                          '---------> guard (deadline)
//!  assignments/    --> assignments --> supervisor --> tenure --> Worker  <-- worker_spec
//!                                                       '--> roster --> heartbeat --> last_seen_at
//! ```
//!
//! A process may have several lives: when its lease is lost it kills what it hosts and registers anew, empty-handed, as
//! another incarnation ([`life`]). Nothing of one life reaches into the next.

mod acks;
mod assignments;
mod candidate;
mod heartbeat;
mod keepalive;
mod life;
mod ownership;
mod reconcile;
mod registration;
pub mod roster;
mod supervisor;
mod sweeps;
mod tenure;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use roost_cluster::{
    ids::{Incarnation, NodeId},
    records::NodeRecord,
    registry::{EtcdRegistry, RegistryError, SharedRegistry},
};
use roost_store::{Store, StoreError};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{EngineConfig, NodeConfig},
    engine::{
        BrowserLedger, Engine, EngineError,
        null::NullEngine,
        web::{Launcher, WebConfig, WebEngine},
    },
    guard::GuardLink,
    health::{self, Board},
};
use candidate::Candidate;
use life::{Ended, Parts};
use roster::Roster;
use sweeps::Sweeper;

/// Connections to Postgres of one node: its workers' writes are short and come in batches.
const DATABASE_CONNECTIONS: u32 = 8;

/// Why a node ended.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Two nodes of one name would take each other's tenants for their own.
    #[error(
        "the node id {node} is in use by a live node at {address}: give this one another --id, or stop that one"
    )]
    NameInUse { node: NodeId, address: String },
    #[error("the registry cannot be used")]
    Registry(#[from] RegistryError),
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    #[error("the engine cannot be used")]
    Engine(#[from] EngineError),
    #[error("--listen {address} cannot be served")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("--announce {path} cannot be written", path = path.display())]
    Announce { path: PathBuf, source: io::Error },
    #[error("this program does not find itself")]
    Myself(#[source] io::Error),
    #[error("the signals cannot be received")]
    Signals(#[source] io::Error),
}

impl HostError {
    /// Starting again would end the same way.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::NameInUse { .. })
    }
}

/// Runs the node until it is asked to stop (SIGTERM, SIGINT) or cannot go on. `guard` is the process that announces it.
pub async fn run(config: NodeConfig, link: GuardLink, guard: i32) -> Result<(), HostError> {
    let stop = stop_on_signals()?;
    let (timing, args) = (config.timing, &config.args);
    let registry: SharedRegistry =
        Arc::new(EtcdRegistry::connect(&args.etcd, args.cluster.as_str(), timing.request_timeout).await?);
    let store = Store::connect_lazy(args.database_url.expose(), DATABASE_CONNECTIONS)?;
    let link = Arc::new(link);
    let roster = Roster::default();
    let board = Board::new(args.id.clone(), roster.clone());
    let (listener, address) = listen(args.listen).await?;
    let parts = Parts {
        registry: registry.clone(),
        store: store.clone(),
        engine: engine(&config, link.clone())?,
        vault: config.vault.clone(),
        profiles: config.profiles.clone(),
        launches: Arc::new(Semaphore::new(args.max_launches.into())),
        link,
        roster,
        board: board.clone(),
        timing,
    };
    // Ends with this function: dropping it stops them all.
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        if let Err(error) = health::serve(listener, board).await {
            tracing::error!(%error, "health is not served any more");
        }
    });
    let sweeper =
        Sweeper { store: store.clone(), vault: config.vault.clone(), profiles: config.profiles.clone() };
    tasks.spawn(sweeper.run());
    let candidate = Candidate { registry: registry.clone(), store, node: args.id.clone(), timing };
    let candidate_stop = stop.child_token();
    tasks.spawn(candidate.run(candidate_stop));

    let record = record(&config, address);
    let mut announced = false;
    while !stop.is_cancelled() {
        let Some(registration) = registration::register(&registry, &record, &timing, &stop).await? else {
            break;
        };
        tracing::info!(node = %args.id, incarnation = %registration.incarnation(), %address, "registered");
        if !announced && let Some(path) = &args.announce {
            announce(path, guard, address)?;
            announced = true;
        }
        match life::live(&parts, registration, &stop).await {
            Ended::Stopped => break,
            Ended::Lost => tracing::error!("the lease was lost and every browser is dead; registering anew"),
        }
    }
    tracing::info!("stopped");
    Ok(())
}

fn stop_on_signals() -> Result<CancellationToken, HostError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(HostError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(HostError::Signals)?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    Ok(stop)
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), HostError> {
    let failed = |source| HostError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn record(config: &NodeConfig, address: SocketAddr) -> NodeRecord {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    NodeRecord {
        node: config.args.id.clone(),
        // Given by the registration.
        incarnation: Incarnation(0),
        address: address.to_string(),
        capacity: config.args.capacity,
        weight: config.args.weight,
        zone: config.args.zone.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        leaving: false,
        started_at_ms: i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX),
    }
}

/// Whole or not at all, for others wait for it.
fn announce(path: &Path, guard: i32, address: SocketAddr) -> Result<(), HostError> {
    let failed = |source| HostError::Announce { path: path.to_owned(), source };
    let body = serde_json::json!({ "pid": guard, "addr": address.to_string() });
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    fs::write(&unfinished, body.to_string()).map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)
}

/// The engine that was chosen, its browsers announced to the guard.
fn engine(config: &NodeConfig, link: Arc<GuardLink>) -> Result<Arc<dyn Engine>, HostError> {
    match &config.engine {
        EngineConfig::Null => Ok(Arc::new(NullEngine::default())),
        EngineConfig::Web { browser, wa_js } => {
            let launcher = Launcher::this_program().map_err(HostError::Myself)?;
            let config = WebConfig {
                launcher,
                browser: browser.clone(),
                page_url: config.args.page_url.clone(),
                wa_js: wa_js.clone(),
                ledger: link,
            };
            Ok(Arc::new(WebEngine::new(config)?))
        }
    }
}

impl BrowserLedger for GuardLink {
    fn started(&self, pid: u32) {
        self.browser_started(pid);
    }

    fn gone(&self, pid: u32) {
        self.browser_gone(pid);
    }
}

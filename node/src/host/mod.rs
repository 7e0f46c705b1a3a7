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
//! another incarnation (`life`). Nothing of one life reaches into the next.
//!
//! Public are the parts that I1 rests on and that need no database: the simulation in tests runs these very ones.

pub mod acks;
pub mod assignments;
mod candidate;
pub mod crew;
mod heartbeat;
pub mod keepalive;
mod life;
mod ownership;
mod preparation;
pub mod reconcile;
pub mod registration;
pub mod roster;
pub mod serve;
pub mod supervisor;
mod sweeps;
mod tenure;
mod told;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use roost_cluster::{
    clock::BootClock,
    records::NodeRecord,
    registry::{EtcdRegistry, RegistryError},
};
use roost_engine::{
    BrowserLedger, Engine, EngineError,
    launch::RunAs,
    null::NullEngine,
    web::{Launcher, Sandbox, WebConfig, WebEngine},
};
use roost_model::ids::{Incarnation, NodeId};
use roost_store::{Store, StoreError};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{EngineConfig, NodeConfig},
    guard::GuardLink,
    health::{self, Board},
    launches::LaunchQueue,
};
use candidate::Candidate;
use life::Parts;
use roster::Roster;
use serve::Ended;
use sweeps::Sweeper;
use told::Told;

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
    let (listener, address) = listen(config.args.listen).await?;
    let parts = assemble(&config, Arc::new(link)).await?;
    // Ends with this function: dropping it stops them all.
    let mut helpers = JoinSet::new();
    let board = parts.board.clone();
    helpers.spawn(async move {
        if let Err(error) = health::serve(listener, board).await {
            tracing::error!(%error, "health is not served any more");
        }
    });
    let (vault, profiles) = (parts.vault.clone(), parts.profiles.clone());
    let removed = parts.removed.clone();
    helpers.spawn(Sweeper { store: parts.store.clone(), vault, profiles, removed }.run());
    // Not stopped by the signal: while this node hands its tenants over, a controller must place them.
    let stop_standing = CancellationToken::new();
    let registry = Arc::new(Told { registry: parts.registry.clone(), link: parts.link.clone() });
    let node = config.args.id.clone();
    let stale_after = config.args.stale_after;
    let candidate =
        Candidate { registry, store: parts.store.clone(), node, timing: parts.timing, stale_after };
    let candidate = tokio::spawn(candidate.run(stop_standing.clone()));

    let announcement = config.args.announce.as_deref().map(|path| Announcement { path, guard, address });
    live_until_stopped(&parts, &record(&config, address), announcement, &stop).await?;

    stop_standing.cancel();
    // A reign that is not resigned in time ends with its lease.
    let _resigned = tokio::time::timeout(parts.timing.request_timeout * 2, candidate).await;
    tracing::info!("stopped");
    Ok(())
}

/// One life after the other.
async fn live_until_stopped(
    parts: &Parts,
    record: &NodeRecord,
    mut announcement: Option<Announcement<'_>>,
    stop: &CancellationToken,
) -> Result<(), HostError> {
    while let Some(registration) =
        registration::register(&parts.registry, record, &parts.timing, &BootClock, stop).await?
    {
        let incarnation = registration.incarnation();
        tracing::info!(node = %record.node, %incarnation, address = record.address, "registered");
        if let Some(announcement) = announcement.take() {
            announcement.write()?;
        }
        match life::live(parts, registration, stop).await {
            Ended::Stopped => break,
            Ended::Lost => tracing::warn!("the lease was lost and every browser is dead; registering anew"),
        }
    }
    Ok(())
}

async fn assemble(config: &NodeConfig, link: Arc<GuardLink>) -> Result<Parts, HostError> {
    let (args, timing) = (&config.args, config.timing);
    let registry = EtcdRegistry::connect(&args.etcd, args.cluster.as_str(), timing.request_timeout).await?;
    let roster = Roster::default();
    Ok(Parts {
        registry: Arc::new(registry),
        store: Store::connect_lazy(args.database_url.expose(), DATABASE_CONNECTIONS)?,
        engine: engine(config, link.clone()).await?,
        vault: config.vault.clone(),
        profiles: config.profiles.clone(),
        launches: LaunchQueue::new(args.max_launches.into()),
        link,
        removed: Arc::default(),
        board: Board::new(args.id.clone(), roster.clone()),
        roster,
        timing,
    })
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

/// What others wait for: that this node is registered, and where it is.
struct Announcement<'a> {
    path: &'a Path,
    guard: i32,
    address: SocketAddr,
}

impl Announcement<'_> {
    /// Whole or not at all.
    fn write(&self) -> Result<(), HostError> {
        let failed = |source| HostError::Announce { path: self.path.to_owned(), source };
        let body = serde_json::json!({ "pid": self.guard, "addr": self.address.to_string() });
        let mut unfinished = self.path.as_os_str().to_owned();
        unfinished.push(".unfinished");
        fs::write(&unfinished, body.to_string()).map_err(failed)?;
        fs::rename(&unfinished, self.path).map_err(failed)
    }
}

/// The engine that was chosen, its browsers announced to the guard.
async fn engine(config: &NodeConfig, link: Arc<GuardLink>) -> Result<Arc<dyn Engine>, HostError> {
    match &config.engine {
        EngineConfig::Null => Ok(Arc::new(NullEngine::default())),
        EngineConfig::Web { browser, wa_js, run_as } => {
            let this_program = std::env::current_exe().map_err(HostError::Myself)?;
            let launcher = Launcher::new(this_program.clone(), *run_as);
            let found = Sandbox::find(&launcher, browser).await;
            let sandbox = has_sandbox(found, config.args.allow_no_sandbox);
            let config = WebConfig {
                // Who cannot have a user namespace for a sandbox has none to be another user in either.
                launcher: match run_as {
                    RunAs::Namespace(_) if !sandbox => Launcher::new(this_program, RunAs::Caller),
                    _ => launcher,
                },
                sandbox,
                browser: browser.clone(),
                page_url: config.args.page_url.clone(),
                wa_js: wa_js.clone(),
                ledger: link,
            };
            Ok(Arc::new(WebEngine::new(config)?))
        }
    }
}

/// What browsers of this node are to have; where there is no sandbox, whoever runs the node is told.
fn has_sandbox(found: Sandbox, may_go_without: bool) -> bool {
    match found {
        Sandbox::Usable => true,
        Sandbox::Missing { reason } if may_go_without => {
            tracing::warn!(reason, "browsers run without their sandbox, as --allow-no-sandbox permits");
            false
        }
        Sandbox::Missing { reason } => {
            // Chromium has the last word: it may be let do what this program is not.
            tracing::error!(
                reason,
                "browsers will not start: the kernel does not let their user make the namespaces of a sandbox; see \
                 docs/operating.md, or run them without one by --allow-no-sandbox"
            );
            true
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

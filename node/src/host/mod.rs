//! The node's work: it registers, hosts the tenants that are assigned to it, and hands them over when it is asked to stop.
//!
//! ```text
//!  etcd                      this module                                     Postgres
//!  nodes/, acks/   <-- registration, acks (held before launched)
//!  lease           <-- keepalive ----> standing ----> every worker
//!                          '---------> guard (deadline)
//!  assignments/    --> assignments --> supervisor --> tenant_run --> Worker  <-- worker_spec
//!                                                      '--> worker_table --> heartbeat --> last_seen_at
//! ```
//!
//! A process may have several lives: when its lease is lost it kills what it hosts and registers anew, empty-handed, as
//! another incarnation (`incarnation`). Nothing of one life reaches into the next.
//!
//! Public are the parts that I1 rests on and that need no database: the simulation in tests runs these very ones.

pub mod announcer;
pub mod assignments;
mod browsers;
mod candidate;
mod endings;
mod env;
mod error;
mod first_contact;
mod heartbeat;
pub mod impairments;
mod incarnation;
pub mod keepalive;
mod lease_reporting_registry;
mod memory_watch;
pub mod named_store;
mod node_memory;
mod object_store_mark;
mod orphan_sweep;
mod own_key;
mod ownership;
pub mod pause_detector;
mod preparation;
pub mod reconcile;
pub mod registration;
mod self_check;
mod store_mark;
mod superseded_sweep;
pub mod supervisor;
mod sweeps;
mod tenant_run;
pub mod tenant_runtime;
#[cfg(test)]
mod test_node;
pub mod worker_table;

use std::{
    convert::Infallible,
    fs::Permissions,
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use roost_cluster::{clock::BootClock, records::NodeRecord, registry::EtcdRegistry};
use roost_model::{
    causes,
    ids::{Incarnation, NodeId},
};
use roost_store::Store;
use secrecy::ExposeSecret;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::Notify,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{EngineConfig, NodeConfig},
    env::NodeEnv,
    guard::GuardLink,
    health::{self, NodeHealth},
    launch_queue::{LaunchQueue, usual_launches},
    logins::Logins,
    resources::{MachineMemory, Resources},
    rpc::{self, RpcService, Screenshots, SessionImporter},
    session::Imports,
    spares::Spares,
    start_times::StartTimes,
    symptoms::Symptoms,
    version_contents::VersionContents,
    worker_log::{LogSaver, WorkerLog, WorkerLogInbox},
};
use candidate::Candidate;
use endings::Endings;
use env::HostEnv;
pub use error::HostError;
use impairments::Impairments;
use lease_reporting_registry::LeaseReportingRegistry;
use memory_watch::MemoryWatch;
use named_store::NamedStore;
use node_memory::PublishedMemory;
use registration::Registration;
use self_check::SelfCheck;
use store_mark::Given;
use supervisor::IncarnationEnd;
use sweeps::Sweeper;
use worker_table::WorkerTable;

/// For the ends of the workers' logs, once all workers have ended.
const LAST_LOGS: Duration = Duration::from_secs(2);

/// Runs the node until it is asked to stop (SIGTERM, SIGINT) or cannot go on. `guard` is the process that announces it.
pub async fn run(
    config: NodeConfig,
    link: GuardLink,
    guard: i32,
    log: WorkerLogInbox,
) -> Result<(), HostError> {
    let stop = stop_on_signals()?;
    let (listener, address) = listen("--listen", config.args.listen).await?;
    let (rpc_listener, rpc_address) = listen("--rpc-listen", config.args.rpc.rpc_listen).await?;
    let registry = connect(&config).await?;
    let log = start_log(&config, log)?;
    let host = assemble(&config, registry.clone(), Arc::new(link), log.clone()).await?;
    // Ends with this function: dropping it stops them all.
    let mut helpers = JoinSet::new();
    let health = host.health.clone();
    helpers.spawn(async move {
        if let Err(error) = health::serve(listener, health).await {
            tracing::error!(error = %causes(&error), "health is not served any more");
        }
    });
    let service = RpcService {
        health: host.health.clone(),
        workers: host.workers.clone(),
        resources: host.node.resources.clone(),
        log: log.clone(),
        importer: importer(&config, &host)?,
        screenshots: screenshots(&config, &host),
    };
    let access = config.rpc_access.clone();
    helpers.spawn(async move {
        if let Err(error) = rpc::serve(rpc_listener, service, access).await {
            tracing::error!(error = %causes(&error), "coordinators are not answered any more");
        }
    });
    let saver = LogSaver { log, store: host.node.store.clone(), node: config.args.id.clone() };
    let saver = Arc::new(saver);
    helpers.spawn(saver.clone().run());
    helpers.spawn(Sweeper::new(host.clone(), &config.args).run());
    helpers.spawn(host.node.resources.clone().run());
    helpers.spawn(host.memory.clone().follow(host.node.resources.clone()));
    if let Some(machine) = &config.memory {
        helpers.spawn(memory_watch(&host, &config.args.id, machine).run());
    }
    // Not stopped by the signal: while this node hands its tenants over, a controller must place them.
    let stop_standing = CancellationToken::new();
    let reporting =
        Arc::new(LeaseReportingRegistry { registry: host.registry.clone(), guard: host.guard.clone() });
    let node = config.args.id.clone();
    let stale_after = config.args.stale_after;
    let etcd_history = Some(config.args.etcd_history).filter(|history| !history.is_zero());
    let store = host.node.store.clone();
    let (cluster, timing) = (config.args.cluster.to_string(), host.timing);
    let candidate =
        Candidate { registry: reporting, store, node, cluster, timing, stale_after, etcd_history };
    let candidate = tokio::spawn(candidate.run(stop_standing.clone()));

    let announcement = config.args.announce.as_deref().map(|path| Announcement { path, guard, address });
    let record = record(&config, address, config.args.rpc.advertised(rpc_address));
    let self_check = SelfCheck {
        env: host.node.clone(),
        node: record.node.clone(),
        site: site(&config.engine),
        impairments: host.impairments.clone(),
        workers: host.workers.clone(),
    };
    let adopt = config.args.adopt_object_store;
    let given = Given { cluster: config.args.cluster.as_str(), ttl: host.timing.ttl };
    tokio::select! {
        // First, so that nobody is registered who could do nothing.
        biased;
        unusable = first_contact::unusable(&host.node.store, &registry, &host.timing) => return Err(unusable),
        wrong = store_mark::wrong_database(&*registry, &host.node.store, given, &host.timing) => return Err(wrong),
        lived = prove_and_live(&host, &record, given, announcement, self_check, adopt, &stop) => lived?,
    }

    saver.flush(LAST_LOGS).await;
    stop_standing.cancel();
    // A term that is not resigned in time ends with its lease.
    let _resigned = tokio::time::timeout(host.timing.request_timeout * 2, candidate).await;
    tracing::info!("stopped");
    Ok(())
}

/// A node that is impaired registers too: that is how it is known, and it may be well again.
async fn prove_and_live(
    host: &Arc<HostEnv>,
    record: &NodeRecord,
    given: Given<'_>,
    announcement: Option<Announcement<'_>>,
    self_check: SelfCheck,
    adopt_object_store: bool,
    stop: &CancellationToken,
) -> Result<(), HostError> {
    object_store_mark::check(&host.node, &record.node, adopt_object_store).await?;
    if stop.run_until_cancelled(self_check.before_registering()).await.is_none() {
        return Ok(());
    }
    // Ends with this function.
    let mut checks = JoinSet::new();
    checks.spawn(self_check.run());
    live_until_stopped(host, record, given, announcement, stop).await
}

/// One life after the other.
async fn live_until_stopped(
    host: &Arc<HostEnv>,
    record: &NodeRecord,
    given: Given<'_>,
    mut announcement: Option<Announcement<'_>>,
    stop: &CancellationToken,
) -> Result<(), HostError> {
    let mut last_life = None;
    loop {
        store_mark::check(&*host.registry, &host.node.store, given).await?;
        let Some(registration) = register(host, record, last_life, stop).await? else { break };
        let incarnation = registration.incarnation();
        tracing::info!(node = %record.node, %incarnation, address = record.address, "registered");
        if let Some(announcement) = announcement.take() {
            announcement.write()?;
        }
        last_life = Some(incarnation);
        match incarnation::run(host, registration, stop).await {
            IncarnationEnd::Stopped => break,
            IncarnationEnd::Lost => {
                tracing::warn!("the lease was lost and every browser is dead; registering anew")
            }
        }
    }
    Ok(())
}

/// Registers, and says meanwhile, where that can still be said, that the node is there and has no lease.
async fn register(
    host: &HostEnv,
    record: &NodeRecord,
    last_life: Option<Incarnation>,
    stop: &CancellationToken,
) -> Result<Option<Registration>, HostError> {
    let record = &NodeRecord {
        impairments: host.impairments.present(),
        memory: host.memory.present(),
        ..record.clone()
    };
    let registered =
        registration::register(&host.registry, record, &host.timing, &BootClock, last_life, stop);
    tokio::select! {
        registered = registered => registered,
        never = say_cut_off(host, &record.node) => match never {},
    }
}

/// Twice in a TTL, from the moment at which a registration that needs no waiting is over.
async fn say_cut_off(host: &HostEnv, node: &NodeId) -> Infallible {
    tokio::time::sleep(host.timing.watch_retry).await;
    loop {
        if let Err(error) = host.node.store.note_cut_off(node).await {
            tracing::debug!(error = %causes(&error), "nobody can be told that this node has no lease");
        }
        tokio::time::sleep(host.timing.ttl / 2).await;
    }
}

async fn connect(config: &NodeConfig) -> Result<Arc<EtcdRegistry>, HostError> {
    let (args, timeout) = (&config.args, config.timing.request_timeout);
    let (cluster, access) = (args.cluster.as_str(), config.etcd_access.clone());
    Ok(Arc::new(EtcdRegistry::connect_by(&args.etcd, cluster, timeout, access).await?))
}

async fn assemble(
    config: &NodeConfig,
    registry: Arc<EtcdRegistry>,
    guard: Arc<GuardLink>,
    worker_log: WorkerLog,
) -> Result<Arc<HostEnv>, HostError> {
    let (args, timing) = (&config.args, config.timing);
    let (workers, impairments) = (WorkerTable::default(), Impairments::default());
    let (groups, without_groups) = browsers::control_groups(config);
    let resources = Resources::new(config.limits(), without_groups);
    let node = NodeEnv {
        store: Store::connect_lazy_with(
            args.database_url.expose_secret(),
            args.database_password_file.clone(),
            args.database_connections,
        )?,
        engine: browsers::engine(config, groups, guard.clone()).await?,
        snapshots: config.snapshots.clone(),
        named_store: NamedStore::default(),
        profiles: config.profiles.clone(),
        launches: LaunchQueue::new(args.max_launches.map_or_else(usual_launches, usize::from)),
        start_times: StartTimes::default(),
        symptoms: Symptoms::default(),
        impairments: impairments.clone(),
        logins: Logins::default(),
        spares: Spares::new(args.spare_browsers.into(), resources.clone()),
        versions: VersionContents::default(),
        resources,
    };
    let health = NodeHealth::new(
        args.id.clone(),
        workers.clone(),
        impairments.clone(),
        node.store.clone(),
        registry.clone(),
        node.spares.clone(),
    );
    Ok(Arc::new(HostEnv {
        node: Arc::new(node),
        registry,
        guard,
        timing,
        worker_timing: args.worker_timing.timing(),
        health,
        workers,
        worker_log,
        impairments,
        memory: PublishedMemory::new(config.memory.as_ref()),
        endings: Endings::default(),
        removed: Notify::new(),
    }))
}

fn importer(config: &NodeConfig, host: &HostEnv) -> Result<SessionImporter, HostError> {
    let page = match &config.engine {
        EngineConfig::Web { page_url, .. } => Some(page_url.clone()),
        EngineConfig::Null(_) => None,
    };
    let imports = Imports::in_state_dir(&config.args.state_dir).map_err(HostError::Imports)?;
    let (store, snapshots) = (host.node.store.clone(), host.node.snapshots.clone());
    Ok(SessionImporter { node: config.args.id.clone(), store, snapshots, imports, page })
}

fn screenshots(config: &NodeConfig, host: &HostEnv) -> Screenshots {
    Screenshots {
        node: config.args.id.clone(),
        store: host.node.store.clone(),
        workers: host.workers.clone(),
    }
}

fn memory_watch(host: &HostEnv, node: &NodeId, machine: &MachineMemory) -> MemoryWatch {
    MemoryWatch {
        node: node.clone(),
        machine: machine.clone(),
        published: host.memory.clone(),
        resources: host.node.resources.clone(),
        impairments: host.impairments.clone(),
    }
}

fn start_log(config: &NodeConfig, log: WorkerLogInbox) -> Result<WorkerLog, HostError> {
    let (dir, bounds) = (&config.args.state_dir, config.args.worker_log.bounds());
    log.start(dir, bounds).map_err(|source| HostError::WorkerLog { dir: dir.clone(), source })
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

async fn listen(flag: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), HostError> {
    let failed = |source| HostError::Listen { flag, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn record(config: &NodeConfig, address: SocketAddr, rpc_address: String) -> NodeRecord {
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
        rpc_address,
        spare_browsers: config.args.spare_browsers,
        started_at_ms: i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX),
        impairments: Vec::new(),
        memory: None,
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
        let written = || -> io::Result<()> {
            let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let body = serde_json::json!({ "pid": self.guard, "addr": self.address.to_string() });
            // Whoever waits may be another user: the umask decides, as for any file.
            let mut file =
                tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(dir)?;
            file.write_all(body.to_string().as_bytes())?;
            file.persist(self.path)?;
            Ok(())
        };
        written().map_err(|source| HostError::Announce { path: self.path.to_owned(), source })
    }
}

/// Where the page is had from; none without browsers.
fn site(engine: &EngineConfig) -> Option<Vec<String>> {
    match engine {
        EngineConfig::Null(_) => None,
        EngineConfig::Web { page_url, .. } => Some(page_url.ways_there()),
    }
}

//! The command lines of the product's programs.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{
    certificates::Certificates,
    error::Result,
    etcd::{Etcd, EtcdPorts},
    member::Member,
    options::{Bucket, Options},
    postgres::Postgres,
    process::Launch,
    programs,
    roads::Roads,
    simulator::Simulator,
    state_dir::StateDir,
};

const CLUSTER: &str = "dev";
const SIMULATOR: &str = "simulator";

/// Everything that must be installed or built, found before anything is started.
pub(super) struct Programs {
    node: PathBuf,
    coordinator: PathBuf,
    simulator: PathBuf,
    bridge: PathBuf,
    browser: PathBuf,
}

impl Programs {
    pub fn find(options: &Options) -> Result<Self> {
        Ok(Self {
            node: programs::product("roost-node")?,
            coordinator: programs::product("roost-coordinator")?,
            simulator: match options.page_url {
                Some(_) => PathBuf::new(),
                None => programs::product("roost-simulator")?,
            },
            bridge: programs::bridge()?,
            browser: programs::browser()?,
        })
    }
}

/// What the product's programs speak to.
pub(super) struct Services<'a> {
    pub etcd: &'a [Etcd],
    pub roads: &'a Roads,
    pub postgres: &'a Postgres,
    pub simulator: Option<&'a SimulatedSite>,
    /// None where nothing is by TLS.
    pub certificates: Option<&'a Certificates>,
}

/// WhatsApp's side, as it is simulated.
#[derive(Debug)]
pub(super) struct SimulatedSite {
    pub member: Member,
    pub client: Simulator,
    pub tls_addr: String,
}

/// None when the cluster runs against another site.
pub(super) async fn start_simulator(
    programs: &Programs,
    dir: &StateDir,
    options: &Options,
) -> Result<Option<SimulatedSite>> {
    #[derive(Deserialize)]
    struct Announced {
        http_url: String,
        tls_addr: String,
    }
    if options.page_url.is_some() {
        return Ok(None);
    }
    let http = loopback(dir.port(SIMULATOR, options.ports.simulator)?);
    let tls = loopback(dir.port("simulator-tls", options.ports.simulator_tls)?);
    let launch = Launch::new(SIMULATOR, &programs.simulator, dir.log(SIMULATOR))
        .args(["--http", &http, "--tls", &tls])
        .args(["--first-code".into(), duration(options.first_code)])
        .args(["--code-every".into(), duration(options.code_every)])
        .args(["--start-cost".into(), duration(options.start_cost)])
        .args(options.hard.then_some("--hard"));
    let mut member = Member::new(SIMULATOR, launch, dir.announcement(SIMULATOR));
    let Announced { http_url, tls_addr } = member.start_announcing().await?;
    Ok(Some(SimulatedSite { member, client: Simulator::new(&http_url)?, tls_addr }))
}

/// It listens on one port for as long as the cluster lives, so that clients find it again after a restart.
fn coordinator(
    number: usize,
    programs: &Programs,
    dir: &StateDir,
    options: &Options,
    services: &Services<'_>,
) -> Result<Member> {
    let id = &coordinator_id(number);
    // The port that was asked for is the first one's.
    let port = options.ports.admin.filter(|_| number == 1);
    let launch = Launch::new(id, &programs.coordinator, dir.log(id))
        .args(["run", "--id", id, "--cluster", CLUSTER])
        .args(["--etcd".into(), services.roads.etcd_of(id, services.etcd)])
        .args(["--listen".into(), loopback(dir.port(id, port)?)])
        .args(["--http-listen".into(), loopback(dir.port(&format!("{id}-http"), None)?)])
        .args(["--token-file".into(), dir.token_file().into_os_string()])
        .args(["--secrets-key-file".into(), dir.secrets_key_file()?.into_os_string()])
        .args(match services.certificates {
            Some(certificates) => certificates.of_coordinator(),
            None => by_secret(dir)?,
        })
        .args(["--lease-ttl".into(), duration(options.lease_ttl)])
        .args(["--stale-after".into(), duration(options.stale_after)])
        // The environment of a process is its owner's alone to read, unlike its arguments.
        .env("ROOST_DATABASE_URL", services.roads.postgres_of(id, services.postgres))
        .args(&options.coordinator_args);
    Ok(Member::new(id, launch, dir.announcement(id)))
}

pub(super) fn node(
    id: &str,
    programs: &Programs,
    dir: &StateDir,
    options: &Options,
    services: &Services<'_>,
) -> Result<Member> {
    let simulated = services.simulator.map(|site| site.client.url());
    let page_url = options.page_url.as_deref().or(simulated).unwrap_or_default();
    let object_store = match &options.bucket {
        Some(bucket) => bucket.location.clone().into(),
        None => options.object_store.clone().unwrap_or_else(|| dir.root().join("snapshots")).into_os_string(),
    };
    let browser = options.browsers.get(id).unwrap_or(&programs.browser).clone();
    let launch = Launch::new(id, &programs.node, dir.log(id))
        .through(&options.node_through)
        .args(["run", "--id", id, "--cluster", CLUSTER, "--page-url", page_url])
        .args(["--etcd".into(), services.roads.etcd_of(id, services.etcd)])
        .args(["--state-dir".into(), dir.root().join("nodes").join(id).into_os_string()])
        .args(["--object-store".into(), object_store])
        .args(["--snapshot-key-file".into(), dir.snapshot_key_file()?.into_os_string()])
        .args(match services.certificates {
            Some(certificates) => certificates.of_node(id)?,
            None => by_secret(dir)?,
        })
        .args(["--browser".into(), browser.into_os_string()])
        .args(["--bridge".into(), programs.bridge.clone().into_os_string()])
        .args(["--lease-ttl".into(), duration(options.lease_ttl)])
        .args(["--stale-after".into(), duration(options.stale_after)])
        // All of them are on one machine, with whoever tries them out: what others take of it is no reason to take nobody.
        .env("ROOST_NODE_MEMORY_RESERVE", "64MiB")
        .args(options.spare_browsers.iter().map(|spares| format!("--spare-browsers={spares}")))
        .env("ROOST_NODE_MEMORY_STALL", "100")
        .env("ROOST_DATABASE_URL", services.roads.postgres_of(id, services.postgres))
        .args(&options.node_args);
    let launch = match &options.bucket {
        Some(Bucket { endpoint, keys, .. }) => launch
            .args(["--object-store-endpoint", endpoint])
            .env("AWS_ACCESS_KEY_ID", &keys.id)
            .env("AWS_SECRET_ACCESS_KEY", &keys.secret),
        None => launch,
    };
    let own = options.node_env.get(id).into_iter().flatten();
    let launch = own.fold(launch, |launch, (key, value)| launch.env(key, value));
    Ok(Member::new(id, launch, dir.announcement(id)))
}

fn by_secret(dir: &StateDir) -> Result<Vec<OsString>> {
    Ok(vec!["--cluster-secret-file".into(), dir.cluster_secret_file()?.into_os_string()])
}

fn coordinator_id(number: usize) -> String {
    format!("coordinator-{number}")
}

pub(super) fn node_id(number: usize) -> String {
    format!("node-{number}")
}

/// Relays from everything that will run to all servers, when they were asked for.
pub(super) async fn build_roads(options: &Options, etcd: &[Etcd], postgres: &Postgres) -> Result<Roads> {
    let mut roads = Roads::default();
    let coordinators = (1..=options.coordinators).map(coordinator_id);
    for id in coordinators.chain((1..=options.nodes).map(node_id)).filter(|_| options.relays) {
        roads.build(&id, etcd, postgres).await?;
    }
    Ok(roads)
}

/// The first one alone: it makes the tables of a new database.
pub(super) async fn start_coordinators(
    programs: &Programs,
    dir: &StateDir,
    options: &Options,
    services: &Services<'_>,
) -> Result<Vec<Member>> {
    let mut coordinators = Vec::with_capacity(options.coordinators);
    for number in 1..=options.coordinators {
        let mut member = coordinator(number, programs, dir, options, services)?;
        member.start().await?;
        coordinators.push(member);
    }
    Ok(coordinators)
}

/// On the ports of the last start in this directory: members know each other by them.
pub(super) async fn start_etcd(
    dir: &StateDir,
    options: &Options,
    certificates: Option<&Certificates>,
) -> Result<Vec<Etcd>> {
    let first = options.ports.etcd;
    let tls = certificates.map(Certificates::etcd);
    if options.etcd_members <= 1 {
        let port = Some(dir.port("etcd", first)?);
        return Ok(vec![Etcd::start_by(dir.root(), port, tls.as_ref()).await?]);
    }
    let ports = (1..=options.etcd_members).map(|number| {
        let client = dir.port(&format!("etcd-{number}"), first.filter(|_| number == 1))?;
        EtcdPorts::choose(client, dir.port(&format!("etcd-{number}-peer"), None)?, tls.as_ref())
    });
    let through = options.etcd_through.as_deref();
    Etcd::start_members(dir.root(), &ports.collect::<Result<Vec<_>>>()?, through, tls.as_ref()).await
}

fn loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

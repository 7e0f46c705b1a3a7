//! The command lines of the product's programs.

use std::path::PathBuf;

use serde::Deserialize;

use super::{
    cluster::SimulatedSite, error::Result, etcd::Etcd, member::Member, options::Options, postgres::Postgres,
    process::Launch, programs, simulator::Simulator, state_dir::StateDir,
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
    pub etcd: &'a Etcd,
    pub postgres: &'a Postgres,
    pub simulator: Option<&'a SimulatedSite>,
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
        .args(["--code-every".into(), duration(options.code_every)]);
    let mut member = Member::new(SIMULATOR, launch, dir.announcement(SIMULATOR));
    let Announced { http_url, tls_addr } = member.start_announcing().await?;
    Ok(Some(SimulatedSite { member, client: Simulator::new(&http_url)?, tls_addr }))
}

/// It listens on one port for as long as the cluster lives, so that clients find it again after a restart.
pub(super) fn coordinator(
    id: &str,
    programs: &Programs,
    dir: &StateDir,
    options: &Options,
    services: &Services<'_>,
) -> Result<Member> {
    let launch = Launch::new(id, &programs.coordinator, dir.log(id))
        .args(["run", "--id", id, "--cluster", CLUSTER, "--etcd", services.etcd.endpoint()])
        .args(["--listen".into(), loopback(dir.port(id, options.ports.admin)?)])
        .args(["--token-file".into(), dir.token_file().into_os_string()])
        .args(["--lease-ttl".into(), duration(options.lease_ttl)])
        .args(["--stale-after".into(), duration(options.stale_after)])
        // The environment of a process is its owner's alone to read, unlike its arguments.
        .env("ROOST_DATABASE_URL", services.postgres.url())
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
    let launch = Launch::new(id, &programs.node, dir.log(id))
        .args([
            "run",
            "--id",
            id,
            "--cluster",
            CLUSTER,
            "--etcd",
            services.etcd.endpoint(),
            "--page-url",
            page_url,
        ])
        .args(["--state-dir".into(), dir.root().join("nodes").join(id).into_os_string()])
        .args(["--object-store".into(), dir.root().join("snapshots").into_os_string()])
        .args(["--snapshot-key-file".into(), dir.snapshot_key_file()?.into_os_string()])
        .args(["--browser".into(), programs.browser.clone().into_os_string()])
        .args(["--bridge".into(), programs.bridge.clone().into_os_string()])
        .args(["--lease-ttl".into(), duration(options.lease_ttl)])
        .env("ROOST_NODE_DATABASE_URL", services.postgres.url())
        .args(&options.node_args);
    Ok(Member::new(id, launch, dir.announcement(id)))
}

fn loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn duration(duration: std::time::Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

//! A hundred thousand tenants on a thousand nodes, on one machine: real etcd, real Postgres, a real coordinator. The nodes
//! are simulated: each has a lease and acknowledges what it is assigned; all share one client and one watch.

mod fleet;
mod metrics;
mod planning;
mod renewals;
mod tenants;

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use roost_devcluster::{Etcd, Launch, Postgres, Process, Signal, announced_in, free_port, product};

use crate::report::Report;
use fleet::Fleet;

const NODES: usize = 1_000;
const TENANTS: usize = 100_000;
const WITHIN: Duration = Duration::from_secs(120);
const STEADY: Duration = Duration::from_secs(20);
const PLAN_S: f64 = 1.0;
const ONE_LOST_S: f64 = 1.0;
const MANY_LOST: usize = 250;
const MANY_LOST_S: f64 = 5.0;
const RESTART_S: f64 = 5.0;
const MEMORY_MIB: f64 = 1_024.0;
/// A coordinator that is asked to stop resigns.
const GRACE: Duration = Duration::from_secs(20);

pub async fn measure(report: &mut Report) -> Result<()> {
    let plan = planning::full_plan(NODES, TENANTS)?.as_secs_f64();
    let dir = tempfile::TempDir::with_prefix("roost-bench-")?;
    let etcd = Etcd::start(dir.path()).await?;
    let mut postgres = Postgres::start(dir.path()).await?;
    let url = postgres.url().to_owned();
    let site = Site { dir: dir.path(), etcd: etcd.endpoint(), postgres: &url };
    tenants::make(&url, TENANTS).await?;
    let mut fleet = Fleet::register(etcd.endpoint(), NODES).await?;
    let began = Instant::now();
    let mut coordinator = site.coordinator("coordinator-1").await?;
    fleet.until_all_are_placed(TENANTS, WITHIN).await?;
    eprintln!(
        "{TENANTS} tenants are placed and acknowledged {:.1} s after the start",
        began.elapsed().as_secs_f64()
    );
    fleet.until_quiet(Duration::from_secs(3), WITHIN).await?;

    let writes = steady_writes(etcd.endpoint()).await?;
    let one = fleet.lose(1, WITHIN).await?.as_secs_f64();
    fleet.until_quiet(Duration::from_secs(2), WITHIN).await?;
    coordinator.stop(Signal::TERM, GRACE).await?;
    fleet.end(1).await?;
    let restarted = Instant::now();
    let mut coordinator = site.coordinator("coordinator-2").await?;
    fleet.until_moved(WITHIN).await?;
    let restart = restarted.elapsed().as_secs_f64();
    fleet.until_quiet(Duration::from_secs(2), WITHIN).await?;
    tenants::switch_off_the_breaker(&url).await?;
    let many = fleet.lose(MANY_LOST, WITHIN).await?.as_secs_f64();
    let memory = metrics::peak_memory_mib(coordinator.pid())?;
    coordinator.stop(Signal::TERM, GRACE).await?;
    // Its backends outlive a postmaster that is killed for a moment, and write into the directory that is to go.
    postgres.stop().await?;
    tell(report, &Measured { plan, one, many, restart, memory, writes });
    renewals::measure(report).await
}

struct Measured {
    plan: f64,
    one: f64,
    many: f64,
    restart: f64,
    memory: f64,
    writes: metrics::Writes,
}

/// What etcd writes while nothing happens.
async fn steady_writes(endpoint: &str) -> Result<metrics::Writes> {
    let before = metrics::etcd(endpoint).await?;
    // A span, not a wait for something: nothing is to happen in it.
    tokio::time::sleep(STEADY).await;
    Ok(metrics::etcd(endpoint).await? - before)
}

fn tell(report: &mut Report, measured: &Measured) {
    let Measured { plan, one, many, restart, memory, writes } = measured;
    let scale = format!("{TENANTS} tenants on {NODES} simulated nodes");
    report.row(
        format!("{scale}: a full plan, every tenant to be placed"),
        format!("{plan:.2} s"),
        "none published",
        format!("at most {PLAN_S:.0} s"),
        *plan <= PLAN_S,
    );
    report.row(
        format!("{scale}: loss of one node, from expiry to all published"),
        format!("{one:.2} s"),
        "none published",
        format!("at most {ONE_LOST_S:.0} s"),
        *one <= ONE_LOST_S,
    );
    report.row(
        format!("{scale}: loss of {MANY_LOST} nodes at once, failover breaker off"),
        format!("{many:.2} s"),
        "none published",
        format!("at most {MANY_LOST_S:.0} s"),
        *many <= MANY_LOST_S,
    );
    report.row(
        format!("{scale}: controller restarted, from its start to a lost node's tenants published"),
        format!("{restart:.2} s"),
        "none published",
        format!("at most {RESTART_S:.0} s"),
        *restart <= RESTART_S,
    );
    report.row(
        format!("{scale}: memory of the controlling coordinator, peak RSS"),
        format!("{memory:.0} MiB"),
        "none published",
        format!("at most {MEMORY_MIB:.0} MiB"),
        *memory <= MEMORY_MIB,
    );
    report.row(
        format!("{scale}: etcd writes in {} s of steady state", STEADY.as_secs()),
        format!("{writes}"),
        format!("{NODES} leases renewed"),
        "no put, no delete",
        writes.puts == 0 && writes.deletes == 0,
    );
}

struct Site<'a> {
    dir: &'a std::path::Path,
    etcd: &'a str,
    postgres: &'a str,
}

impl Site<'_> {
    async fn coordinator(&self, id: &str) -> Result<Process> {
        let token = self.dir.join("token");
        std::fs::write(&token, "a-token-of-the-benchmark-alone\n")?;
        std::fs::set_permissions(&token, Permissions::from_mode(0o600))?;
        let secret = self.dir.join("cluster.secret");
        std::fs::write(&secret, "5e".repeat(32))?;
        std::fs::set_permissions(&secret, Permissions::from_mode(0o600))?;
        let announcement = self.dir.join(id);
        let launch = Launch::new(id, product("roost-coordinator")?, self.dir.join("logs").join(id))
            .args(["run", "--id", id, "--cluster", fleet::CLUSTER, "--etcd", self.etcd])
            .args(["--listen".into(), format!("127.0.0.1:{}", free_port()?)])
            .args(["--token-file".into(), token.into_os_string()])
            .args(["--cluster-secret-file".into(), secret.into_os_string()])
            .args(["--announce".into(), announcement.clone().into_os_string()])
            .env("ROOST_DATABASE_URL", self.postgres);
        let mut process = launch.spawn()?;
        process
            .ready_when(WITHIN, || async { announced_in(&announcement) })
            .await
            .context("the coordinator")?;
        Ok(process)
    }
}

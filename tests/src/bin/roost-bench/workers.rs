//! Twenty tenants on a node, and beside them twenty bots under PM2 on the same simulator: what each takes of the memory, how long
//! all of them take to start, and a node to come back with them.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;
use roost_devcluster::{TenantRecord, demo_tenant};
use roost_proto::v1::{StartWorkerRequest, StopWorkerRequest, WorkerStatus};
use roost_tests::Scenario;

use crate::{
    flags::browser_flags,
    memory::pss_mib,
    pm2::{BotBrowser, Pm2},
    report::Report,
    site::Site,
};

const TENANTS: usize = 20;
const WITHIN: Duration = Duration::from_secs(300);
/// From ready to the measurement, so that start-up garbage is gone on both sides.
const SETTLE: Duration = Duration::from_secs(15);
const RESTART_BOUND_S: f64 = 15.0;
/// What a page costs that is as heavy as the real one.
const HEAVY: Duration = Duration::from_secs(3);

pub async fn measure(site: &Site, report: &mut Report) -> Result<()> {
    let mut scenario = start(site).await?;
    tokio::time::sleep(SETTLE).await;
    let node = scenario.cluster.record().nodes[0].pid;
    let (mib, flags) = (pss_mib(node)? / TENANTS as f64, flags_of_a_browser(node)?);
    let started = start_all(&scenario).await?;
    restart(&mut scenario, RESTART_BOUND_S, "light page", report).await?;
    // The bots have the machine to themselves, as the node had.
    scenario.cluster.node("node-1")?.terminate().await?;
    let full = BotBrowser { program: "/usr/lib/chromium/chromium".into(), flags: None };
    let as_documented = baseline(&mut scenario, 100, full).await?;
    let shell = roost_devcluster::browser()?;
    let as_ours = baseline(&mut scenario, 200, BotBrowser { program: shell, flags: Some(flags) }).await?;
    scenario.finish().await?;
    tell(report, (mib, started), &as_documented, &as_ours);
    Ok(())
}

/// The node's restart once more, with pages that compute.
pub async fn measure_heavy(site: &Site, report: &mut Report) -> Result<()> {
    let heavy = Site { start_cost: HEAVY, ..site.clone() };
    let mut scenario = start(&heavy).await?;
    let cores = std::thread::available_parallelism()?.get() as f64;
    let work = TENANTS as f64 * HEAVY.as_secs_f64() / cores;
    restart(&mut scenario, 1.3 * work, &format!("{HEAVY:?} of script a page"), report).await?;
    scenario.finish().await
}

async fn start(site: &Site) -> Result<Scenario> {
    let scenario = Scenario::starting(|options| {
        (options.nodes, options.tenants) = (1, TENANTS);
        site.apply(options);
    })
    .await?;
    scenario.cluster.connected(WITHIN).await?;
    Ok(scenario)
}

/// All of them stopped, then started at once: until all are connected.
async fn start_all(scenario: &Scenario) -> Result<Duration> {
    let (admin, tenants) = (scenario.cluster.admin(), scenario.cluster.tenants());
    let stops = tenants.iter().map(|tenant| async {
        admin.workers().stop_worker(StopWorkerRequest { tenant_id: tenant.id.clone() }).await
    });
    try_join_all(stops).await?;
    let are_stopped = || async {
        // Without an answer nothing is known of them.
        let workers = scenario.cluster.workers().await;
        workers.is_ok_and(|workers| workers.iter().all(|worker| worker.status() == WorkerStatus::Stopped))
    };
    scenario.cluster.wait("all are stopped", WITHIN, are_stopped).await?;
    let began = Instant::now();
    let starts = tenants.iter().map(|tenant| async {
        admin.workers().start_worker(StartWorkerRequest { tenant_id: tenant.id.clone() }).await
    });
    try_join_all(starts).await?;
    scenario.cluster.connected(WITHIN).await?;
    Ok(began.elapsed())
}

/// From the node's SIGTERM until all of its tenants are connected again.
async fn restart(scenario: &mut Scenario, bound_s: f64, page: &str, report: &mut Report) -> Result<()> {
    let began = Instant::now();
    scenario.cluster.node("node-1")?.restart().await?;
    let gone_s = began.elapsed().as_secs_f64();
    scenario.cluster.connected(WITHIN).await?;
    let took_s = began.elapsed().as_secs_f64();
    report.row(
        format!("restart of a node with {TENANTS} tenants ({page}), to all connected"),
        format!("{took_s:.1} s, of which it was away {gone_s:.1} s"),
        "none published",
        format!("at most {bound_s:.0} s"),
        took_s <= bound_s,
    );
    Ok(())
}

struct Baseline {
    mib: f64,
    started: Duration,
}

/// Phones that nobody else has, from this one on.
async fn baseline(scenario: &mut Scenario, first: usize, browser: BotBrowser) -> Result<Baseline> {
    let tenants: Vec<TenantRecord> = (first..first + TENANTS).map(demo_tenant).collect();
    let tls = scenario.cluster.record().simulator_tls_addr.unwrap_or_default();
    let mut pm2 = Pm2::linked(&tenants, &browser, scenario.cluster.simulator()?.url(), &tls).await?;
    let started = pm2.start().await?;
    tokio::time::sleep(SETTLE).await;
    let mib = pm2.pss_mib()? / TENANTS as f64;
    pm2.stop().await?;
    Ok(Baseline { mib, started })
}

/// But for what is its tenant's own, and for how it is spoken with.
fn flags_of_a_browser(node: u32) -> Result<Vec<String>> {
    let own = ["--user-data-dir=", "--remote-debugging-pipe"];
    let is_own = |flag: &String| own.iter().any(|own| flag.starts_with(own));
    Ok(browser_flags(node)?.into_iter().filter(|flag| !is_own(flag)).collect())
}

fn tell(report: &mut Report, roost: (f64, Duration), full: &Baseline, shell: &Baseline) {
    let (mib, started) = roost;
    let both = format!(
        "{:.0} MiB with Chromium, {:.0} MiB with Roost's headless shell and flags",
        full.mib, shell.mib
    );
    let (of_full, of_shell) = (mib / full.mib, mib / shell.mib);
    report.row(
        format!(
            "memory per tenant (PSS, {TENANTS} tenants, guard and spares counted; whatsapp-web.js under PM2)"
        ),
        format!("{mib:.0} MiB"),
        both,
        format!("at most 0.25 and 0.6; ratios {of_full:.2}, {of_shell:.2}"),
        of_full <= 0.25 && of_shell <= 0.6,
    );
    let seconds = |took: Duration| took.as_secs_f64();
    let (of_full, of_shell) =
        (seconds(started) / seconds(full.started), seconds(started) / seconds(shell.started));
    report.row(
        format!("{TENANTS} linked tenants started at once, to all connected (whatsapp-web.js under PM2)"),
        format!("{:.1} s", seconds(started)),
        format!(
            "{:.1} s, {:.1} s with Roost's headless shell and flags",
            seconds(full.started),
            seconds(shell.started)
        ),
        format!("at most half the first; ratios {of_full:.2}, {of_shell:.2}"),
        of_full <= 0.5,
    );
}

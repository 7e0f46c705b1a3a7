//! Memory and speed with five tenants, first on a node, then on five bots of the baseline, on one simulator.

use std::{path::Path, time::Duration};

use anyhow::Result;
use roost_devcluster::{Simulator, demo_tenant};
use roost_tests::{
    Scenario,
    bots::Bots,
    load::{self, Answered},
};

use crate::{
    memory::pss_mib,
    report::{Report, percentile},
    site::Site,
};

const TENANTS: usize = 5;
/// From ready to the measurement, so that start-up garbage is gone on both sides.
const SETTLE: Duration = Duration::from_secs(10);

/// Rounds of each load; the one in the middle counts, for the machines are noisy.
const ROUNDS: usize = 5;

struct Side {
    mib_per_tenant: f64,
    paced: Answered,
    burst: Answered,
    /// Messages of any round that were not answered, or not once.
    wrong: usize,
}

pub async fn measure(site: &Site, report: &mut Report) -> Result<()> {
    let mut scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (1, TENANTS);
        site.apply(options);
    })
    .await?;
    let simulator = scenario.cluster.simulator()?.clone();
    let record = scenario.cluster.record();
    tokio::time::sleep(SETTLE).await;
    let node = record.nodes[0].pid;
    let roost = side(&simulator, &scenario.tenant(0).phone, || pss_mib(node)).await?;
    // The bots have the machine to themselves, as the node had.
    scenario.cluster.node("node-1")?.terminate().await?;
    let tls = record.simulator_tls_addr.unwrap_or_default();
    // Their phones are others than the cluster's.
    let tenants = (50..50 + TENANTS).map(demo_tenant).collect();
    let mut bots =
        Bots::start(tenants, Path::new("/usr/lib/chromium/chromium"), simulator.url(), &tls).await?;
    tokio::time::sleep(SETTLE).await;
    let pss = || bots.bots.iter().map(|bot| pss_mib(bot.pid())).sum();
    let baseline = side(&simulator, &bots.tenants[0].phone, pss).await?;
    bots.stop().await?;
    scenario.finish().await?;
    compare(report, &roost, &baseline);
    Ok(())
}

async fn side(simulator: &Simulator, phone: &str, pss: impl Fn() -> Result<f64>) -> Result<Side> {
    let mib_per_tenant = pss()? / TENANTS as f64;
    // Chats are made and code is compiled; neither is what is measured.
    load::run(simulator, phone, "warm-up", 60, Some(Duration::from_millis(25))).await?;
    let (mut paced, mut bursts) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let every = Some(Duration::from_millis(25));
        paced.push(load::run(simulator, phone, &format!("paced {round}"), 200, every).await?);
        bursts.push(load::run(simulator, phone, &format!("burst {round}"), 500, None).await?);
    }
    let wrong = paced.iter().chain(&bursts).map(Answered::wrong).sum();
    let paced = middle(paced, |paced| percentile(&paced.latencies_ms, 50));
    Ok(Side { mib_per_tenant, paced, burst: middle(bursts, Answered::rate), wrong })
}

fn middle(mut rounds: Vec<Answered>, by: impl Fn(&Answered) -> f64) -> Answered {
    rounds.sort_by(|a, b| by(a).total_cmp(&by(b)));
    rounds.swap_remove(rounds.len() / 2)
}

fn compare(report: &mut Report, roost: &Side, baseline: &Side) {
    let mib = |side: &Side| format!("{:.0} MiB", side.mib_per_tenant);
    let ratio = roost.mib_per_tenant / baseline.mib_per_tenant;
    report.row(
        format!("memory per tenant (PSS, {TENANTS} tenants)"),
        mib(roost),
        mib(baseline),
        format!("at most 1/3; ratio {ratio:.2}"),
        ratio <= 1.0 / 3.0,
    );
    let at = |side: &Side, percent| percentile(&side.paced.latencies_ms, percent);
    let times = |side: &Side| format!("{:.1} / {:.1} ms", at(side, 50), at(side, 99));
    report.row(
        "round trip, 200 messages in 20 chats 25 ms apart, median of 5: p50 / p99",
        times(roost),
        times(baseline),
        format!("p50 at most 1.5 times; ratio {:.2}", at(roost, 50) / at(baseline, 50)),
        at(roost, 50) <= 1.5 * at(baseline, 50) && roost.wrong == 0,
    );
    let burst = |side: &Side| {
        let Answered { asked, latencies_ms, .. } = &side.burst;
        format!(
            "{:.0}/s, {} of {asked} answered, {} wrong in all",
            side.burst.rate(),
            latencies_ms.len(),
            side.wrong
        )
    };
    report.row(
        "burst of 500 messages in 20 chats, median of 5",
        burst(roost),
        burst(baseline),
        format!(
            "every one once, at 1.2 times the rate; ratio {:.2}",
            roost.burst.rate() / baseline.burst.rate()
        ),
        roost.wrong == 0 && roost.burst.rate() >= 1.2 * baseline.burst.rate(),
    );
}

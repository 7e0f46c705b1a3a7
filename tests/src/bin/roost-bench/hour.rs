//! An hour of ten tenants that are written to: whether what a node and its browsers hold grows.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use roost_tests::Scenario;

use crate::{load, memory::pss_mib, report::Report, report::percentile, site::Site};

const TENANTS: usize = 10;
const WITHIN: Duration = Duration::from_secs(120);
/// Messages of each tenant between two looks, and how far they are apart.
const MESSAGES: usize = 100;
const APART: Duration = Duration::from_millis(500);
/// A page's caches are full by then.
const WARM_UP: Duration = Duration::from_secs(600);
/// Looks at each end, of which the middle one counts.
const LOOKS: usize = 5;
const BOUND_PERCENT: f64 = 5.0;

pub async fn measure(length: Duration, site: &Site, report: &mut Report) -> Result<()> {
    let mut scenario = Scenario::starting(|options| {
        (options.nodes, options.tenants) = (1, TENANTS);
        site.apply(options);
    })
    .await?;
    scenario.cluster.connected(WITHIN).await?;
    let simulator = scenario.cluster.simulator()?.clone();
    let node = scenario.cluster.node("node-1")?.pid().context("the node runs")?;
    let phones: Vec<String> = (0..TENANTS).map(|index| scenario.tenant(index).phone).collect();
    let (began, mut looks, mut wrong, mut answered) = (Instant::now(), Vec::new(), 0, 0);
    for round in 0.. {
        let name = format!("round {round}");
        let loads = phones.iter().map(|phone| load::run(&simulator, phone, &name, MESSAGES, Some(APART)));
        for load in futures::future::try_join_all(loads).await? {
            wrong += load.wrong();
            answered += load.latencies_ms.len();
        }
        if began.elapsed() > WARM_UP.min(length / 6) {
            looks.push(pss_mib(node)? / TENANTS as f64);
        }
        if began.elapsed() > length {
            break;
        }
    }
    let restarts = scenario.cluster.workers().await?.iter().map(|worker| worker.restarts).sum::<i64>();
    scenario.finish().await?;
    let middle = |looks: &[f64]| {
        let mut looks = looks.to_vec();
        looks.sort_by(f64::total_cmp);
        percentile(&looks, 50)
    };
    let (first, last) =
        (middle(&looks[..LOOKS.min(looks.len())]), middle(&looks[looks.len().saturating_sub(LOOKS)..]));
    let growth = (last / first - 1.0) * 100.0;
    report.row(
        format!(
            "{TENANTS} tenants written to for {}: memory per tenant after {}, at the end",
            humantime::format_duration(length),
            humantime::format_duration(WARM_UP.min(length / 6)),
        ),
        format!("{first:.1}, {last:.1} MiB; {answered} answered, {wrong} wrong, {restarts} restarts"),
        "none published",
        format!("less than {BOUND_PERCENT} % more; {growth:+.1} %, all answered once, none restarted"),
        growth < BOUND_PERCENT && wrong == 0 && restarts == 0,
    );
    Ok(())
}

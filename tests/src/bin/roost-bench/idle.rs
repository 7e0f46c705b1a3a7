//! What eighty tenants to whom nobody writes cost the processors.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use roost_tests::{Scenario, processor_time::processor_time};

use crate::{memory::pss_mib, report::Report, site::Site};

const TENANTS: usize = 80;
const WITHIN: Duration = Duration::from_secs(300);
/// The first snapshots are taken, and what a start leaves behind is done.
const SETTLE: Duration = Duration::from_secs(60);
const FOR: Duration = Duration::from_secs(60);
/// Of one processor: eight per cent of two.
const BOUND: f64 = 0.16;

pub async fn measure(site: &Site, report: &mut Report) -> Result<()> {
    let mut scenario = Scenario::starting(|options| {
        (options.nodes, options.tenants) = (1, TENANTS);
        site.apply(options);
        options.node_args = ["--capacity", "100"].map(str::to_owned).to_vec();
    })
    .await?;
    scenario.cluster.connected(WITHIN).await?;
    tokio::time::sleep(SETTLE).await;
    let node = scenario.cluster.node("node-1")?;
    let guard = node.pid().context("the node runs")?;
    let pids: Vec<u32> =
        node.descendants().iter().map(|process| process.identity.pid).chain([guard]).collect();
    let (before, began) = (processor_time(pids.clone())?, Instant::now());
    tokio::time::sleep(FOR).await;
    let share = (processor_time(pids)? - before).as_secs_f64() / began.elapsed().as_secs_f64();
    let mib = pss_mib(guard)? / TENANTS as f64;
    scenario.finish().await?;
    report.row(
        format!("{TENANTS} idle tenants on a node, browsers, guard and spares counted: processors, memory per tenant"),
        format!("{share:.3}, {mib:.0} MiB"),
        "none published",
        format!("at most {BOUND} processors"),
        share <= BOUND,
    );
    Ok(())
}

//! The gap of a planned move: a tenant is written to all the time while it moves from node to node and back, and the
//! longest silence between two of its answers is what a customer can notice. What came meanwhile waits in the queue.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use roost_devcluster::is_connected;
use roost_proto::v1::StartMoveRequest;
use roost_tests::{Conversation, Scenario, judge};

use crate::{
    report::{Report, percentile},
    site::Site,
};

const WITHIN: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_millis(20);
/// Written before and after each move, so that the silence is between two answers.
const AROUND: Duration = Duration::from_secs(1);
const GAP_S: f64 = 0.7;

pub async fn measure(runs: usize, site: &Site, report: &mut Report) -> Result<()> {
    let scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (2, 2);
        site.apply(options);
    })
    .await?;
    let tenant = scenario.tenant(0);
    let scans = scenario.cluster.scans();
    let mut conversation = scenario.conversation(&tenant)?;
    let mut gaps = Vec::new();
    for run in 0..runs {
        let from = scenario.owner(&tenant).await?;
        let to = if from == "node-1" { "node-2" } else { "node-1" };
        let before =
            scenario.cluster.simulator()?.sent(&tenant.phone, 0).await?.last().map_or(0, |last| last.index);
        write_for(&mut conversation, AROUND).await?;
        let request =
            StartMoveRequest { tenant_id: tenant.id.clone(), node_id: to.to_owned(), ..Default::default() };
        scenario.cluster.admin().operations().start_move(request).await?;
        let began = Instant::now();
        loop {
            conversation.say(5).await?;
            let worker = scenario.cluster.worker(&tenant.id).await?;
            if worker.node_id == to && is_connected(&worker) {
                break;
            }
            ensure!(
                began.elapsed() < WITHIN,
                "the move to {to} takes too long\n{}",
                scenario.cluster.diagnose().await
            );
            tokio::time::sleep(EVERY).await;
        }
        write_for(&mut conversation, AROUND).await?;
        scenario.settle(&conversation, WITHIN).await?;
        let sent = scenario.cluster.simulator()?.sent(&tenant.phone, before).await?;
        let silences = sent.windows(2).map(|pair| pair[1].at_ms.saturating_sub(pair[0].at_ms));
        gaps.push(silences.max().unwrap_or_default() as f64 / 1e3);
        eprintln!("move {} of {runs}: {:.2} s of silence", run + 1, gaps[run]);
    }
    ensure!(scenario.cluster.scans() == scans, "a move needed a new scan");
    judge::never_two_browsers(&scenario.cluster.simulator()?.connections().await?)?;
    scenario.finish().await?;
    gaps.sort_by(f64::total_cmp);
    let p50 = percentile(&gaps, 50);
    report.row(
        format!("planned move, {runs} moves under load: longest silence p50 / worst"),
        format!("{p50:.2} / {:.2} s", percentile(&gaps, 100)),
        "about 4 s (best published hand-off, sockets without a browser)",
        format!("p50 at most {GAP_S} s, every message answered once"),
        p50 <= GAP_S,
    );
    Ok(())
}

async fn write_for(conversation: &mut Conversation, span: Duration) -> Result<()> {
    let mut pace = tokio::time::interval(EVERY);
    let until = Instant::now() + span;
    while Instant::now() < until {
        pace.tick().await;
        conversation.say(5).await?;
    }
    Ok(())
}

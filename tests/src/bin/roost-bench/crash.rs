//! From the crash of a node's working process to its tenants' claim elsewhere, and to all of them answering. The guard
//! lives and ends the lease, so nothing waits for a TTL. Two nodes take turns, as in the failover.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use roost_devcluster::Signal;
use roost_model::ids::TenantId;
use roost_tests::{Scenario, judge};

use crate::{
    claims::Claims,
    report::{Report, percentile},
    site::Site,
};

pub const TENANTS: usize = 4;
const WITHIN: Duration = Duration::from_secs(60);
const CLAIM_MS: f64 = 500.0;
const ANSWER_S: f64 = 1.2;

pub async fn measure(runs: usize, site: &Site, report: &mut Report) -> Result<()> {
    let (mut scenario, mut owner, mut spare) = start(site).await?;
    let scans = scenario.cluster.scans();
    let tenants = scenario.cluster.tenants().iter().map(|tenant| TenantId::new(&tenant.id));
    let tenants: Vec<TenantId> = tenants.collect::<Result<_, _>>()?;
    let (mut claims_ms, mut answers_s) = (Vec::new(), Vec::new());
    for run in 0..runs {
        scenario.spares_ready(&spare).await?;
        let endpoint = scenario.cluster.etcd().endpoint().to_owned();
        let claims = Claims::listen(&endpoint).await?;
        let began = Instant::now();
        crash(&mut scenario, &owner)?;
        let claimed = claims.elsewhere(owner.clone(), tenants.clone(), began, WITHIN).await?;
        answer_all(&scenario, run).await?;
        scenario.cluster.all_connected_on(&spare, WITHIN).await?;
        answers_s.push(began.elapsed().as_secs_f64());
        claims_ms.extend(claimed.iter().map(|claimed| claimed.as_secs_f64() * 1e3));
        eprintln!(
            "crash {} of {runs}: claimed after {claimed:.0?}, all answer after {:.2} s",
            run + 1,
            answers_s[run]
        );
        registered(&scenario, &owner).await?;
        std::mem::swap(&mut owner, &mut spare);
    }
    ensure!(scenario.cluster.scans() == scans, "a crash needed a new scan");
    judge::never_two_browsers(&scenario.cluster.simulator()?.connections().await?)?;
    scenario.finish().await?;
    tell(report, runs, claims_ms, answers_s);
    Ok(())
}

/// All tenants on a node, and another one that has none.
pub async fn start(site: &Site) -> Result<(Scenario, String, String)> {
    let mut scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (1, TENANTS);
        site.apply(options);
        // Crashing for a living.
        options.node_args = ["--max-restarts", "1000"].map(str::to_owned).to_vec();
    })
    .await?;
    let spare = scenario.cluster.add_node().await?;
    Ok((scenario, "node-1".to_owned(), spare))
}

/// Kills what does the node's work.
pub fn crash(scenario: &mut Scenario, node: &str) -> Result<()> {
    let node = scenario.cluster.node(node)?;
    let guard = node.pid().context("the node runs")?;
    let below = node.descendants();
    let child = below.iter().find(|process| process.parent == guard).context("the guard has a child")?;
    child.identity.signal(Signal::KILL)?;
    Ok(())
}

/// One message to each tenant, sent after the crash, is answered.
async fn answer_all(scenario: &Scenario, run: usize) -> Result<()> {
    let tenants: Vec<_> = (0..TENANTS).map(|index| scenario.tenant(index)).collect();
    let body = format!("crash {run}");
    try_join_all(tenants.iter().map(|tenant| scenario.answers(tenant, &body))).await.map(drop)
}

/// The guard has started the node again.
pub async fn registered(scenario: &Scenario, node: &str) -> Result<()> {
    let is_listed = || async {
        let request = roost_proto::v1::GetNodeRequest { id: node.to_owned() };
        scenario.cluster.admin().nodes().get_node(request).await.is_ok_and(|node| node.into_inner().live)
    };
    Ok(scenario.cluster.wait("the crashed node is back", WITHIN, is_listed).await?)
}

fn tell(report: &mut Report, runs: usize, mut claims_ms: Vec<f64>, mut answers_s: Vec<f64>) {
    claims_ms.sort_by(f64::total_cmp);
    answers_s.sort_by(f64::total_cmp);
    let p99 = percentile(&claims_ms, 99);
    report.row(
        format!("process crash, {runs} runs of {TENANTS} tenants, to claimed elsewhere: p50 / p99"),
        format!("{:.0} / {p99:.0} ms", percentile(&claims_ms, 50)),
        "the lease's TTL, 5 s, without a guard",
        format!("p99 at most {CLAIM_MS:.0} ms"),
        p99 <= CLAIM_MS,
    );
    let p50 = percentile(&answers_s, 50);
    report.row(
        "process crash, to all connected and answering: p50 / worst",
        format!("{p50:.2} / {:.2} s", percentile(&answers_s, 100)),
        "35 s (best published, sockets without a browser)",
        format!("p50 at most {ANSWER_S} s, no scan"),
        p50 <= ANSWER_S,
    );
}

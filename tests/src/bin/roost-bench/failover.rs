//! From SIGKILL of a node to all of its tenants answering elsewhere. Two nodes take turns: the one with the four tenants
//! is killed, and started again when the other one has them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use roost_model::ids::TenantId;
use roost_tests::{Scenario, judge};

use crate::{
    claims::Claims,
    report::{Report, percentile},
    site::Site,
};

const TENANTS: usize = 4;
const WITHIN: Duration = Duration::from_secs(60);
/// etcd ends a lease up to 0.6 s late.
const CLAIM_AFTER_TTL_S: f64 = 0.8;
const ANSWER_AFTER_TTL_S: f64 = 1.5;

pub async fn measure(runs: usize, site: &Site, report: &mut Report) -> Result<()> {
    // All tenants start on the first node; the second one joins empty-handed, for nothing moves that need not.
    let mut scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (1, TENANTS);
        site.apply(options);
    })
    .await?;
    let ttl = scenario.cluster.options().lease_ttl;
    let (mut owner, mut spare) = ("node-1".to_owned(), scenario.cluster.add_node().await?);
    let scans = scenario.cluster.scans();
    let mut conversations = Vec::new();
    for index in 0..TENANTS {
        conversations.push(scenario.conversation(&scenario.tenant(index))?);
    }
    let tenants = scenario.cluster.tenants().iter().map(|tenant| TenantId::new(&tenant.id));
    let tenants: Vec<TenantId> = tenants.collect::<Result<_, _>>()?;
    let (mut took, mut claimed_s) = (Vec::new(), Vec::new());
    for run in 0..runs {
        scenario.spares_ready(&spare).await?;
        for conversation in &mut conversations {
            conversation.say(5).await?;
        }
        let endpoint = scenario.cluster.etcd().endpoint().to_owned();
        let claims = Claims::listen(&endpoint).await?;
        let began = Instant::now();
        scenario.cluster.node(&owner)?.kill().await?;
        let claimed = tokio::spawn(claims.elsewhere(owner.clone(), tenants.clone(), began, WITHIN));
        for conversation in &mut conversations {
            for _ in 0..5 {
                conversation.say(5).await?;
            }
        }
        try_join_all(conversations.iter().map(|conversation| scenario.settle(conversation, WITHIN))).await?;
        scenario.cluster.all_connected_on(&spare, WITHIN).await?;
        took.push(began.elapsed().as_secs_f64());
        claimed_s.extend(claimed.await??.iter().map(Duration::as_secs_f64));
        eprintln!("failover {} of {runs}: {:.2} s", run + 1, took[run]);
        scenario.cluster.start_node(&owner).await?;
        std::mem::swap(&mut owner, &mut spare);
    }
    ensure!(scenario.cluster.scans() == scans, "a failover needed a new scan");
    judge::never_two_browsers(&scenario.cluster.simulator()?.connections().await?)?;
    scenario.finish().await?;
    took.sort_by(f64::total_cmp);
    let bound = ttl.as_secs_f64() + ANSWER_AFTER_TTL_S;
    let worst = percentile(&took, 100);
    report.row(
        format!("failover of {TENANTS} tenants, {runs} runs: p50 / worst"),
        format!("{:.2} / {worst:.2} s", percentile(&took, 50)),
        "35 s (best published, sockets without a browser)",
        format!("worst at most TTL + {ANSWER_AFTER_TTL_S} s = {bound:.1} s, no scan, none lost, none twice"),
        worst <= bound,
    );
    claimed_s.sort_by(f64::total_cmp);
    let (worst, bound) = (percentile(&claimed_s, 100), ttl.as_secs_f64() + CLAIM_AFTER_TTL_S);
    report.row(
        "machine loss, guard and process killed together, to claimed elsewhere: p50 / worst",
        format!("{:.2} / {worst:.2} s", percentile(&claimed_s, 50)),
        "the lease's TTL",
        format!("at most TTL + {CLAIM_AFTER_TTL_S} s = {bound:.1} s"),
        worst <= bound,
    );
    Ok(())
}

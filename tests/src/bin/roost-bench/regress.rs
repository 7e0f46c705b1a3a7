//! How old the session is that is restored after a crash, while every tenant is written to ten times a second: what the last
//! snapshot lacks of what the page had done. Nothing of the node that has crashed is used, as when its machine is lost. Beside
//! it what the snapshots cost a tenant under this load.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use roost_devcluster::{Connection, SentMessage};
use roost_tests::{Conversation, Scenario, processor_time::processor_time};
use tokio::{sync::watch, task::JoinSet, time::interval};

use crate::{
    crash::{TENANTS, crash, registered, start},
    load,
    report::{Report, percentile},
    site::Site,
};

const EVERY: Duration = Duration::from_millis(100);
const CHATS: usize = 5;
/// Before a crash everybody is written to for as long as this, and a part of that which differs each time.
const AT_LEAST: Duration = Duration::from_secs(4);
const WITHIN: Duration = Duration::from_secs(60);
/// A message and its answer, each of which moves the ratchet.
const STEPS: u64 = 2;
const STEADY: usize = 300;
const BOUND_S: f64 = 2.0;

pub async fn measure(runs: usize, site: &Site, report: &mut Report) -> Result<()> {
    let (mut scenario, mut owner, mut spare) = start(site).await?;
    cost(&mut scenario, &owner, report).await?;
    let (stop, stopped) = watch::channel(false);
    let mut writers = JoinSet::new();
    for index in 0..TENANTS {
        let conversation = scenario.conversation(&scenario.tenant(index))?;
        writers.spawn(write(conversation, stopped.clone()));
    }
    let mut crashes_ms = Vec::new();
    for run in 0..runs {
        // At any moment between two snapshots.
        let part = u32::try_from(run * 7 % 20)?;
        tokio::time::sleep(AT_LEAST + EVERY * part).await;
        crashes_ms.push(load::now_ms() as u64);
        crash(&mut scenario, &owner)?;
        scenario.cluster.all_connected_on(&spare, WITHIN).await?;
        registered(&scenario, &owner).await?;
        std::mem::swap(&mut owner, &mut spare);
        eprintln!("crash {} of {runs} under load", run + 1);
    }
    stop.send_replace(true);
    while let Some(conversation) = writers.join_next().await {
        if let Err(error) = scenario.settle(&conversation??, WITHIN).await {
            return Err(error.context(format!("what is left of the run: {}", scenario.keep().display())));
        }
    }
    let ages_s = ages_s(&scenario, &crashes_ms).await?;
    scenario.finish().await?;
    let p99 = percentile(&ages_s, 99);
    report.row(
        format!("session restored after a crash, 10 messages a second to each of {TENANTS} tenants, {runs} crashes: age p50 / p99"),
        format!("{:.2} / {p99:.2} s", percentile(&ages_s, 50)),
        "none published",
        format!("p99 at most {BOUND_S:.0} s"),
        p99 <= BOUND_S,
    );
    Ok(())
}

/// Of one tenant that is written to ten times a second.
async fn cost(scenario: &mut Scenario, owner: &str, report: &mut Report) -> Result<()> {
    let tenant = scenario.tenant(0);
    let node = scenario.cluster.node(owner)?;
    let guard = node.pid().context("the node runs")?;
    let pids: Vec<u32> =
        node.descendants().iter().map(|process| process.identity.pid).chain([guard]).collect();
    let (before, began) = (processor_time(pids.clone())?, Instant::now());
    let simulator = scenario.cluster.simulator()?;
    let answered = load::run(simulator, &tenant.phone, "steady", STEADY, Some(EVERY)).await?;
    let share = (processor_time(pids)? - before).as_secs_f64() / began.elapsed().as_secs_f64();
    let (p50, p99) = (percentile(&answered.latencies_ms, 50), percentile(&answered.latencies_ms, 99));
    report.row(
        format!("10 messages a second to one of {TENANTS} tenants, snapshots beside: p50 / p99, processors of the node with its browsers"),
        format!("{p50:.1} / {p99:.1} ms, {share:.2}"),
        "none published",
        "every one once",
        answered.wrong() == 0,
    );
    Ok(())
}

async fn write(mut conversation: Conversation, stopped: watch::Receiver<bool>) -> Result<Conversation> {
    let mut pace = interval(EVERY);
    while !*stopped.borrow() {
        pace.tick().await;
        conversation.say(CHATS).await?;
    }
    Ok(conversation)
}

/// Of what was restored after each crash, for each tenant, sorted.
async fn ages_s(scenario: &Scenario, crashes_ms: &[u64]) -> Result<Vec<f64>> {
    let simulator = scenario.cluster.simulator()?;
    let mut of_phones: BTreeMap<String, Vec<Connection>> = BTreeMap::new();
    for connection in simulator.connections().await?.connections {
        of_phones.entry(connection.phone.clone()).or_default().push(connection);
    }
    let mut ages_s = Vec::new();
    for (phone, connections) in of_phones {
        let sent = simulator.sent(&phone, 0).await?;
        for crash in crashes_ms {
            let next = connections.iter().find(|connection| connection.opened_at_ms > *crash);
            ages_s.push(age_s(&sent, *crash, next.context("every tenant was connected again")?.regressed_by));
        }
    }
    ensure!(ages_s.len() == crashes_ms.len() * TENANTS, "{} restored sessions", ages_s.len());
    ages_s.sort_by(f64::total_cmp);
    Ok(ages_s)
}

/// From the last answer that is in the session to the last before the crash.
fn age_s(sent: &[SentMessage], crash_ms: u64, steps: u64) -> f64 {
    let before: Vec<u64> = sent.iter().map(|message| message.at_ms).filter(|at| *at <= crash_ms).collect();
    let lost = usize::try_from(steps.div_ceil(STEPS)).unwrap_or(usize::MAX);
    let Some(last) = before.len().checked_sub(1) else { return 0.0 };
    (before[last] - before[last.saturating_sub(lost)]) as f64 / 1e3
}

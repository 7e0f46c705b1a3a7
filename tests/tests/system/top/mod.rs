//! `roost top` itself in a pseudo terminal, on a cluster of nodes without browsers.

mod terminal;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use roost_devcluster::{Cluster, Options};
use roost_proto::v1::{ConditionKind, ListWorkersRequest};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use terminal::{PATIENCE, Terminal};

async fn cluster(dir: &std::path::Path) -> Result<Cluster> {
    let options = Options {
        nodes: 2,
        tenants: 4,
        phones_scan: false,
        lease_ttl: Duration::from_secs(3),
        node_args: ["--engine", "null"].map(str::to_owned).to_vec(),
        ..Options::new(dir.join("state"))
    };
    Ok(Cluster::start(options).await?)
}

/// Waits until every worker is on a node and answers.
async fn settled(cluster: &Cluster) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let list = cluster.admin().workers().list_workers(ListWorkersRequest::default()).await?.into_inner();
        let is_up = |worker: &roost_proto::v1::Worker| {
            let kind = worker.condition.as_ref().map(|condition| condition.kind());
            !worker.node_id.is_empty() && kind == Some(ConditionKind::Answering)
        };
        if list.workers.iter().all(is_up) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{:?}", list.workers);
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn an_operator_looks_on_through_a_lost_node_and_a_lost_coordinator() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut cluster = cluster(dir.path()).await?;
    settled(&cluster).await?;
    let mut top = Terminal::open(&cluster, &["top"], 24, 80)?;
    let first =
        |screen: &str| screen.contains("2 nodes; 4 tenants: 4 connected") && screen.contains("demo-4");
    top.shows(first).await?;
    top.shows(|screen| screen.matches("live").count() == 2).await?;

    // The list is narrowed by what is typed, and wide again.
    top.press("/demo-3\r").await?;
    top.shows(|screen| screen.contains("1 of them shown") && !screen.contains("demo-4")).await?;
    top.press("\r").await?;
    top.shows(|screen| screen.contains("tenant demo-3") && screen.contains("roost-worker-demo-3")).await?;
    top.press("l").await?;
    top.shows(|screen| screen.contains("log of demo-3") && screen.contains("the worker begins")).await?;
    top.press("\u{1b}").await?;
    top.shows(|screen| screen.contains("1 of them shown")).await?;
    top.press("\u{1b}").await?;
    top.shows(first).await?;

    // What is asked of a server while it is away is asked again; the picture stays, and says so.
    cluster.coordinator().kill().await?;
    top.shows(|screen| screen.contains("NO ANSWER for") && screen.contains("demo-4")).await?;
    cluster.coordinator().start().await?;
    top.shows(|screen| !screen.contains("NO ANSWER") && first(screen)).await?;

    let lost = cluster.nodes()[1].id().to_owned();
    cluster.node(&lost)?.kill().await?;
    let other = cluster.nodes()[0].id().to_owned();
    top.shows(|screen| {
        let rows: Vec<_> =
            screen.lines().filter(|line| line.starts_with("demo-") && !line.contains(':')).collect();
        rows.len() == 4 && rows.iter().all(|row| row.contains(&other) && row.contains("answering"))
    })
    .await?;

    // A larger window has more columns.
    ensure!(!top.screen().contains("RESTARTS"));
    top.resize(48, 160).await?;
    top.shows(|screen| screen.contains("RESTARTS")).await?;

    top.signal(Signal::TERM)?;
    let status = top.ended().await?;
    ensure!(status.success(), "{status}");
    top.is_given_back().await?;
    cluster.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_said_before_the_screen_is_taken() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let cluster = cluster(dir.path()).await?;
    let mut top = Terminal::open(&cluster, &["top", "-l", "plan=,"], 24, 80)?;
    let status = top.ended().await?;
    ensure!(status.code() == Some(1), "{status}");
    top.shows(|screen| screen.contains("error: selector:")).await.context("a line says why")?;
    // Ctrl-C is a key on the raw terminal.
    let mut top = Terminal::open(&cluster, &["top", "--node", "node-1"], 24, 80)?;
    top.shows(|screen| screen.contains("asked for: --node node-1")).await?;
    top.press("\u{3}").await?;
    ensure!(top.ended().await?.success());
    top.is_given_back().await?;
    cluster.stop().await?;
    Ok(())
}

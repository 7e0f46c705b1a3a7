//! That a tenant is said to answer on fresh evidence alone: of its page, and of its node.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use roost_devcluster::{Road, Servers};
use roost_proto::v1::{
    ConditionChange, ConditionKind, ListConditionChangesRequest, WatchWorkersRequest, Worker,
};
use roost_tests::{SOON, Scenario};

/// Beside the bound that is documented: a look at the worker, and a machine that has more to do.
const SLACK: Duration = Duration::from_secs(5);
/// The next probe, and as long as it may take.
const PROBE: Duration = Duration::from_secs(3 + 8);
const HEARTBEAT: Duration = Duration::from_secs(10);

fn kind(worker: &Worker) -> ConditionKind {
    worker.condition.as_ref().map(|condition| condition.kind()).unwrap_or_default()
}

fn answers(worker: &Worker) -> bool {
    kind(worker) == ConditionKind::Answering
}

async fn changes(scenario: &Scenario, tenant: &str) -> Result<Vec<ConditionChange>> {
    let request = ListConditionChangesRequest { tenant_id: tenant.to_owned() };
    let told = scenario.cluster.admin().inspection().list_condition_changes(request).await?;
    Ok(told.into_inner().changes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_hangs_is_not_said_to_answer_and_is_again_when_it_is_healed() -> Result<()> {
    let heard_within = Duration::from_secs(5);
    let scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (1, 1);
        options.node_args = vec!["--heard-within".into(), "5s".into()];
    })
    .await?;
    let tenant = scenario.tenant(0);
    scenario.cluster.worker_until(&tenant.id, "answers", SOON, answers).await?;
    scenario.answers(&tenant, "before").await?;
    let before = changes(&scenario, &tenant.id).await?.len();
    scenario.cluster.simulator()?.hang(&tenant.phone).await?;
    let bound = heard_within + PROBE + SLACK;
    let says_so = |worker: &Worker| !answers(worker);
    scenario.cluster.worker_until(&tenant.id, "is not said to answer", bound, says_so).await?;
    scenario.cluster.worker_until(&tenant.id, "answers again", SOON * 2, answers).await?;
    scenario.answers(&tenant, "after").await?;
    let all = changes(&scenario, &tenant.id).await?;
    let since = &all[..all.len() - before];
    let heals = |change: &ConditionChange| {
        change.kind() == ConditionKind::Healing && !change.reason.is_empty() && change.time.is_some()
    };
    ensure!(since.iter().any(heals), "{since:?}");
    ensure!(since[0].kind() == ConditionKind::Answering, "{since:?}");
    ensure!(since.iter().all(|change| change.node_id == "node-1"), "{since:?}");
    scenario.finish().await
}

/// It holds its lease and its browsers, and its tenants are answered as far as that goes: but nobody can tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_reach_the_database_leaves_nobody_said_to_answer() -> Result<()> {
    let scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants, options.relays) = (1, 1, true);
    })
    .await?;
    let tenant = scenario.tenant(0);
    let worker = scenario.cluster.worker_until(&tenant.id, "answers", SOON, answers).await?;
    let postgres = Servers { etcd: false, postgres: true };
    scenario.cluster.roads().set(&worker.node_id, postgres, Road::Cut)?;
    let mut watch = watch(&scenario).await?;
    let bound = PROBE + HEARTBEAT + SLACK;
    let silent = scenario
        .cluster
        .worker_until(&tenant.id, "is not said to answer", bound, |worker| !answers(worker))
        .await?;
    let condition = silent.condition.context("it has one")?;
    ensure!(condition.kind() == ConditionKind::WaitingForNode, "{condition:?}");
    ensure!(condition.reason.ends_with("node node-1 reports nothing of it"), "{condition:?}");
    // Who follows is told as well, without a write that would tell of it.
    told(&mut watch, |worker| kind(worker) == ConditionKind::WaitingForNode).await?;
    scenario.cluster.roads().set(&worker.node_id, postgres, Road::Open)?;
    scenario.cluster.worker_until(&tenant.id, "answers again", SOON, answers).await?;
    told(&mut watch, answers).await?;
    let same = scenario.cluster.worker(&tenant.id).await?;
    ensure!((same.generation, same.restarts) == (worker.generation, worker.restarts), "{same:?}");
    scenario.finish().await
}

type Watch = tonic::Streaming<roost_proto::v1::WatchWorkersResponse>;

async fn watch(scenario: &Scenario) -> Result<Watch> {
    Ok(scenario.cluster.admin().workers().watch_workers(WatchWorkersRequest::default()).await?.into_inner())
}

async fn told(watch: &mut Watch, wanted: impl Fn(&Worker) -> bool) -> Result<()> {
    let told = async {
        while let Some(news) = watch.message().await? {
            if news.worker.as_ref().is_some_and(&wanted) {
                return Ok(());
            }
        }
        anyhow::bail!("the stream has ended")
    };
    tokio::time::timeout(SOON, told).await.context("nothing was told")?
}

//! Nodes that live and cannot do their work: they are named, take nobody, and lose their tenants to those that can.

use anyhow::{Context, Result, ensure};
use roost_devcluster::is_connected;
use roost_proto::v1::{
    GetNodeRequest, GetOperationRequest, Impairment, Node, Operation, OperationState, StartMoveRequest,
    StartRebalanceRequest, Worker,
};
use roost_tests::{SOON, Scenario, breakable_browser::BreakableBrowser, own_mount::OwnMount};

/// `ro` or `rw`, for this node alone.
fn remount(scenario: &mut Scenario, node: &str, store: &OwnMount, mode: &str) -> Result<()> {
    store.remount(scenario.cluster.node(node)?.pid().context("it runs")?, mode)
}

async fn node(scenario: &Scenario, id: &str) -> Result<Node> {
    let request = GetNodeRequest { id: id.to_owned() };
    Ok(scenario.cluster.admin().nodes().get_node(request).await?.into_inner())
}

/// Waits until it says that it lacks this and nothing else, or nothing at all.
async fn lacks(scenario: &Scenario, id: &str, kind: Option<&str>) -> Result<Option<Impairment>> {
    let what = format!("{id} lacks {kind:?}");
    let says = |node: &Node| node.impairments.iter().map(|it| it.kind.as_str()).eq(kind);
    scenario
        .cluster
        .wait(&what, SOON * 2, || async { node(scenario, id).await.is_ok_and(|node| says(&node)) })
        .await?;
    Ok(node(scenario, id).await?.impairments.into_iter().next())
}

async fn is_not_ready_because(scenario: &mut Scenario, id: &str, reason: &str) -> Result<()> {
    let (status, body) = scenario.cluster.node(id)?.get("/readyz").await?;
    ensure!(status == 503 && body.contains(reason), "{id} is ready: {status} {body}, and not {reason:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_start_browsers_takes_nobody_and_what_cannot_save_is_left() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let browser = BreakableBrowser::make(dir.path(), "node-3")?;
    browser.spoil()?;
    let snapshots = dir.path().join("snapshots");
    std::fs::create_dir(&snapshots)?;
    let store = OwnMount::of(&snapshots);
    let mut scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (2, 2);
        options.node_through = store.through();
        options.object_store = Some(snapshots.clone());
        options.browsers.insert("node-3".into(), browser.command());
    })
    .await?;
    let (leaves, stays) = (scenario.tenant(0), scenario.tenant(1));
    let grey = scenario.owner(&leaves).await?;
    let well = scenario.owner(&stays).await?;
    ensure!(grey != well, "each node has a tenant");
    let mut conversations = [scenario.conversation(&leaves)?, scenario.conversation(&stays)?];
    remount(&mut scenario, &grey, &store, "ro")?;

    let newcomer = scenario.cluster.add_node().await?;
    let reason = lacks(&scenario, &newcomer, Some("browser")).await?.context("it says why")?.reason;
    ensure!(reason.contains("the browser is broken"), "{reason}");
    is_not_ready_because(&mut scenario, &newcomer, "no browser can be started").await?;
    nothing_moves_to(&scenario, &newcomer, &stays.id).await?;

    // What cannot be saved is the reason to look at the store.
    for conversation in &mut conversations {
        conversation.say(2).await?;
    }
    let reason = lacks(&scenario, &grey, Some("object_store")).await?.context("it says why")?.reason;
    ensure!(reason.contains("Read-only file system"), "{reason}");
    is_not_ready_because(&mut scenario, &grey, "the object store takes nothing").await?;
    let elsewhere = |worker: &Worker| is_connected(worker) && worker.node_id == well;
    scenario.cluster.worker_until(&leaves.id, "has left", SOON * 3, elsewhere).await?;
    for conversation in &mut conversations {
        conversation.say(2).await?;
        scenario.settle(conversation, SOON).await?;
    }

    browser.mend()?;
    remount(&mut scenario, &grey, &store, "rw")?;
    for (node, tenant) in [(&newcomer, &leaves), (&grey, &stays)] {
        lacks(&scenario, node, None).await?;
        let moved = || async { moved_to(&scenario, node, &tenant.id).await.is_ok_and(|moved| moved) };
        scenario.cluster.wait("who is well again takes tenants", SOON, moved).await?;
        scenario.answers(tenant, "from there").await?;
    }
    scenario.finish().await
}

/// A rebalance leaves everybody where they are, and whoever is ordered there stays where he runs.
async fn nothing_moves_to(scenario: &Scenario, newcomer: &str, tenant: &str) -> Result<()> {
    let mut operations = scenario.cluster.admin().operations();
    let rebalance = operations.start_rebalance(StartRebalanceRequest::default()).await?.into_inner();
    let rebalance = ended(scenario, rebalance.id).await?;
    ensure!(rebalance.moves.is_empty(), "it has moved somebody: {rebalance:?}");
    let ordered = ordered_to(scenario, newcomer, tenant).await?;
    ensure!(ordered.state() == OperationState::Failed && ordered.moves.is_empty(), "{ordered:?}");
    ensure!(ordered.message.contains(newcomer) && ordered.message.contains("browser"), "{ordered:?}");
    for worker in scenario.cluster.workers().await? {
        ensure!(is_connected(&worker) && worker.node_id != newcomer, "{worker:?}");
    }
    Ok(())
}

async fn ordered_to(scenario: &Scenario, node: &str, tenant: &str) -> Result<Operation> {
    let request =
        StartMoveRequest { tenant_id: tenant.into(), node_id: node.into(), ..StartMoveRequest::default() };
    let ordered = scenario.cluster.admin().operations().start_move(request).await?.into_inner();
    ended(scenario, ordered.id).await
}

/// It takes nobody until it has been well for some seconds.
async fn moved_to(scenario: &Scenario, node: &str, tenant: &str) -> Result<bool> {
    Ok(ordered_to(scenario, node, tenant).await?.state() == OperationState::Done)
}

async fn ended(scenario: &Scenario, id: i64) -> Result<Operation> {
    let get =
        || async { scenario.cluster.admin().operations().get_operation(GetOperationRequest { id }).await };
    let over = || async { get().await.is_ok_and(|it| it.get_ref().state() != OperationState::Running) };
    scenario.cluster.wait("the operation is over", SOON, over).await?;
    Ok(get().await?.into_inner())
}

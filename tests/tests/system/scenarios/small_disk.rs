//! The disk that a node keeps its state and its browsers' profiles on is full, then read-only: the node says so of itself as soon as a
//! save fails, the tenant is told what is in the way, nothing of it is lost, and it goes on by itself when there is room again.

use anyhow::{Context, Result, ensure};
use roost_devcluster::Signal;
use roost_proto::v1::{ConditionKind, GetNodeRequest, RestartWorkerRequest, Worker};
use roost_tests::{Conversation, SOON, Scenario, own_mount::OwnMount};

const NODE: &str = "node-1";

/// Waits until the node says this of its state directory, or nothing.
async fn node_says(scenario: &Scenario, words: Option<&str>) -> Result<()> {
    let says = || async {
        let node = scenario.cluster.admin().nodes().get_node(GetNodeRequest { id: NODE.to_owned() }).await;
        node.is_ok_and(|node| {
            let mut found = node.get_ref().impairments.iter().filter(|it| it.kind == "state_directory");
            match words {
                Some(words) => found.any(|it| it.reason.contains(words)),
                None => found.next().is_none(),
            }
        })
    };
    Ok(scenario.cluster.wait(&format!("{NODE} says of its state directory: {words:?}"), SOON, says).await?)
}

/// Everything that was said meanwhile is answered, once.
async fn goes_on(scenario: &Scenario, tenant: &str, conversation: &Conversation) -> Result<()> {
    scenario.cluster.tenant_connected(tenant, SOON).await?;
    scenario.settle(conversation, SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_and_a_read_only_disk_are_told_and_nothing_is_lost() -> Result<()> {
    let mut disk = None;
    let mut scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (1, 1);
        let state = options.state_dir.join("nodes").join(NODE);
        std::fs::create_dir_all(&state).expect("a place to mount at");
        options.node_through = disk.insert(OwnMount::small_disk(&state)).through();
    })
    .await?;
    let (disk, tenant, scans) =
        (disk.context("it is mounted")?, scenario.tenant(0), scenario.cluster.scans());
    let mut conversation = scenario.conversation(&tenant)?;
    conversation.say(2).await?;
    scenario.settle(&conversation, SOON).await?;
    let node = scenario.cluster.node(NODE)?.pid().context("it runs")?;

    // A browser whose profile is there starts on a full disk and answers; what it has to save at the end is not saved, and the node
    // looks at its disk for that and not at the next minute.
    disk.fill(node)?;
    let restart = RestartWorkerRequest { tenant_id: tenant.id.clone() };
    scenario.cluster.admin().workers().restart_worker(restart).await?;
    node_says(&scenario, Some("No space left on device")).await?;
    conversation.say(2).await?;
    disk.empty(node)?;
    goes_on(&scenario, &tenant.id, &conversation).await?;
    node_says(&scenario, None).await?;

    // One that has to start on a read-only disk cannot, and its tenant waits for the node.
    disk.remount(node, "ro")?;
    let browsers = scenario.cluster.node(NODE)?.descendants();
    let browser = browsers.iter().find(|process| process.command.contains("--user-data-dir="));
    browser.context("it has a browser")?.identity.signal(Signal::KILL)?;
    let waits = |worker: &Worker| {
        let condition = worker.condition.as_ref();
        condition.is_some_and(|condition| condition.kind() == ConditionKind::WaitingForNode)
            && worker.last_error.contains("Read-only file system")
    };
    scenario.cluster.worker_until(&tenant.id, "waits for its node", SOON, waits).await?;
    conversation.say(2).await?;
    disk.remount(node, "rw")?;
    goes_on(&scenario, &tenant.id, &conversation).await?;

    ensure!(scenario.cluster.scans() == scans, "a fault of the disk needed a new scan");
    scenario.finish().await
}

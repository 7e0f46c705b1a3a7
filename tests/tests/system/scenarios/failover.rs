//! A node goes, its tenants come up elsewhere with the same session.

use std::time::{Duration, Instant};

use roost_cluster::timing::Timing;
use roost_devcluster::{Identity, Signal, TenantRecord};
use roost_tests::{SOON, Scenario};

/// Waits until the tenant is connected on another node than `old`, with a higher generation than `before`.
async fn moved_away(
    scenario: &Scenario,
    tenant: &TenantRecord,
    old: &str,
    before: i64,
) -> anyhow::Result<()> {
    let connected_elsewhere = |worker: &roost_proto::v1::Worker| {
        roost_devcluster::is_connected(worker) && worker.node_id != old && worker.generation > before
    };
    scenario.cluster.worker_until(&tenant.id, "is connected elsewhere", SOON, connected_elsewhere).await?;
    Ok(())
}

/// Signals the process that does a node's work, which is the child of the one that was started, its guard; the guard's pid.
pub fn signal_working_process(scenario: &mut Scenario, node: &str, signal: Signal) -> anyhow::Result<u32> {
    let child = machine_child(scenario, node)?;
    assert!(child.signal(signal)?);
    Ok(scenario.cluster.node(node)?.pid().expect("it runs"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_nodes_tenants_are_answered_from_another_without_a_scan() -> anyhow::Result<()> {
    let mut scenario = Scenario::start(2, 2).await?;
    for index in 0..2 {
        scenario.answers(&scenario.tenant(index), "before").await?;
    }
    let scans = scenario.cluster.scans();
    let victim = scenario.tenant(0);
    let worker = scenario.cluster.worker(&victim.id).await?;
    scenario.cluster.node(&worker.node_id)?.kill().await?;
    moved_away(&scenario, &victim, &worker.node_id, worker.generation).await?;
    for index in 0..2 {
        scenario.answers(&scenario.tenant(index), "after").await?;
    }
    assert_eq!(scenario.cluster.scans(), scans, "a failover must not need a new scan");
    scenario.finish().await
}

/// The survivor waits for a TTL, since they may be back, and then takes a few at a time: nobody has to resume anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tenants_of_two_of_three_nodes_killed_at_once_are_all_answered_again_by_themselves()
-> anyhow::Result<()> {
    const TENANTS: usize = 6;
    let mut scenario = Scenario::start(3, TENANTS).await?;
    let nodes: Vec<String> = scenario.cluster.nodes().iter().map(|node| node.id().to_owned()).collect();
    let mut conversations = (0..TENANTS)
        .map(|index| scenario.conversation(&scenario.tenant(index)))
        .collect::<Result<Vec<_>, _>>()?;
    let ttl = Timing::default().ttl;
    let killed_at = Instant::now();
    for node in &nodes[..2] {
        let child = machine_child(&mut scenario, node)?;
        let guard = scenario.cluster.node(node)?;
        guard.signal(Signal::KILL)?;
        child.signal(Signal::KILL)?;
    }
    for conversation in &mut conversations {
        conversation.say(2).await?;
    }
    for conversation in &conversations {
        scenario.settle(conversation, SOON).await?;
    }
    let took = killed_at.elapsed();
    let bound = ttl * 2 + Duration::from_secs(4);
    assert!(took > ttl, "they were not waited for: {took:?}");
    assert!(took <= bound, "all were answered {took:?} after the kill, and {bound:?} is the most");
    scenario.finish().await
}

fn machine_child(scenario: &mut Scenario, node: &str) -> anyhow::Result<Identity> {
    let node = scenario.cluster.node(node)?;
    let guard = node.pid().expect("it runs");
    let child = node.descendants().into_iter().find(|process| process.parent == guard);
    Ok(child.expect("the guard has a child").identity)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_messages_during_a_failover_are_each_answered_once_and_in_order() -> anyhow::Result<()> {
    let mut scenario = Scenario::start(2, 1).await?;
    let tenant = scenario.tenant(0);
    let worker = scenario.cluster.worker(&tenant.id).await?;
    let mut conversation = scenario.conversation(&tenant)?;
    for _ in 0..20 {
        conversation.say(5).await?;
    }
    // In the middle of a burst, so that messages are in every step of the pipeline.
    scenario.cluster.node(&worker.node_id)?.signal(Signal::KILL)?;
    let mut pace = tokio::time::interval(Duration::from_millis(150));
    for _ in 0..30 {
        pace.tick().await;
        conversation.say(5).await?;
    }
    moved_away(&scenario, &tenant, &worker.node_id, worker.generation).await?;
    scenario.settle(&conversation, SOON).await?;
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_asked_to_stop_hands_its_tenants_over_and_exits_cleanly() -> anyhow::Result<()> {
    let mut scenario = Scenario::start(2, 2).await?;
    let tenant = scenario.tenant(0);
    let worker = scenario.cluster.worker(&tenant.id).await?;
    let mut conversation = scenario.conversation(&tenant)?;
    for _ in 0..10 {
        conversation.say(3).await?;
    }
    let node = scenario.cluster.node(&worker.node_id)?;
    let ended = node.terminate().await?.expect("it ran");
    assert!(ended.success(), "a graceful stop exits with 0, this with {ended}");
    for _ in 0..10 {
        conversation.say(3).await?;
    }
    moved_away(&scenario, &tenant, &worker.node_id, worker.generation).await?;
    scenario.settle(&conversation, SOON).await?;
    let connections = scenario.cluster.simulator()?.connections().await?.connections;
    let regressed = connections.iter().map(|connection| connection.regressed_by).max();
    assert_eq!(regressed, Some(0), "a handed-over session loses nothing of its ratchet");
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_working_process_is_started_again_by_its_guard_and_its_tenants_run_again()
-> anyhow::Result<()> {
    let mut scenario = Scenario::start(1, 1).await?;
    let tenant = scenario.tenant(0);
    scenario.answers(&tenant, "before").await?;
    let worker = scenario.cluster.worker(&tenant.id).await?;
    let guard = signal_working_process(&mut scenario, &worker.node_id, Signal::KILL)?;
    let again = |now: &roost_proto::v1::Worker| {
        roost_devcluster::is_connected(now) && now.generation > worker.generation
    };
    scenario.cluster.worker_until(&tenant.id, "runs again", SOON, again).await?;
    scenario.answers(&tenant, "after").await?;
    assert_eq!(scenario.cluster.node(&worker.node_id)?.pid(), Some(guard), "the guard lives on");
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_working_process_loses_its_browsers_before_its_tenants_run_elsewhere() -> anyhow::Result<()>
{
    let mut scenario = Scenario::start(2, 1).await?;
    let tenant = scenario.tenant(0);
    let worker = scenario.cluster.worker(&tenant.id).await?;
    signal_working_process(&mut scenario, &worker.node_id, Signal::STOP)?;
    moved_away(&scenario, &tenant, &worker.node_id, worker.generation).await?;
    scenario.answers(&tenant, "from elsewhere").await?;
    scenario.finish().await
}

/// Ctrl-Z in the node's terminal: guard and child stand still and the browsers run on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_stopped_with_its_guard_leaves_no_second_session() -> anyhow::Result<()> {
    let mut scenario = Scenario::start(2, 1).await?;
    let tenant = scenario.tenant(0);
    let worker = scenario.cluster.worker(&tenant.id).await?;
    let mut conversation = scenario.conversation(&tenant)?;
    conversation.say(5).await?;
    let guard = scenario.cluster.node(&worker.node_id)?.pid().and_then(Identity::of).expect("it runs");
    assert!(guard.signal(Signal::STOP)?);
    signal_working_process(&mut scenario, &worker.node_id, Signal::STOP)?;
    let frozen_at = Instant::now();
    let ttl = Timing::default().ttl;
    let mut pace = tokio::time::interval(Duration::from_millis(200));
    while frozen_at.elapsed() < ttl * 2 {
        pace.tick().await;
        conversation.say(1).await?;
    }
    moved_away(&scenario, &tenant, &worker.node_id, worker.generation).await?;
    assert!(guard.signal(Signal::CONT)?);
    scenario.settle(&conversation, SOON).await?;
    // Two sessions at once are found by the judge.
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_browser_is_replaced_on_its_node() -> anyhow::Result<()> {
    let mut scenario = Scenario::start(1, 1).await?;
    let tenant = scenario.tenant(0);
    scenario.answers(&tenant, "before").await?;
    let (scans, node) = (scenario.cluster.scans(), scenario.owner(&tenant).await?);
    let browsers: Vec<_> = scenario.cluster.node(&node)?.descendants();
    let browser =
        browsers.iter().find(|process| process.command.contains("--user-data-dir")).expect("a browser");
    assert!(browser.identity.signal(Signal::KILL)?);
    scenario.answers(&tenant, "after").await?;
    assert_eq!(scenario.cluster.scans(), scans);
    scenario.finish().await
}

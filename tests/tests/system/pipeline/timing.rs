//! A worker whose tenant has times and numbers of its own: they come before its node's, also on a worker that runs.

use std::time::Duration;

use roost_engine::PageEvent;
use roost_model::TimingOverrides;
use roost_node::worker::{State, StopMode, WorkerHandle};
use roost_store::{ConditionKind, TenantPatch, TenantStatus, WorkerStatus};
use tokio::time::{Instant, timeout};

use crate::pipeline::node::{Node, wait};

const SECOND: Duration = Duration::from_secs(1);

async fn settle(node: &Node, timing: TimingOverrides) {
    let patch = TenantPatch { timing: Some(timing), ..TenantPatch::default() };
    node.bed.store.update_tenant(&node.bed.id, patch).await.unwrap();
}

async fn pass_on(node: &Node, worker: &WorkerHandle) {
    worker.update(node.bed.store.worker_spec(&node.bed.id).await.unwrap());
}

/// The page of a worker that runs.
async fn crash(node: &Node, worker: &WorkerHandle) {
    node.wait_until_running(worker).await;
    node.raise(PageEvent::Crashed { reason: "out of memory".into() });
    wait(worker, |state| !matches!(state, State::Running { .. })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_crashes_as_often_as_its_tenant_says_is_given_up_and_a_restart_begins_anew() {
    let node = Node::new().await;
    let soon = TimingOverrides {
        reconnect_delay: Some(SECOND / 10),
        reconnect_delay_max: Some(SECOND / 10),
        ..TimingOverrides::default()
    };
    settle(&node, soon).await;
    let worker = node.running("a").await;
    for _ in 0..2 {
        crash(&node, &worker).await;
    }
    node.wait_until_running(&worker).await;
    // Settled on a worker that runs: what has crashed before counts, and its browser stays.
    settle(&node, TimingOverrides { max_crashes: Some(3), crash_window: Some(SECOND * 600), ..soon }).await;
    pass_on(&node, &worker).await;
    assert!(node.engine.is_open(&node.bed.id));
    node.until("the number that holds", async || {
        worker.settings().iter().any(|it| it.name == "max_crashes" && it.value == "3" && it.is_tenants_own)
    })
    .await;
    crash(&node, &worker).await;
    wait(&worker, |state| matches!(state, State::Error { .. })).await;
    node.until_it_waits_for(ConditionKind::Failed).await;
    node.until("ERROR", async || node.bed.tenant().await.status == TenantStatus::Error).await;
    let shown = node.bed.store.get_worker(&node.bed.id).await.unwrap();
    assert_eq!(shown.status, WorkerStatus::Error);
    assert!(shown.last_error.starts_with("crash loop: 3 crashes within 10m, the last one"), "{shown:?}");
    assert!(!node.engine.is_open(&node.bed.id), "no browser runs");

    node.bed.store.restart_worker(&node.bed.id).await.unwrap();
    pass_on(&node, &worker).await;
    crash(&node, &worker).await;
    node.wait_until_running(&worker).await;
    worker.stop(StopMode::Kill).await;
}

/// Its node gives a page 30 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_shows_nothing_is_given_up_at_its_tenants_own_deadline() {
    let node = Node::new().await;
    settle(&node, TimingOverrides { start_deadline: Some(SECOND * 5), ..TimingOverrides::default() }).await;
    let worker = node.running("a").await;
    let since = Instant::now();
    node.raise(PageEvent::Loaded);
    wait(&worker, |state| matches!(state, State::Connecting { .. })).await;
    let is_overdue = |state: &State| matches!(state, State::Reconnecting { .. });
    timeout(SECOND * 20, wait(&worker, is_overdue)).await.expect("the tenant's deadline, not its node's");
    assert!(since.elapsed() >= SECOND * 4, "after {:?}", since.elapsed());
    let told = worker.state().borrow().to_string();
    assert!(told.contains("neither a session nor a code in time"), "{told}");
    worker.stop(StopMode::Kill).await;
}

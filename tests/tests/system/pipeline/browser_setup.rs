//! How a tenant's browser is set up: as its tenant has it when it starts, and not before.

use roost_engine::null::NullEngine;
use roost_model::BrowserSettings;
use roost_node::worker::{State, StopMode};
use roost_store::TenantPatch;

use crate::pipeline::{
    node::{Node, wait},
    worker::warmed,
};

async fn set(node: &Node, time_zone: &str) {
    let browser = BrowserSettings { time_zone: Some(time_zone.into()), ..BrowserSettings::default() };
    let patch = TenantPatch { browser: Some(browser), ..TenantPatch::default() };
    node.bed.store.update_tenant(&node.bed.id, patch).await.unwrap();
}

fn time_zone(node: &Node, engine: &NullEngine) -> Option<String> {
    engine.setup(&node.bed.id).unwrap().settings.time_zone
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_settled_of_a_browser_counts_from_its_next_start() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    set(&node, "Africa/Nairobi").await;
    worker.update(node.bed.store.worker_spec(&node.bed.id).await.unwrap());
    assert_eq!(time_zone(&node, &node.engine), None, "the one that runs stays as it is");
    node.bed.store.restart_worker(&node.bed.id).await.unwrap();
    worker.update(node.bed.store.worker_spec(&node.bed.id).await.unwrap());
    wait(&worker, |state| !matches!(state, State::Running { .. })).await;
    node.wait_until_running(&worker).await;
    assert_eq!(time_zone(&node, &node.engine).as_deref(), Some("Africa/Nairobi"));
    worker.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_browser_is_used_only_if_it_was_started_as_the_tenant_has_it_now() {
    let node = Node::new().await;
    set(&node, "Africa/Nairobi").await;
    let old = node.running("a").await;
    for (name, before_it_comes) in [("b", "Africa/Nairobi"), ("c", "Africa/Dar_es_Salaam")] {
        let there = NullEngine::default();
        let warm = warmed(&node, &there, name, old.generation()).await;
        old.stop(StopMode::Graceful).await;
        set(&node, before_it_comes).await;
        let fence = node.bed.place().await;
        let new = node.spawn_with(fence, name, there.clone(), Some(warm)).await;
        node.wait_until_running(&new).await;
        assert!(!there.is_warm(&node.bed.id), "{name}");
        assert_eq!(time_zone(&node, &there).as_deref(), Some(before_it_comes), "{name}");
        new.stop(StopMode::Graceful).await;
    }
}

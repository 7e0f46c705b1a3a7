//! A worker whose node has spare browsers, on the null engine.

use std::path::{Path, PathBuf};

use roost_engine::null::NullEngine;
use roost_model::BrowserSettings;
use roost_node::{
    resources::Resources,
    spares::Spares,
    worker::{StopMode, WorkerHandle},
};
use roost_store::TenantPatch;
use tokio_util::task::AbortOnDropHandle;

use crate::pipeline::node::Node;

/// A node with one spare browser of its own engine, and whoever keeps it.
async fn with_a_spare(node: &mut Node, name: &str) -> (NullEngine, AbortOnDropHandle<()>) {
    let engine = NullEngine::default();
    node.spares = Spares::new(1, Resources::default());
    let keeping = node.spares.clone().keep(node.env(name, engine.clone()), node.standing.subscribe());
    let keeping = AbortOnDropHandle::new(tokio::spawn(keeping));
    node.until("a spare is ready", async || node.spares.status().ready == 1).await;
    (engine, keeping)
}

async fn moved_to(node: &Node, name: &str, engine: &NullEngine) -> WorkerHandle {
    let fence = node.bed.place().await;
    let worker = node.spawn_with(fence, name, engine.clone(), None).await;
    node.wait_until_running(&worker).await;
    worker
}

/// Where a spare browser was started, as a link that shows where its directory is.
fn links(node: &Node, name: &str) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(node.bed.dir.path().join(name).join(".spares")).unwrap();
    listed.flatten().filter_map(|entry| std::fs::read_link(entry.path().join("browser")).ok()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_comes_here_is_opened_in_a_spare_browser_with_its_last_state() {
    let mut node = Node::new().await;
    node.running("a").await.stop(StopMode::Graceful).await;
    let (there, _keeping) = with_a_spare(&mut node, "b").await;
    let worker = moved_to(&node, "b", &there).await;
    assert_eq!((node.spares.status().adopted, node.spares.status().missed), (1, 0));
    let links_to = links(&node, "b");
    assert!(links_to.len() == 1 && links_to[0].ends_with("current/browser"), "{links_to:?}");
    let session = links_to[0].join("Default/IndexedDB/null");
    assert_eq!(std::fs::read_to_string(session).unwrap(), "duka");
    worker.stop(StopMode::Graceful).await;
    drop(worker);
    node.until("the link is gone with the browser", async || links(&node, "b").is_empty()).await;

    // The session is here by now: only a browser that starts with it has what it wrote last.
    node.until("another one is ready", async || node.spares.status().ready == 1).await;
    let again = moved_to(&node, "b", &there).await;
    assert_eq!(node.spares.status().adopted, 1);
    assert_eq!(there.spares(), 1, "it was not wasted");
    again.stop(StopMode::Kill).await;
    assert!(Path::new(&links_to[0]).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_with_settings_of_its_own_starts_a_browser_of_its_own() {
    let mut node = Node::new().await;
    node.running("a").await.stop(StopMode::Graceful).await;
    let (there, _keeping) = with_a_spare(&mut node, "b").await;
    let languages = vec!["sw".to_owned()];
    let patch = TenantPatch {
        browser: Some(BrowserSettings { languages, ..BrowserSettings::default() }),
        ..TenantPatch::default()
    };
    node.bed.store.update_tenant(&node.bed.id, patch).await.unwrap();
    let worker = moved_to(&node, "b", &there).await;
    assert_eq!((node.spares.status().adopted, node.spares.status().missed, there.spares()), (0, 1, 1));
    assert_eq!(there.setup(&node.bed.id).unwrap().settings.languages, ["sw"]);
    worker.stop(StopMode::Kill).await;
}

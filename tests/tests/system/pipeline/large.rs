//! A worker that is asked to stop with a large session: its last state is saved, and what cannot be is told.

use std::{
    fs,
    path::{Path, PathBuf},
};

use roost_cluster::ledger::EventKind;
use roost_node::worker::StopMode;
use roost_store::EventFilter;

use crate::pipeline::node::Node;

const BYTES: usize = 200 << 20;
const LARGE: &str = "Default/IndexedDB/large";
const LAST: &str = "Default/IndexedDB/last";

impl Node {
    fn browser_dir(&self, name: &str) -> PathBuf {
        let mut profiles = fs::read_dir(self.bed.dir.path().join(name)).unwrap();
        profiles.next().unwrap().unwrap().path().join("current/browser")
    }

    fn blobs(&self) -> PathBuf {
        let uid = fs::read_dir(self.bed.dir.path().join("objects")).unwrap();
        let uid = uid.map(|entry| entry.unwrap().path()).find(|path| path.join("blobs").is_dir());
        uid.expect("something is saved").join("blobs")
    }
}

/// A quarter of it does not become smaller.
fn write_large(path: &Path) {
    let (mut content, mut state) = (vec![7; BYTES], 1_u64);
    for word in content.chunks_mut(4096).step_by(4).flat_map(|page| page.chunks_exact_mut(8)) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        word.copy_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    fs::write(path, content).unwrap();
}

fn files(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_saves_the_last_state_of_a_large_session_and_uses_the_save_that_is_under_way() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    let pointer = async || node.bed.store.snapshot_pointer(&node.bed.id).await.unwrap();
    node.until("a snapshot of the linking", async || pointer().await.is_some()).await;
    let before = files(&node.blobs());
    let browser_dir = node.browser_dir("a");
    write_large(&browser_dir.join(LARGE));
    node.until("a save of it is under way", async || files(&node.blobs()) > before + 2).await;
    fs::write(browser_dir.join(LAST), "written last").unwrap();
    worker.stop(StopMode::Graceful).await;
    let last = pointer().await.unwrap();
    assert!(last.clean && last.generation == worker.generation());
    let stored = files(&node.blobs()) - before;
    assert!((50..75).contains(&stored), "{stored} blobs: 50 pieces, each once");

    let next = node.running("b").await;
    let restored = node.browser_dir("b");
    assert_eq!(fs::read_to_string(restored.join(LAST)).unwrap(), "written last");
    assert!(fs::read(restored.join(LARGE)).unwrap() == fs::read(browser_dir.join(LARGE)).unwrap());
    next.stop(StopMode::Graceful).await;
    let again = files(&node.blobs()) - before - stored;
    assert!(again < 25, "{again} blobs: what was restored is not uploaded again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stop_could_not_save_is_in_the_history() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    node.until("a snapshot", async || node.bed.store.snapshot_pointer(&node.bed.id).await.unwrap().is_some())
        .await;
    fs::write(node.browser_dir("a").join(LAST), "lost").unwrap();
    let blobs = node.blobs();
    fs::remove_dir_all(&blobs).unwrap();
    fs::write(&blobs, "in the way").unwrap();
    worker.stop(StopMode::Graceful).await;
    let events = node.bed.store.list_events(&EventFilter::default(), None, 10).await.unwrap();
    let told = events.iter().find(|event| event.kind == EventKind::SessionNotSaved).unwrap();
    assert_eq!(told.tenant.as_ref(), Some(&node.bed.id));
    assert!(told.text.starts_with("the last state of the session was not saved ("), "{}", told.text);
}

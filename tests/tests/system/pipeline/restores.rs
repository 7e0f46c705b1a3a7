//! A worker that is ordered to go back to an older snapshot of its session, whatever dies meanwhile, and what was saved after that
//! one, which does not come back.

use std::{fs, path::PathBuf, time::Duration};

use roost_cluster::ledger::EventKind;
use roost_node::worker::{State, StopMode};
use roost_store::{EventFilter, ListedSnapshot, Requester, SnapshotId, SnapshotState};

use crate::pipeline::node::{Node, wait};

impl Node {
    /// Something of the session in the profile of this node.
    fn mark(&self, name: &str) -> PathBuf {
        let mut profiles = fs::read_dir(self.bed.dir.path().join(name)).unwrap();
        profiles.next().unwrap().unwrap().path().join("current/browser/Default/IndexedDB/mark")
    }

    fn marked(&self, name: &str) -> String {
        fs::read_to_string(self.mark(name)).unwrap_or_default()
    }

    async fn listed(&self) -> Vec<ListedSnapshot> {
        self.bed.store.session_snapshots(&self.bed.id).await.unwrap()
    }

    /// A worker on the node that writes this and saves it as it stops.
    async fn saved(&self, name: &str, text: &str) -> SnapshotId {
        let worker = self.running(name).await;
        fs::write(self.mark(name), text).unwrap();
        worker.stop(StopMode::Graceful).await;
        self.listed().await[0].id
    }

    async fn order(&self, snapshot: SnapshotId) {
        self.bed.store.order_restore(&self.bed.id, snapshot, &Requester::default()).await.unwrap();
    }

    async fn is_ordered(&self) -> bool {
        self.bed.store.worker_spec(&self.bed.id).await.unwrap().restore_ordered
    }

    async fn told_of(&self, kind: EventKind) -> usize {
        let events = self.bed.store.list_events(&EventFilter::default(), None, 100).await.unwrap();
        events.into_iter().filter(|event| event.kind == kind).count()
    }

    fn damage(&self, snapshot: SnapshotId) {
        let mut dirs = fs::read_dir(self.bed.dir.path().join("objects")).unwrap();
        let manifest = |dir: PathBuf| dir.join(format!("manifests/{snapshot}.json"));
        let found = dirs.find_map(|dir| Some(manifest(dir.unwrap().path())).filter(|path| path.exists()));
        fs::write(found.expect("the snapshot is in the store"), "").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_runs_goes_back_to_the_snapshot_that_was_chosen_and_what_was_later_stays_away() {
    let node = Node::new().await;
    let chosen = node.saved("a", "one").await;
    let later = node.saved("a", "two").await;
    let worker = node.running("a").await;
    fs::write(node.mark("a"), "three").unwrap();

    node.order(chosen).await;
    worker.update(node.bed.store.worker_spec(&node.bed.id).await.unwrap());
    node.until("it is carried out", async || !node.is_ordered().await).await;
    node.wait_until_running(&worker).await;
    assert_eq!(node.marked("a"), "one");
    assert_eq!(node.told_of(EventKind::SessionRestored).await, 1);
    let listed = node.listed().await;
    let copy = listed[0].id;
    assert!(listed[0].is_newest && copy > later && listed[0].node.is_some());
    assert!(listed[0].bytes.is_some_and(|bytes| bytes > 0));
    let of_later = listed.iter().find(|listed| listed.id == later).unwrap();
    assert_eq!(of_later.state, SnapshotState::PassedOver);

    worker.stop(StopMode::Kill).await;
    let elsewhere = node.running("b").await;
    assert_eq!(node.marked("b"), "one", "the next owner goes on from the copy");
    elsewhere.stop(StopMode::Kill).await;
    // Nor does it come back when all that was saved since is lost.
    for snapshot in node.listed().await.into_iter().filter(|listed| listed.id >= copy) {
        node.damage(snapshot.id);
    }
    let last = node.running("c").await;
    assert_eq!(node.marked("c"), "one");
    assert!(node.told_of(EventKind::SessionDamaged).await > 0);
    last.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_carried_out_by_whoever_comes_next_however_often_owners_are_killed_meanwhile() {
    let node = Node::new().await;
    let chosen = node.saved("a", "one").await;
    node.saved("a", "two").await;
    node.saved("b", "three").await;
    node.order(chosen).await;
    for (nth, after_ms) in [0, 2, 5, 10, 15, 20, 30, 40, 60, 80].into_iter().enumerate() {
        let name = ["a", "b", "c"][nth % 3];
        let fence = node.bed.place().await;
        let worker = node.spawn_as(fence, name).await;
        // At any step: that is what is tried.
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        worker.stop(StopMode::Kill).await;
    }
    let last = node.running("d").await;
    assert!(!node.is_ordered().await);
    assert_eq!(node.marked("d"), "one");
    assert_eq!(node.told_of(EventKind::SessionRestored).await, 1, "once, however often it was begun");
    last.stop(StopMode::Graceful).await;
    for name in ["a", "b", "c"] {
        let again = node.running(name).await;
        assert_eq!(node.marked(name), "one", "on node {name}");
        again.stop(StopMode::Kill).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_as_it_was_when_the_snapshot_that_was_chosen_cannot_be_restored() {
    let node = Node::new().await;
    let chosen = node.saved("a", "one").await;
    node.saved("a", "two").await;
    node.damage(chosen);
    node.order(chosen).await;
    let worker = node.running("b").await;
    assert_eq!(node.marked("b"), "two");
    assert!(!node.is_ordered().await);
    assert_eq!(node.told_of(EventKind::SessionRestoreFailed).await, 1);
    let of_chosen = node.listed().await.into_iter().find(|listed| listed.id == chosen).unwrap();
    assert_eq!(of_chosen.state, SnapshotState::Damaged);
    worker.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_begun_from_elsewhere_while_the_object_store_is_away() {
    let node = Node::new().await;
    let chosen = node.saved("a", "one").await;
    node.saved("a", "two").await;
    let (objects, away) = (node.bed.dir.path().join("objects"), node.bed.dir.path().join("away"));
    fs::rename(&objects, &away).unwrap();
    fs::write(&objects, "no directory").unwrap();
    node.order(chosen).await;
    let worker = node.spawn_as(node.bed.place().await, "a").await;
    wait(&worker, |state| matches!(state, State::Reconnecting { .. })).await;
    assert!(node.is_ordered().await);
    fs::remove_file(&objects).unwrap();
    fs::rename(&away, &objects).unwrap();
    node.wait_until_running(&worker).await;
    assert_eq!(node.marked("a"), "one");
    worker.stop(StopMode::Kill).await;
}

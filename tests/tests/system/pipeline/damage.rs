//! A worker whose session is damaged, on this node or in the object store: it goes on from what is older, and says so.

use std::fs;

use roost_cluster::ledger::EventKind;
use roost_node::worker::StopMode;
use roost_store::{EventFilter, SnapshotPointer};

use crate::pipeline::node::Node;

impl Node {
    async fn told_of_damage(&self) -> Vec<String> {
        let events = self.bed.store.list_events(&EventFilter::default(), None, 100).await.unwrap();
        let damage = events.into_iter().filter(|event| event.kind == EventKind::SessionDamaged);
        damage.map(|event| event.text).collect()
    }

    async fn pointer(&self) -> SnapshotPointer {
        self.bed.store.snapshot_pointer(&self.bed.id).await.unwrap().expect("a snapshot is recorded")
    }

    fn empty_manifest(&self, of: &SnapshotPointer) {
        fs::write(self.bed.dir.path().join("objects").join(&of.manifest), "").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_newest_snapshot_is_damaged_goes_on_from_the_one_before_without_a_scan() {
    let node = Node::new().await;
    node.running("a").await.stop(StopMode::Graceful).await;
    let before = node.pointer().await;
    node.running("a").await.stop(StopMode::Graceful).await;
    let newest = node.pointer().await;
    assert!(newest.generation > before.generation);
    node.empty_manifest(&newest);

    let elsewhere = node.running("b").await;
    let told = node.told_of_damage().await;
    let [text] = told.as_slice() else { panic!("{told:?}") };
    let (damaged, used) = (
        format!("the snapshot {}-{} of ", newest.generation, newest.sequence),
        format!("goes on from the snapshot {}-{} of ", before.generation, before.sequence),
    );
    assert!(text.starts_with(&damaged) && text.contains(&used), "{text}");
    elsewhere.stop(StopMode::Kill).await;

    // Killed before or after it has saved: the next one has no trouble either way.
    let next = node.running("c").await;
    assert_eq!(node.told_of_damage().await.len(), 1);
    next.stop(StopMode::Graceful).await;
    assert_eq!(node.pointer().await.generation, next.generation(), "what is saved now is later than both");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_gone_from_its_profile_is_restored_on_the_same_node() {
    let node = Node::new().await;
    node.running("a").await.stop(StopMode::Graceful).await;
    let profile = fs::read_dir(node.bed.dir.path().join("a")).unwrap().next().unwrap().unwrap().path();
    let session = profile.join("current/browser/Default/IndexedDB");
    fs::remove_dir_all(&session).unwrap();
    let again = node.running("a").await;
    let told = node.told_of_damage().await;
    assert!(told.len() == 1 && told[0].starts_with("the profile of generation"), "{told:?}");
    assert!(session.exists(), "it is what was restored");
    again.stop(StopMode::Kill).await;
}

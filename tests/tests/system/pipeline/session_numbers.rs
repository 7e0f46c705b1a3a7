//! A worker whose session ends, and what of it does not go on in the next.

use std::fs;

use roost_engine::PageEvent;
use roost_model::ids::SessionNumber;
use roost_node::worker::{State, StopMode};
use roost_store::{DeadLetterFilter, SessionStatus};

use crate::pipeline::node::{Node, wait};

impl Node {
    async fn session_number(&self) -> SessionNumber {
        self.bed.store.worker_spec(&self.bed.id).await.unwrap().session_number
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_wiped_elsewhere_does_not_come_back_while_the_object_store_is_away() {
    let node = Node::new().await;
    node.running("a").await.stop(StopMode::Kill).await;
    let profile = fs::read_dir(node.bed.dir.path().join("a")).unwrap().next().unwrap().unwrap().path();
    let session = profile.join("current/browser/Default/IndexedDB/null");
    let mark = || fs::read_to_string(&session).is_ok_and(|text| text == "of the session before");
    fs::write(&session, "of the session before").unwrap();

    let other = node.running("b").await;
    node.bed.store.force_restart_worker(&node.bed.id, true).await.unwrap();
    other.update(node.bed.store.worker_spec(&node.bed.id).await.unwrap());
    node.until("it is wiped", async || node.session_number().await >= SessionNumber(2)).await;
    other.stop(StopMode::Kill).await;

    let objects = node.bed.dir.path().join("objects");
    fs::rename(&objects, node.bed.dir.path().join("away")).unwrap();
    fs::write(&objects, "no directory").unwrap();
    let again = node.spawn_as(node.bed.place().await, "a").await;
    wait(&again, |state| !matches!(state, State::Starting)).await;
    assert!(!mark(), "the profile is not the one that was left here");
    again.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_is_linked_anew_sends_no_reply_of_the_session_before() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    node.engine.swallow_sends(&node.bed.id);
    node.engine.deliver(&node.bed.id, node.bed.phone.write("1@c.us", "M", "hello"));
    let waiting =
        async || node.bed.number("select count(*)::bigint from bm_out where state = 'PENDING'").await;
    node.until("a reply waits", async || waiting().await == 1).await;

    node.raise(PageEvent::Qr { text: Some("2@code".into()), expires_in: None });
    node.until("the code", async || node.session_status().await == SessionStatus::QrReady).await;
    assert_eq!((node.session_number().await, waiting().await), (SessionNumber(1), 1), "nobody is linked yet");
    // From here on the page sends.
    node.engine.load_anew(&node.bed.id);
    node.raise(PageEvent::Ready { phone: "255700000001@c.us".into() });
    node.wait_until_running(&worker).await;
    assert_eq!((node.session_number().await, waiting().await), (SessionNumber(2), 0));
    let dead = node.bed.store.list_dead_letters(&DeadLetterFilter::default(), None, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason, "decided for the session before");
    assert!(node.engine.sent(&node.bed.id).is_empty());

    node.engine.deliver(&node.bed.id, node.bed.phone.write("1@c.us", "N", "again"));
    node.until("the next answer", async || node.engine.sent(&node.bed.id).len() == 1).await;
    worker.stop(StopMode::Kill).await;
}

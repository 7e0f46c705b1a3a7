//! A database that is away while a page tells more than the node holds: the worker goes on reading all that it is told.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use roost_cluster::lease_deadline::Standing;
use roost_engine::PageEvent;
use roost_node::worker::{State, StopMode, WorkerHandle};
use tokio::time::timeout;

use crate::pipeline::node::{Node, SOON, wait};

const CHATS: usize = 50;
/// A drain and a last save that does not get on, 5 s each; a save that was made anew at each try would seem to get on for 30 s.
const STOPS_WITHIN: Duration = Duration::from_secs(20);
/// More than the node and the engine's queue of events hold together.
const MESSAGES: usize = 3_000;

/// A worker that runs, whose database has gone, and whose page has told it of all messages.
async fn flooded() -> (Node, WorkerHandle) {
    let mut node = Node::new().await;
    let worker = node.running("a").await;
    node.bed.postgres.kill().await.unwrap();
    for nth in 0..MESSAGES {
        let (chat, id) = (format!("{}@c.us", nth % CHATS), format!("{nth:04}"));
        let message = node.bed.phone.write(&chat, &id, &id);
        assert!(node.engine.leave(&node.bed.id, message.clone()));
        let told = async || node.engine.raise(&node.bed.id, PageEvent::Message(message.clone()));
        node.until("the worker takes what the page tells", told).await;
    }
    (node, worker)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_came_meanwhile_is_answered_once_in_order_and_the_page_is_left_alone() {
    let (mut node, worker) = flooded().await;
    let probed = node.engine.probes(&node.bed.id);
    node.until("a few probes", async || node.engine.probes(&node.bed.id) > probed + 3).await;
    node.raise(PageEvent::Conflict);
    node.until("the owner takes its session back", async || node.engine.take_overs(&node.bed.id) == 1).await;
    wait(&worker, |state| matches!(state, State::Running { .. })).await;

    node.bed.postgres.restart().await.unwrap();
    node.until("the answers", async || node.engine.sent(&node.bed.id).len() >= MESSAGES).await;
    let mut answers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in node.engine.sent(&node.bed.id) {
        answers.entry(text.chat).or_default().push(text.body);
    }
    for chat in 0..CHATS {
        let expected: Vec<_> = (chat..MESSAGES).step_by(CHATS).map(|nth| format!("echo: {nth:04}")).collect();
        assert_eq!(answers[&format!("{chat}@c.us")], expected);
    }
    let worker = node.bed.store.get_worker(&node.bed.id).await.unwrap();
    assert_eq!((worker.restarts, node.engine.reloads(&node.bed.id)), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_out_is_seen_while_the_database_is_away() {
    let (node, worker) = flooded().await;
    node.raise(PageEvent::LoggedOut { reason: "user_initiated".into() });
    wait(&worker, |state| matches!(state, State::Stopping { .. })).await;
    node.until("its browser is gone", async || !node.engine.is_open(&node.bed.id)).await;
    timeout(SOON, worker.stop(StopMode::Kill)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_with_the_next_owner_ends_a_worker_while_the_database_is_away() {
    let (node, worker) = flooded().await;
    node.owner.0.store(false, Ordering::Relaxed);
    node.raise(PageEvent::Conflict);
    timeout(SOON, worker.ended()).await.unwrap();
    assert!(!node.engine.is_open(&node.bed.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_ends_is_replaced_while_the_database_is_away() {
    let (node, worker) = flooded().await;
    node.raise(PageEvent::Exited { reason: "killed".into() });
    wait(&worker, |state| matches!(state, State::Reconnecting { .. })).await;
    wait(&worker, |state| matches!(state, State::Running { .. })).await;
    timeout(SOON, worker.stop(StopMode::Kill)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_and_the_end_of_a_lease_are_obeyed_while_the_database_is_away() {
    let (node, worker) = flooded().await;
    timeout(STOPS_WITHIN, worker.stop(StopMode::Graceful)).await.unwrap();
    assert!(!node.engine.is_open(&node.bed.id));

    let (node, worker) = flooded().await;
    node.standing.send_replace(Standing::Expired);
    timeout(SOON, worker.ended()).await.unwrap();
    assert!(!node.engine.is_open(&node.bed.id));
}

//! A worker on the null engine whose codes nobody scans.

use roost_cluster::ledger::EventKind;
use roost_engine::PageEvent;
use roost_node::worker::{State, StopMode};
use roost_store::{ConditionKind, EventFilter, SessionStatus, TenantPatch};

use crate::pipeline::node::{Node, wait};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_that_nobody_scans_cost_no_browser_here_or_at_the_next_owner_until_somebody_asks() {
    let node = Node::new().await;
    let (store, id) = (node.bed.store.clone(), node.bed.id.clone());
    let patch = TenantPatch { qr_rotations: Some(Some(2)), ..TenantPatch::default() };
    store.update_tenant(&id, patch).await.unwrap();
    let worker = node.running("a").await;
    for text in ["2@a", "2@b", "2@c"] {
        node.raise(PageEvent::Qr { text: Some(text.into()), expires_in: None });
    }
    let is_paused = async || store.worker_spec(&id).await.unwrap().scan_paused;
    node.until_it_waits_for(ConditionKind::ScanPaused).await;
    node.until("the pause is noted", is_paused).await;
    wait(&worker, |state| *state == State::ScanPaused).await;
    assert!(!node.engine.is_open(&id), "its browser is closed");
    let session = store.get_session(&id).await.unwrap();
    assert_eq!((session.status, session.qr), (SessionStatus::Disconnected, None));
    let probes = node.engine.probes(&id);
    worker.stop(StopMode::Graceful).await;

    let next = node.spawn_as(node.bed.place().await, "b").await;
    wait(&next, |state| *state == State::ScanPaused).await;
    node.until_it_waits_for(ConditionKind::ScanPaused).await;
    assert!(!node.engine.is_open(&id) && is_paused().await);
    assert_eq!(node.engine.probes(&id), probes, "nothing is asked");

    store.resume_linking(&id).await.unwrap();
    next.update(store.worker_spec(&id).await.unwrap());
    node.wait_until_running(&next).await;
    assert!(node.engine.is_open(&id) && !is_paused().await);
    let events = store.list_events(&EventFilter::default(), None, 100).await.unwrap();
    let told = |kind| events.iter().filter(|event| event.kind == kind).count();
    assert_eq!((told(EventKind::ScanPaused), told(EventKind::ScanResumed)), (1, 1));
    next.stop(StopMode::Kill).await;
}

//! The worker as a whole on the null engine: statuses in the database, the session in the object store, and the ways in
//! which it ends.

use std::{sync::atomic::Ordering, time::Duration};

use roost_cluster::{lease_deadline::Standing, ledger::EventKind};
use roost_engine::{Engine, PageEvent, null::NullEngine};
use roost_model::ids::Generation;
use roost_node::{
    session::FetchedFiles,
    worker::{State, StopMode, WarmStandby, browser_setup},
};
use roost_store::{
    ConditionKind, DeadLetterId, Direction, EventFilter, Requester, SessionStatus, TenantStatus,
};
use sqlx::AssertSqlSafe;
use tokio::time::timeout;

use crate::pipeline::node::{AT_ONCE, Node, SOON, wait};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_runs_answers_saves_its_session_and_stops_gracefully() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    assert_eq!(node.bed.tenant().await.status, TenantStatus::Active);
    node.engine.deliver(&node.bed.id, node.bed.phone.write("1@c.us", "M", "hello"));
    node.until("the answer", async || node.engine.sent(&node.bed.id).len() == 1).await;
    assert_eq!(node.engine.sent(&node.bed.id)[0].body, "echo: hello");
    let pointer = async || node.bed.store.snapshot_pointer(&node.bed.id).await.unwrap();
    node.until("a snapshot of the running browser", async || pointer().await.is_some()).await;
    node.until("evidence", async || worker.seen().is_some()).await;

    worker.stop(StopMode::Graceful).await;
    timeout(SOON, worker.ended()).await.unwrap();
    assert_eq!(*worker.state().borrow(), State::Stopped);
    assert!(pointer().await.unwrap().clean, "the last snapshot is of the closed browser");
    assert_eq!(node.session_status().await, SessionStatus::Disconnected);
    worker.stop(StopMode::Graceful).await;

    let elsewhere = node.running("b").await;
    elsewhere.stop(StopMode::Graceful).await;
    let again = pointer().await.unwrap();
    assert!(again.generation == elsewhere.generation() && again.clean);
}

/// As a history does that comes after a linking, or the keys of a group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_the_session_without_a_message_is_saved_too() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    let pointer = async || node.bed.store.snapshot_pointer(&node.bed.id).await.unwrap();
    node.until("a snapshot of the linking", async || pointer().await.is_some()).await;
    let before = pointer().await.unwrap();
    let profile = std::fs::read_dir(node.bed.dir.path().join("a")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(profile.join("current/browser/Default/IndexedDB/history"), "much").unwrap();
    node.until("a snapshot of the history", async || {
        pointer().await.is_some_and(|now| now.sequence > before.sequence)
    })
    .await;
    worker.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_out_that_whatsapp_refuses_is_in_the_history_and_the_session_is_forgotten_all_the_same() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    node.engine.refuse_logouts("internal-server-error");
    let spec = async || node.bed.store.worker_spec(&node.bed.id).await.unwrap();
    node.bed.store.request_logout(&node.bed.id).await.unwrap();
    worker.update(spec().await);
    node.until("the session is forgotten", async || !spec().await.forget_session).await;
    let events = node.bed.store.list_events(&EventFilter::default(), None, 10).await.unwrap();
    let failed = events.iter().find(|event| event.kind == EventKind::LogoutFailed).unwrap();
    assert_eq!(failed.tenant.as_ref(), Some(&node.bed.id));
    assert!(failed.text.contains("internal-server-error") && failed.text.contains("Linked devices"));
    worker.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_tenant_has_moved_is_fenced_off_and_ends() {
    let node = Node::new().await;
    let old = node.running("a").await;
    let fence = node.bed.place().await;
    node.engine.deliver(&node.bed.id, node.bed.phone.write("1@c.us", "M", "hello"));
    timeout(SOON, old.ended()).await.unwrap();
    assert!(node.engine.sent(&node.bed.id).is_empty());
    let new = node.spawn_as(fence, "b").await;
    node.wait_until_running(&new).await;
    new.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_ends_a_worker_that_is_not_the_owner_and_no_other() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    let told = async || node.bed.store.get_worker(&node.bed.id).await.unwrap();
    node.raise(PageEvent::Conflict);
    node.until("the conflict is counted", async || told().await.conflicts == 1).await;
    node.wait_until_running(&worker).await;
    assert_eq!(node.engine.take_overs(&node.bed.id), 1, "the owner takes its session back");

    // At once again: two that take over from each other would never stop.
    node.raise(PageEvent::Conflict);
    wait(&worker, |state| matches!(state, State::Reconnecting { .. })).await;
    node.wait_until_running(&worker).await;
    assert_eq!((node.engine.take_overs(&node.bed.id), told().await.conflicts), (1, 1), "once");

    node.owner.0.store(false, Ordering::Relaxed);
    let before = told().await;
    node.raise(PageEvent::Conflict);
    timeout(SOON, worker.ended()).await.unwrap();
    assert!(!node.engine.is_open(&node.bed.id), "who is not the owner closes");
    assert_eq!(node.engine.take_overs(&node.bed.id), 1);
    let after = told().await;
    assert_eq!(
        (after.session_status, after.status, after.last_error, after.conflicts),
        (before.session_status, before.status, before.last_error, before.conflicts),
        "and touches nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_launch_that_is_not_wanted_any_more_opens_nothing_and_holds_nobody_up() {
    let node = Node::new().await;
    node.engine.hold_launches(true);
    let fence = node.bed.place().await;
    let worker = node.spawn_as(fence.clone(), "a").await;
    wait(&worker, |state| matches!(state, State::Starting)).await;
    timeout(SOON, worker.stop(StopMode::Kill)).await.expect("a kill reaches a browser that is launching");

    let worker = node.spawn_as(fence, "a").await;
    wait(&worker, |state| matches!(state, State::Starting)).await;
    node.standing.send_replace(Standing::Expired);
    timeout(SOON, worker.ended()).await.expect("and so does the end of the lease");

    node.engine.hold_launches(false);
    assert!(!node.engine.is_open(&node.bed.id), "the session was never opened");
}

/// What a node does ahead for a tenant that is about to come to it.
pub(super) async fn warmed(node: &Node, engine: &NullEngine, name: &str, under: Generation) -> WarmStandby {
    let spec = node.bed.store.worker_spec(&node.bed.id).await.unwrap();
    let profile = node.profiles(name).of(&node.bed.id, spec.tenant.uid).lock().unwrap();
    let dir = profile.make_standby_dir().unwrap();
    let mut fetched = FetchedFiles::default();
    if let Some(pointer) = spec.snapshot.clone() {
        profile.prefetch(&node.snapshots, &pointer.into(), &mut fetched).await.unwrap();
    }
    let setup = browser_setup(&spec);
    let browser = engine.warm(Some(&node.bed.id), &dir, &setup).await.unwrap();
    WarmStandby::new(under, profile, fetched, setup, browser)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_browser_is_opened_by_the_next_owner_with_the_last_state_of_the_session() {
    let node = Node::new().await;
    let old = node.running("a").await;
    let there = NullEngine::default();
    let warm = warmed(&node, &there, "b", old.generation()).await;
    assert!(there.is_warm(&node.bed.id) && !there.is_open(&node.bed.id));
    old.stop(StopMode::Graceful).await;
    let fence = node.bed.place().await;
    let new = node.spawn_with(fence.clone(), "b", there.clone(), Some(warm)).await;
    node.wait_until_running(&new).await;
    assert!(there.is_open(&node.bed.id) && !there.is_warm(&node.bed.id), "the warm browser is the one");
    let uid = node.bed.tenant().await.uid;
    let session = std::fs::read_dir(node.bed.dir.path().join("b")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(
        std::fs::read_to_string(session.join("current/browser/Default/IndexedDB/null")).unwrap(),
        "duka"
    );
    assert!(!session.join("aside").exists() && !session.join("incoming").exists());
    new.stop(StopMode::Graceful).await;
    let listed = node.profiles("b").list().unwrap();
    assert_eq!(listed.iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), [uid]);
    assert_eq!(
        node.bed.store.snapshot_pointer(&node.bed.id).await.unwrap().unwrap().generation,
        fence.generation
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_browser_is_never_opened_under_the_generation_that_it_was_prepared_under() {
    let node = Node::new().await;
    let fence = node.bed.place().await;
    let there = NullEngine::default();
    let warm = warmed(&node, &there, "b", fence.generation).await;
    let worker = node.spawn_with(fence, "b", there.clone(), Some(warm)).await;
    timeout(SOON, worker.ended()).await.unwrap();
    assert!(!there.is_open(&node.bed.id), "I1: the session is another node's under this generation");
    assert!(!there.is_warm(&node.bed.id), "and nothing is left running");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_browser_that_is_of_no_use_is_replaced_by_one_started_cold() {
    let node = Node::new().await;
    let first = node.running("a").await;
    let warm = warmed(&node, &node.engine, "b", first.generation()).await;
    first.stop(StopMode::Graceful).await;
    let objects = node.bed.dir.path().join("objects");
    std::fs::rename(&objects, node.bed.dir.path().join("away")).unwrap();
    let fence = node.bed.place().await;
    let worker = node.spawn_with(fence, "b", node.engine.clone(), Some(warm)).await;
    wait(&worker, |state| matches!(state, State::Reconnecting { .. })).await;
    assert!(!node.engine.is_warm(&node.bed.id), "a browser without its session is not kept");
    std::fs::remove_dir_all(&objects).ok();
    std::fs::rename(node.bed.dir.path().join("away"), &objects).unwrap();
    node.wait_until_running(&worker).await;
    worker.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_standing_of_the_node_holds_messages_and_its_end_kills() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    node.standing.send_replace(Standing::SoftStop);
    tokio::time::sleep(Duration::from_millis(50)).await;
    node.engine.deliver(&node.bed.id, node.bed.phone.write("1@c.us", "M", "hello"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(node.bed.number("select count(*) from bm_in").await, 0, "nothing is taken");
    node.standing.send_replace(Standing::Good);
    node.until("the answer", async || node.engine.sent(&node.bed.id).len() == 1).await;
    node.standing.send_replace(Standing::Expired);
    timeout(SOON, worker.ended()).await.unwrap();
    assert_eq!(*worker.state().borrow(), State::Stopped);
    assert_eq!(node.session_status().await, SessionStatus::Connected, "it writes nothing any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_dies_is_replaced_and_the_restart_counted() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    node.raise(PageEvent::Exited { reason: "killed".into() });
    wait(&worker, |state| matches!(state, State::Reconnecting { .. })).await;
    node.wait_until_running(&worker).await;
    node.until("the count", async || node.bed.store.get_worker(&node.bed.id).await.unwrap().restarts == 1)
        .await;
    worker.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_proves_itself_and_does_not_send_is_healed_and_every_reply_goes_once() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    let told = async || node.bed.store.get_worker(&node.bed.id).await.unwrap();
    node.engine.swallow_sends(&node.bed.id);
    for id in ["A", "B"] {
        node.engine.deliver(&node.bed.id, node.bed.phone.write(&format!("{id}@c.us"), id, id));
    }
    node.until("the fault is said", async || told().await.condition.kind == ConditionKind::Healing).await;
    node.until("the answers", async || node.engine.sent(&node.bed.id).len() == 2).await;
    node.until("that it is over is said", async || told().await.condition.kind == ConditionKind::Answering)
        .await;
    node.wait_until_running(&worker).await;
    assert_eq!(node.bed.number("select max(attempts)::bigint from bm_out").await, 0);
    assert_eq!(told().await.restarts, 0, "it was enough to load the page anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_is_redriven_is_taken_up_by_the_owner() {
    let node = Node::new().await;
    let fence = node.bed.place().await;
    let lost = roost_store::NewInbound {
        whatsapp_id: "false_1@c.us_L".into(),
        chat: "1@c.us".into(),
        sender: "1@c.us".into(),
        body: "lost".into(),
        received_at: time::OffsetDateTime::now_utc(),
        undecoded: None,
    };
    let id = node.bed.store.admit(&fence, &[lost]).await.unwrap()[0].id;
    node.bed.store.bury_inbound(&fence, id, "no answer").await.unwrap();
    let worker = node.spawn_as(fence, "a").await;
    node.wait_until_running(&worker).await;
    let letter = DeadLetterId { direction: Direction::In, id };
    let by = Requester { name: "asha".into(), reason: String::new() };
    assert_eq!(node.bed.store.redrive(&[letter], &by).await.unwrap(), [letter]);
    // As the node does when it is told of a newer revision.
    worker.update(node.bed.store.worker_spec(&node.bed.id).await.unwrap());
    node.until("the answer", async || node.engine.sent(&node.bed.id).len() == 1).await;
    assert_eq!(node.engine.sent(&node.bed.id)[0].body, "echo: lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_loads_itself_anew_is_swept() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    let mut states = worker.state();
    states.mark_unchanged();
    // It came while the page was between two documents: no event tells of it.
    node.engine.leave(&node.bed.id, node.bed.phone.write("1@c.us", "M", "hello"));
    node.engine.load_anew(&node.bed.id);
    timeout(SOON, states.changed()).await.unwrap().unwrap();
    node.until("the answer", async || node.engine.sent(&node.bed.id).len() == 1).await;
    node.wait_until_running(&worker).await;
    assert_eq!(node.bed.store.get_worker(&node.bed.id).await.unwrap().restarts, 0, "it is the same browser");
    assert_eq!(node.bed.number("select max(attempts)::bigint from bm_out").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_goes_offline_and_comes_back_is_the_same_page() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    node.engine.set_online(&node.bed.id, false);
    wait(&worker, |state| matches!(state, State::Reconnecting { .. })).await;
    node.until("the word", async || node.session_status().await == SessionStatus::Disconnected).await;
    node.until_it_waits_for(ConditionKind::WaitingForWhatsapp).await;
    node.engine.set_online(&node.bed.id, true);
    node.wait_until_running(&worker).await;
    node.until_it_waits_for(ConditionKind::Answering).await;
    assert_eq!(node.bed.store.get_worker(&node.bed.id).await.unwrap().restarts, 0);
    worker.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_to_be_loaded_anew_is_and_runs_again_in_the_same_browser() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    worker.reload();
    node.until("the reload", async || node.engine.reloads(&node.bed.id) == 1).await;
    node.wait_until_running(&worker).await;
    assert_eq!(node.bed.store.get_worker(&node.bed.id).await.unwrap().restarts, 0);
    worker.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_loaded_anew_only_when_it_is_its_turn() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    let others: Vec<_> = (0..AT_ONCE).map(|_| node.launches.take()).collect();
    worker.reload();
    let is_waiting = |state: &State| matches!(state, State::Connecting { until: None });
    wait(&worker, is_waiting).await;
    let probed = node.engine.probes(&node.bed.id);
    node.until("a few probes", async || node.engine.probes(&node.bed.id) > probed + 3).await;
    assert!(is_waiting(&worker.state().borrow()), "it has no turn: {}", *worker.state().borrow());
    drop(others);
    node.wait_until_running(&worker).await;
    node.until("its turn is over", async || !node.launches.starts().is_any()).await;
    worker.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_answers_late_beside_starts_is_not_loaded_anew_for_it() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    node.until("evidence", async || worker.seen().is_some()).await;
    let start = node.launches.take();
    node.engine.set_deaf(&node.bed.id, true);
    let probed = node.engine.probes(&node.bed.id);
    node.until("a few probes", async || node.engine.probes(&node.bed.id) > probed + 5).await;
    assert!(matches!(*worker.state().borrow(), State::Running { .. }), "{}", *worker.state().borrow());
    drop(start);
    wait(&worker, |state| matches!(state, State::Reconnecting { .. })).await;
    worker.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_shown_as_text_and_picture_until_it_is_scanned() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    node.raise(PageEvent::Qr { text: Some("2@code".into()), expires_in: None });
    node.until("the code", async || node.session_status().await == SessionStatus::QrReady).await;
    let qr = node.bed.store.get_session(&node.bed.id).await.unwrap().qr.expect("a code");
    assert_eq!(qr.text, "2@code");
    assert!(qr.data_uri.starts_with("data:image/png;base64,"));
    assert_eq!(node.bed.tenant().await.status, TenantStatus::QrPending);
    node.raise(PageEvent::Ready { phone: "255700000001@c.us".into() });
    node.wait_until_running(&worker).await;
    assert_eq!(node.bed.store.get_session(&node.bed.id).await.unwrap().qr, None);
    worker.stop(StopMode::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_and_a_logout_are_carried_out_and_a_forgotten_session_is_nowhere() {
    let node = Node::new().await;
    let worker = node.running("a").await;
    let pass_on = async || worker.update(node.bed.store.worker_spec(&node.bed.id).await.unwrap());
    let pointer = async || node.bed.store.snapshot_pointer(&node.bed.id).await.unwrap();

    node.bed.store.restart_worker(&node.bed.id).await.unwrap();
    pass_on().await;
    wait(&worker, |state| matches!(state, State::Stopping { .. } | State::Starting)).await;
    node.wait_until_running(&worker).await;
    let before = pointer().await;
    assert!(before.is_some());

    node.bed.store.request_logout(&node.bed.id).await.unwrap();
    pass_on().await;
    node.until("the session is forgotten", async || {
        // The next session may have been saved already.
        let forgotten = pointer().await != before;
        forgotten && !node.bed.store.worker_spec(&node.bed.id).await.unwrap().forget_session
    })
    .await;
    node.wait_until_running(&worker).await;
    node.engine.deliver(&node.bed.id, node.bed.phone.write("1@c.us", "M", "hello"));
    node.until("a snapshot of the new session", async || pointer().await.is_some()).await;

    node.bed.store.force_restart_worker(&node.bed.id, true).await.unwrap();
    assert_eq!(node.bed.tenant().await.status, TenantStatus::QrPending);
    pass_on().await;
    node.until("it is wiped", async || {
        !node.bed.store.worker_spec(&node.bed.id).await.unwrap().forget_session
    })
    .await;
    node.wait_until_running(&worker).await;
    worker.stop(StopMode::Deleted).await;
    let left = std::fs::read_dir(node.bed.dir.path().join("a")).unwrap().count();
    assert_eq!(left, 0, "the profile of a deleted tenant is gone");
}

/// The database as it was restored from a backup: it names this snapshot of generation and sequence, or none.
async fn point_back_to(node: &Node, pointer: &str) {
    let back = format!("update whatsapp_sessions set (snapshot_generation, snapshot_sequence) = ({pointer})");
    sqlx::query(AssertSqlSafe(back)).execute(node.bed.store.pool()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_from_its_newest_snapshot_when_the_database_names_an_older_one() {
    let node = Node::new().await;
    let pointer = async || node.bed.store.snapshot_pointer(&node.bed.id).await.unwrap().unwrap();
    let told = async || {
        let events = node.bed.store.list_events(&EventFilter::default(), None, 100).await.unwrap();
        let behind = events.into_iter().filter(|event| event.kind == EventKind::SnapshotPointerBehind);
        behind.map(|event| event.text).collect::<Vec<_>>()
    };
    node.running("a").await.stop(StopMode::Graceful).await;
    let newest = pointer().await;
    node.running("a").await.stop(StopMode::Kill).await;
    assert_eq!((pointer().await, told().await), (newest.clone(), vec![]), "nothing to tell of");
    point_back_to(&node, "1, 1").await;
    node.running("b").await.stop(StopMode::Kill).await;
    let (generation, sequence) = (newest.generation, newest.sequence);
    let text = |named| {
        format!(
            "the database named {named}; the object store has the snapshot {generation}-{sequence}, which is restored"
        )
    };
    assert_eq!(told().await, [text("the snapshot 1-1")]);

    // A browser that is started ahead, and its owner.
    let old = node.running("a").await;
    let there = NullEngine::default();
    let warm = warmed(&node, &there, "c", old.generation()).await;
    old.stop(StopMode::Graceful).await;
    let newest = pointer().await;
    point_back_to(&node, "1, 1").await;
    let fence = node.bed.place().await;
    let new = node.spawn_with(fence, "c", there.clone(), Some(warm)).await;
    node.wait_until_running(&new).await;
    assert!(there.is_open(&node.bed.id), "the warm browser is the one");
    assert!(pointer().await.generation >= newest.generation);
    assert_eq!(told().await.len(), 2);
    new.stop(StopMode::Kill).await;
}

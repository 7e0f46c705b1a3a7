//! What the controller records, and that it records nothing when its term is over.

use std::time::Duration;

use roost_cluster::ledger::{
    BreakerRecord, Event, EventKind, Ledger, LedgerError, LedgerRecord, Outcome, Progress,
};
use roost_cluster::records::ImpairmentKind;
use roost_model::ids::{NodeId, OperationId, Revision, Term};
use roost_store::{
    Cancellation, EventFilter, OperationFilter, OperationOrder, OperationState, Requester, SessionStatus,
    StatusReport,
};
use sqlx::Connection;
use tokio::time::timeout;

use crate::store::{
    operations::drain,
    support::{Db, by, new_tenant, node, tenant},
};

fn placed(id: &str, on: &str, operation: Option<OperationId>) -> LedgerRecord {
    LedgerRecord::Placed { tenant: tenant(id), node: node(on), because: format!("to {on}"), operation }
}

fn progress(total: u32, done: u32) -> Progress {
    Progress { total, done }
}

fn on_its_way(operation: OperationId, progress: Progress, waits_for: &str) -> LedgerRecord {
    LedgerRecord::Progress { operation, progress, waits_for: waits_for.into() }
}

fn event(text: &str) -> LedgerRecord {
    let event = Event { kind: EventKind::NodeLost, node: Some(node("a")), tenant: None, text: text.into() };
    LedgerRecord::Event(event)
}

/// One of each.
fn one_of_each(operation: OperationId) -> Vec<LedgerRecord> {
    vec![
        event("node a is lost"),
        placed("duka", "a", None),
        on_its_way(operation, progress(5, 1), ""),
        LedgerRecord::Ended { operation, progress: progress(5, 5), outcome: Outcome::Done },
        LedgerRecord::PauseFailover { reason: "half of the nodes".into() },
        LedgerRecord::Suspect { node: node("a"), span: Duration::from_secs(600) },
        LedgerRecord::Shedding { node: node("a"), because: Some(ImpairmentKind::Browser) },
        LedgerRecord::StartRebalance,
    ]
}

const EVERYTHING: &str = "select jsonb_build_array(
    (select jsonb_agg(o order by id) from operations o), (select jsonb_agg(n order by node) from node_orders n),
    (select jsonb_agg(p) from placements p), (select jsonb_agg(e order by id) from cluster_events e),
    (select to_jsonb(c) from cluster_policy c))::text";

#[tokio::test]
async fn a_deposed_controller_records_nothing() {
    let db = Db::new().await;
    db.owned("duka").await;
    let operation = db.store.start_drain(&drain("a"), &Requester::default()).await.unwrap().id;
    let later = db.ledger.begin_term("etcd", Revision(11), "coordinator/b").await.unwrap();
    let before = db.text(EVERYTHING).await;
    let deposed = Err(LedgerError::Deposed { term: later });
    for record in one_of_each(operation) {
        assert_eq!(db.ledger.record(db.term, std::slice::from_ref(&record)).await, deposed, "{record:?}");
    }
    assert_eq!(db.ledger.record(db.term, &one_of_each(operation)).await, deposed);
    assert_eq!(db.ledger.record(db.term, &[]).await, deposed, "even with nothing to record");
    assert_eq!(db.text(EVERYTHING).await, before);
    db.ledger.record(later, &one_of_each(operation)).await.unwrap();
    assert_ne!(db.text(EVERYTHING).await, before);
}

#[tokio::test]
async fn a_note_that_meets_a_new_term_waits_for_it_and_is_refused() {
    let db = Db::new().await;
    let mut other = sqlx::PgConnection::connect(&db.url).await.unwrap();
    let mut beginning = other.begin().await.unwrap();
    sqlx::query("update controller_term set term = term + 1").execute(&mut *beginning).await.unwrap();
    let records = [event("node a is lost")];
    let record = db.ledger.record(db.term, &records);
    tokio::pin!(record);
    assert!(timeout(Duration::from_millis(100), &mut record).await.is_err(), "it did not wait");
    beginning.commit().await.unwrap();
    assert_eq!(record.await.unwrap_err(), LedgerError::Deposed { term: Term(db.term.0 + 1) });
    assert_eq!(db.number("select count(*) from cluster_events").await, 0);
}

#[tokio::test]
async fn everything_in_one_note_is_taken_down() {
    let db = Db::new().await;
    db.owned("duka").await;
    let operation = db.store.start_drain(&drain("a"), &Requester::default()).await.unwrap().id;
    db.ledger.record(db.term, &one_of_each(operation)).await.unwrap();
    let ended = db.store.get_operation(operation).await.unwrap();
    assert_eq!((ended.state, ended.progress), (OperationState::Done, progress(5, 5)));
    assert!(ended.ended_at.is_some());
    let orders = db.ledger.orders().await.unwrap();
    assert_eq!(orders.policy.failover_paused.as_deref(), Some("half of the nodes"));
    assert!(orders.nodes[0].cordoned, "a node that was drained stays cordoned");
    assert!(orders.nodes[0].suspect_for.is_some());
    assert_eq!(orders.operations.len(), 1, "the rebalance");
    let events = db.store.events_after(&EventFilter::default(), 0, 10).await.unwrap();
    let events: Vec<_> = events.into_iter().map(|event| (event.kind, event.text)).collect();
    let text = |kind, text: &str| (kind, text.to_owned());
    assert_eq!(
        events,
        [
            text(EventKind::OperationStarted, "the drain of node a has started"),
            text(EventKind::NodeLost, "node a is lost"),
            text(EventKind::OperationEnded, "the drain of node a is done (5 of 5 tenants)"),
            text(EventKind::OperationStarted, "the rebalance has started"),
        ]
    );
}

#[tokio::test]
async fn what_is_over_stays_as_it_ended() {
    let db = Db::new().await;
    let start = || async { db.store.start_drain(&drain("a"), &Requester::default()).await.unwrap().id };
    let failed = |operation| LedgerRecord::Ended {
        operation,
        progress: progress(3, 1),
        outcome: Outcome::Failed { reason: "no other node".into() },
    };
    let first = start().await;
    db.ledger.record(db.term, &[on_its_way(first, progress(3, 1), "")]).await.unwrap();
    assert_eq!(db.ledger.orders().await.unwrap().operations[0].progress, progress(3, 1));
    db.ledger.record(db.term, &[failed(first)]).await.unwrap();
    let record = db.store.get_operation(first).await.unwrap();
    assert_eq!((record.state, record.message.as_str()), (OperationState::Failed, "no other node"));
    let done = LedgerRecord::Ended { operation: first, progress: progress(3, 3), outcome: Outcome::Done };
    let late = on_its_way(first, progress(9, 9), "");
    db.ledger.record(db.term, &[done, late]).await.unwrap();
    assert_eq!(db.store.get_operation(first).await.unwrap(), record);
    let cancelled = db.store.cancel_operation(first, &Requester::default()).await.unwrap();
    assert_eq!(cancelled, Cancellation::AlreadyOver { state: OperationState::Failed });

    let second = start().await;
    db.store.cancel_operation(second, &Requester::default()).await.unwrap();
    db.ledger.record(db.term, &[failed(second), failed(OperationId(4711))]).await.unwrap();
    assert_eq!(db.store.get_operation(second).await.unwrap().state, OperationState::Cancelled);
    let ends = "select count(*) from cluster_events where kind = 'OPERATION_ENDED'";
    assert_eq!(db.number(ends).await, 2, "each ended once");
}

#[tokio::test]
async fn the_policy_starts_one_rebalance_at_a_time() {
    let db = Db::new().await;
    for _ in 0..2 {
        db.ledger.record(db.term, &[LedgerRecord::StartRebalance]).await.unwrap();
    }
    let all = db.store.list_operations(&OperationFilter::default(), None, 10).await.unwrap();
    assert_eq!(all.len(), 1);
    let order = OperationOrder::Rebalance { max_concurrent: 4, max_unavailable_percent: 10 };
    assert_eq!((&all[0].order, all[0].requested_by.as_str()), (&order, ""));
}

#[tokio::test]
async fn the_brake_keeps_its_first_reason() {
    let db = Db::new().await;
    let pause = |reason: &str| LedgerRecord::PauseFailover { reason: reason.into() };
    for reason in ["3 of 5 nodes lost", "4 of 5 nodes lost"] {
        db.ledger.record(db.term, &[pause(reason)]).await.unwrap();
    }
    let policy = db.store.policy().await.unwrap();
    let paused = policy.failover_paused.expect("it is paused");
    assert_eq!((paused.reason.as_str(), paused.requested_by.as_str()), ("3 of 5 nodes lost", ""));
}

#[tokio::test]
async fn placements_tell_where_a_tenant_was_and_why() {
    let db = Db::new().await;
    for id in ["duka", "soko"] {
        db.store.create_tenant(new_tenant(id)).await.unwrap();
    }
    let operation = db.store.start_drain(&drain("a"), &Requester::default()).await.unwrap().id;
    assert_eq!(db.store.last_placement(&tenant("duka")).await.unwrap(), None);
    let first = [placed("duka", "a", None), placed("gone", "a", None), placed("soko", "b", None)];
    db.ledger.record(db.term, &first).await.unwrap();
    db.ledger.record(db.term, &[placed("duka", "b", Some(operation))]).await.unwrap();
    let last = db.store.last_placement(&tenant("duka")).await.unwrap().expect("it was placed");
    assert_eq!((last.from, last.to, last.seq), (Some(node("a")), node("b"), 2));
    assert_eq!((last.reason.as_str(), last.operation), ("to b", Some(operation)));
    let moves = db.store.operation_moves(operation, 10).await.unwrap();
    assert_eq!(moves.iter().map(|one| one.tenant.as_str()).collect::<Vec<_>>(), ["duka"]);
    let history = db.store.placements_of_tenant(&tenant("duka"), 10).await.unwrap();
    assert_eq!(history.iter().map(|one| one.to.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    db.store.delete_tenant(&tenant("duka")).await.unwrap();
    assert_eq!(db.number("select count(*) from placements").await, 1, "they go with their tenant");
}

#[tokio::test]
async fn the_newest_50_placements_of_each_tenant_are_kept() {
    let db = Db::new().await;
    for id in ["duka", "soko"] {
        db.store.create_tenant(new_tenant(id)).await.unwrap();
    }
    db.ledger.record(db.term, &[placed("soko", "a", None)]).await.unwrap();
    for round in 0..60 {
        db.ledger.record(db.term, &[placed("duka", &format!("n{round}"), None)]).await.unwrap();
    }
    let history = db.store.placements_of_tenant(&tenant("duka"), 100).await.unwrap();
    assert_eq!(history.len(), 50);
    assert_eq!((history[0].to.as_str(), history[49].to.as_str()), ("n59", "n10"));
    assert_eq!(db.store.placements_of_tenant(&tenant("soko"), 100).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_controller_hears_of_orders_and_not_of_its_own_records() {
    let db = Db::new().await;
    db.owned("duka").await;
    let asha = by("asha", "");
    // What was there before is heard of until it is quiet.
    let heard = || async { timeout(Duration::from_secs(5), db.ledger.changed()).await.expect("no word") };
    let quiet = || async { while timeout(Duration::from_millis(300), db.ledger.changed()).await.is_ok() {} };
    for round in 0.. {
        assert!(round < 50, "nothing was heard");
        db.store.cordon(&node("z"), &asha).await.unwrap();
        if timeout(Duration::from_millis(100), db.ledger.changed()).await.is_ok() {
            break;
        }
    }
    quiet().await;
    let operation = db.store.start_drain(&drain("a"), &asha).await.unwrap().id;
    heard().await;
    db.ledger.record(db.term, &one_of_each(operation)).await.unwrap();
    let word = timeout(Duration::from_millis(500), db.ledger.changed()).await;
    assert!(word.is_err(), "the controller was woken by its own records");

    db.store.uncordon(&node("a"), &asha).await.unwrap();
    heard().await;
    db.store.pin_tenant(&tenant("duka"), &node("a"), &asha).await.unwrap();
    heard().await;
    db.store.resume_failover(&asha).await.unwrap();
    heard().await;
    let rebalance = db.ledger.orders().await.unwrap().operations[0].id;
    db.store.cancel_operation(rebalance, &asha).await.unwrap();
    heard().await;
}

/// Across a change of the controller, so what is read is what the next one goes on from.
#[tokio::test]
async fn the_failover_breaker_is_kept_for_the_next_controller() {
    let db = Db::new().await;
    assert_eq!(db.ledger.orders().await.unwrap().breaker, None);
    let record = |ramp, lost: &[&str]| BreakerRecord {
        lost: lost.iter().map(|node| NodeId::new(node).unwrap()).collect(),
        age: Duration::from_secs(3),
        held_for: Duration::from_secs(if ramp == 0 { 30 } else { 0 }),
        ramp,
        survivors_lost: ramp,
    };
    let note = async |breaker: Option<BreakerRecord>| {
        db.ledger.record(db.term, &[LedgerRecord::Breaker(breaker)]).await.unwrap();
        db.ledger.orders().await.unwrap().breaker
    };
    let held = note(Some(record(0, &["a", "b"]))).await.unwrap();
    assert_eq!((held.lost.len(), held.ramp, held.survivors_lost), (2, 0, 0));
    assert!(held.held_for > Duration::from_secs(25) && held.held_for <= Duration::from_secs(30), "{held:?}");
    assert!(held.age >= Duration::from_secs(3) && held.age < Duration::from_secs(10), "{held:?}");
    let going_on = note(Some(record(4, &["a"]))).await.unwrap();
    assert_eq!((going_on.lost.len(), going_on.ramp, going_on.survivors_lost), (1, 4, 4));
    assert_eq!(going_on.held_for, Duration::ZERO);
    assert_eq!(note(None).await, None);
}

#[tokio::test]
async fn the_breaker_ends_its_own_pause_and_not_that_of_a_person() {
    let db = Db::new().await;
    let record = async |record| db.ledger.record(db.term, &[record]).await.unwrap();
    let policy = async || db.ledger.orders().await.unwrap().policy;
    record(LedgerRecord::PauseFailover { reason: "one after the other".to_owned() }).await;
    assert!(policy().await.paused_by_breaker);
    record(LedgerRecord::ResumeFailover).await;
    assert_eq!((policy().await.failover_paused, policy().await.paused_by_breaker), (None, false));
    let person = by("amina", "a switch");
    db.store.pause_failover(&person).await.unwrap();
    record(LedgerRecord::ResumeFailover).await;
    assert_eq!(policy().await.failover_paused.as_deref(), Some("a switch"));
    assert!(!policy().await.paused_by_breaker);
}

#[tokio::test]
async fn tenants_that_have_not_come_up_and_nodes_that_are_cut_off_are_counted_for_a_while() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.owned("soko").await;
    let facts = async |within| db.ledger.failover_facts(within, within).await.unwrap();
    let minute = Duration::from_secs(60);
    assert_eq!(facts(minute).await.starting, 2);
    assert_eq!(facts(Duration::ZERO).await.starting, 0, "those hold up nobody any more");
    let connected =
        StatusReport { session_status: Some(SessionStatus::Connected), ..StatusReport::default() };
    db.store.report(&fence, &connected).await.unwrap();
    assert_eq!(facts(minute).await.starting, 1);
    let node = NodeId::new("b").unwrap();
    db.store.note_cut_off(&node).await.unwrap();
    db.store.note_cut_off(&node).await.unwrap();
    assert_eq!(facts(minute).await.cut_off, [node].into());
    assert!(facts(Duration::ZERO).await.cut_off.is_empty());
}

#[tokio::test]
async fn what_an_operation_waits_for_is_read_with_it_until_it_is_over() {
    let db = Db::new().await;
    let operation = db.store.start_drain(&drain("a"), &Requester::default()).await.unwrap().id;
    let told = async || db.store.get_operation(operation).await.unwrap().message;
    for waits_for in ["duka stays: every node is full", ""] {
        db.ledger.record(db.term, &[on_its_way(operation, progress(1, 0), waits_for)]).await.unwrap();
        assert_eq!(told().await, waits_for);
        assert_eq!(db.ledger.orders().await.unwrap().operations[0].waits_for, waits_for);
    }
    let ended = LedgerRecord::Ended { operation, progress: progress(1, 1), outcome: Outcome::Done };
    let stays = on_its_way(operation, progress(1, 0), "duka stays");
    db.ledger.record(db.term, std::slice::from_ref(&stays)).await.unwrap();
    db.ledger.record(db.term, &[ended, stays]).await.unwrap();
    assert_eq!(told().await, "", "it waits for nothing any more");
}

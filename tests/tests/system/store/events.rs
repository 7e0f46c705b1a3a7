//! The events: who did what and why, and what workers report of themselves.

use std::{collections::BTreeSet, time::Duration};

use roost_cluster::ledger::{Event, EventKind, Ledger, LedgerRecord};
use roost_model::ids::{Incarnation, OperationId};
use roost_store::{ClusterChange, EventFilter, NewRebalance, PolicyPatch};
use tokio::{sync::broadcast::Receiver, time::timeout};

use crate::store::{
    operations::drain,
    support::{Db, assert_fenced, by, node, tenant},
};

#[tokio::test]
async fn every_order_is_written_down_with_who_and_why() {
    let db = Db::new().await;
    db.owned("duka").await;
    let asha = by("asha", "because");
    let (a, duka) = (node("a"), tenant("duka"));
    db.store.cordon(&a, &asha).await.unwrap();
    db.store.uncordon(&a, &asha).await.unwrap();
    db.store.set_restart_window(&a, Incarnation(1), Duration::from_secs(300), &asha).await.unwrap();
    db.store.clear_restart_window(&a, &asha).await.unwrap();
    db.store.pin_tenant(&duka, &a, &asha).await.unwrap();
    db.store.unpin_tenant(&duka, &asha).await.unwrap();
    db.store.pause_failover(&asha).await.unwrap();
    db.store.resume_failover(&asha).await.unwrap();
    let patch = PolicyPatch { failover_breaker: Some(false), ..PolicyPatch::default() };
    db.store.update_policy(patch, &asha).await.unwrap();
    let operation = db.store.start_drain(&drain("a"), &asha).await.unwrap().id;
    db.store.cancel_operation(operation, &asha).await.unwrap();

    let events = db.store.events_after(&EventFilter::default(), 0, 100).await.unwrap();
    for event in &events {
        assert_eq!((event.requested_by.as_str(), event.reason.as_str()), ("asha", "because"), "{event:?}");
    }
    let said: Vec<_> = events.iter().map(|event| format!("{:?}: {}", event.kind, event.text)).collect();
    assert_eq!(
        said,
        [
            "NodeCordoned: node a is cordoned",
            "NodeUncordoned: node a takes tenants again",
            "RestartWindowSet: node a may restart within 300 s",
            "RestartWindowCleared: nobody waits for node a to restart",
            "TenantPinned: tenant duka is pinned to node a",
            "TenantUnpinned: tenant duka is not pinned to node a any more",
            "FailoverPaused: failover is paused: the tenants of a lost node wait",
            "FailoverResumed: failover goes on",
            "PolicyChanged: the failover breaker is off, auto-rebalance is off, messages are kept for 90 days",
            "OperationStarted: the drain of node a has started",
            "OperationEnded: the drain of node a was cancelled (0 of 0 tenants)",
        ]
    );
    assert_eq!(events[9].operation, Some(operation));
}

#[tokio::test]
async fn events_are_read_newest_first_in_pages_or_followed() {
    let db = Db::new().await;
    db.owned("duka").await;
    let asha = by("asha", "");
    assert_eq!(db.store.last_event_id().await.unwrap(), 0);
    for name in ["a", "b", "c"] {
        db.store.cordon(&node(name), &asha).await.unwrap();
    }
    db.store.pin_tenant(&tenant("duka"), &node("a"), &asha).await.unwrap();
    let all = EventFilter::default();
    let first = db.store.list_events(&all, None, 3).await.unwrap();
    let rest = db.store.list_events(&all, Some(first[2].id), 3).await.unwrap();
    let kinds: Vec<_> = first.iter().chain(&rest).map(|event| event.kind).collect();
    assert_eq!(kinds[0], EventKind::TenantPinned);
    assert_eq!(kinds[1..], [EventKind::NodeCordoned; 3]);
    assert_eq!(db.store.last_event_id().await.unwrap(), first[0].id);
    let of_a = EventFilter { node: Some(node("a")), tenant: None };
    assert_eq!(db.store.list_events(&of_a, None, 10).await.unwrap().len(), 2);
    let of_duka = EventFilter { node: None, tenant: Some(tenant("duka")) };
    assert_eq!(db.store.list_events(&of_duka, None, 10).await.unwrap(), [first[0].clone()]);
    assert_eq!(db.store.events_after(&of_duka, 0, 10).await.unwrap(), [first[0].clone()]);
    assert!(db.store.events_after(&all, first[0].id, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_follows_the_events_misses_none_whoever_writes_them() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let writers = (0..6).map(|writer| {
        let (store, fence) = (db.store.clone(), fence.clone());
        tokio::spawn(async move {
            for _ in 0..25 {
                if writer % 2 == 0 {
                    store.cordon(&node(&format!("n{writer}")), &by("", "")).await.unwrap();
                } else {
                    store.record_conflict(&fence).await.unwrap();
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let (mut seen, mut after) = (BTreeSet::new(), 0);
    let follow = async {
        while seen.len() < 150 {
            for event in db.store.events_after(&EventFilter::default(), after, 10).await.unwrap() {
                after = event.id;
                seen.insert(event.id);
            }
        }
    };
    timeout(Duration::from_secs(30), follow).await.expect("an event was passed over");
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn the_newest_10_000_events_are_kept() {
    let db = Db::new().await;
    let event = |text: String| {
        LedgerRecord::Event(Event { kind: EventKind::NodeJoined, node: None, tenant: None, text })
    };
    let many: Vec<_> = (0..10_000).map(|number| event(number.to_string())).collect();
    for some in many.chunks(1_000) {
        db.ledger.record(db.term, some).await.unwrap();
    }
    db.ledger.record(db.term, &[event("more".into()), event("and more".into())]).await.unwrap();
    assert_eq!(db.number("select count(*) from cluster_events").await, 10_000);
    assert_eq!(db.text("select text from cluster_events order by id limit 1").await, "2");
}

#[tokio::test]
async fn a_conflict_is_counted_for_the_owner_and_for_nobody_else() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    assert_eq!(db.store.record_conflict(&fence).await.unwrap(), 1);
    assert_eq!(db.store.record_conflict(&fence).await.unwrap(), 2);
    db.place(&tenant("duka"), "b").await;
    assert_fenced(db.store.record_conflict(&fence).await, &fence);
    assert_eq!(db.store.get_worker(&tenant("duka")).await.unwrap().conflicts, 2);
    assert_eq!(db.store.total_conflicts().await.unwrap(), 2);
    let events = db.store.list_events(&EventFilter::default(), None, 10).await.unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(
        (events[0].kind, &events[0].node, &events[0].tenant),
        (EventKind::Conflict, &Some(node("a")), &Some(tenant("duka")))
    );
}

/// Everything that is heard until `last` is.
async fn heard_until(changes: &mut Receiver<ClusterChange>, last: ClusterChange) -> Vec<ClusterChange> {
    let mut heard = Vec::new();
    while heard.last() != Some(&last) {
        let change = timeout(Duration::from_secs(5), changes.recv()).await;
        heard.push(change.unwrap_or_else(|_| panic!("{last:?} was not heard, but {heard:?}")).unwrap());
    }
    heard
}

#[tokio::test]
async fn watchers_hear_of_operations_and_events() {
    use ClusterChange::{Event as Happened, Operation, Orders};
    let db = Db::new().await;
    let mut changes = db.store.cluster_changes();
    let nobody = by("", "");
    for round in 0.. {
        assert!(round < 50, "nothing was heard");
        db.store.cordon(&node("z"), &nobody).await.unwrap();
        if timeout(Duration::from_millis(100), changes.recv()).await.is_ok() {
            break;
        }
    }
    let rebalance = NewRebalance { max_concurrent: 1, max_unavailable_percent: 1 };
    let id = db.store.start_rebalance(&rebalance, &nobody).await.unwrap().id;
    let mut heard = heard_until(&mut changes, Operation(id)).await;
    while timeout(Duration::from_millis(200), async { heard.push(changes.recv().await.unwrap()) })
        .await
        .is_ok()
    {}
    assert!(heard.contains(&Happened) && heard.contains(&Orders), "{heard:?}");

    let progress = roost_cluster::ledger::Progress { total: 2, done: 1 };
    let waits_for = String::new();
    let record = LedgerRecord::Progress { operation: id, progress, waits_for: waits_for.clone() };
    db.ledger.record(db.term, std::slice::from_ref(&record)).await.unwrap();
    assert_eq!(heard_until(&mut changes, Operation(id)).await, [Operation(id)], "no order and no event");
    // The same again is no news.
    db.ledger.record(db.term, &[record]).await.unwrap();
    let unknown = LedgerRecord::Progress { operation: OperationId(id.0 + 100), progress, waits_for };
    db.ledger.record(db.term, &[unknown]).await.unwrap();
    db.store.pause_failover(&nobody).await.unwrap();
    let heard = heard_until(&mut changes, Happened).await;
    assert!(!heard.contains(&Operation(id)), "{heard:?}");
}

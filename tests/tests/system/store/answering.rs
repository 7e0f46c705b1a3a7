//! That a worker is said to answer only while what its node has reported is fresh, and that each change of its condition is kept.

use std::{collections::BTreeSet, time::Duration};

use roost_cluster::ledger::Ledger;
use roost_store::{Condition, ConditionKind, Fence, Heartbeat, StatusReport, WorkerFilter, WorkerHorizon};
use tokio::time::{Instant, sleep};

use crate::store::support::{Db, tenant};

const A_MINUTE: Duration = Duration::from_secs(60);

fn says(kind: ConditionKind, reason: &str) -> StatusReport {
    StatusReport { condition: Some((kind, reason.to_owned())), ..StatusReport::default() }
}

fn answers(evident_for: Duration) -> StatusReport {
    StatusReport { evident_for: Some(evident_for), ..says(ConditionKind::Answering, "") }
}

fn beat(fence: &Fence, evident_for: Duration) -> Heartbeat {
    Heartbeat { evident_for, ..fence.clone().into() }
}

/// As every way of reading it says.
async fn shown(db: &Db, fence: &Fence) -> Condition {
    let worker = db.store.get_worker(&fence.tenant).await.unwrap();
    let listed = db.store.list_workers(&WorkerFilter::default(), None, 10).await.unwrap();
    assert!(listed.iter().any(|other| other.condition == worker.condition), "{listed:?}");
    worker.condition
}

#[tokio::test]
async fn a_worker_answers_no_longer_than_its_evidence_is_good_for_and_nobody_has_to_write_that() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store.report(&fence, &answers(Duration::from_secs(4))).await.unwrap();
    let first = shown(&db, &fence).await;
    assert_eq!((first.kind, first.reason.as_str()), (ConditionKind::Answering, ""));
    let sighted_since = async |since: &WorkerHorizon| db.store.workers_sighted_since(since).await.unwrap();
    let one = BTreeSet::from([fence.tenant.clone()]);
    let aged = "update worker_heartbeats set evident_since = now() - interval '1 hour'";
    sqlx::query(aged).execute(db.store.pool()).await.unwrap();
    let in_sight = db.store.worker_horizon().await.unwrap();
    assert_eq!(sighted_since(&in_sight).await, BTreeSet::new(), "nothing has changed");
    let row = "select xmin::text::bigint from worker_processes";
    let written: i64 = sqlx::query_scalar(row).fetch_one(db.store.pool()).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    // Between two readings it may come to be over.
    while db.store.get_worker(&fence.tenant).await.unwrap().condition.kind == ConditionKind::Answering {
        assert!(Instant::now() < deadline, "its evidence is over by far");
        sleep(Duration::from_millis(50)).await;
    }
    let silent = shown(&db, &fence).await;
    assert_eq!(silent.kind, ConditionKind::WaitingForNode);
    assert!(silent.reason.starts_with("not seen since 2"), "{}", silent.reason);
    assert!(silent.reason.ends_with("Z: node a reports nothing of it"), "{}", silent.reason);
    let out_of_sight = db.store.worker_horizon().await.unwrap();
    assert_eq!(sighted_since(&in_sight).await, one);
    let unwritten: i64 = sqlx::query_scalar(row).fetch_one(db.store.pool()).await.unwrap();
    assert_eq!(written, unwritten);

    // Its node is heard of again: it answers, and has since then.
    db.store.heartbeat(&[beat(&fence, A_MINUTE)]).await.unwrap();
    let again = shown(&db, &fence).await;
    assert!(again.kind == ConditionKind::Answering && again.since > silent.since, "{again:?}");
    assert_eq!(sighted_since(&out_of_sight).await, one);
    db.store.heartbeat(&[beat(&fence, A_MINUTE)]).await.unwrap();
    assert_eq!(shown(&db, &fence).await, again, "without a gap it is the same");
}

#[tokio::test]
async fn what_one_owner_has_proved_is_nothing_of_the_next_and_one_that_is_stopped_waits_for_nothing() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store.report(&fence, &answers(A_MINUTE)).await.unwrap();
    let next = db.place(&fence.tenant, "b").await;
    let placed = shown(&db, &next).await;
    assert_eq!((placed.kind, placed.reason.as_str()), (ConditionKind::Starting, "it goes to b"));
    // The one before is slow to learn of it.
    assert_eq!(
        db.store.heartbeat(&[beat(&fence, A_MINUTE)]).await.unwrap(),
        std::slice::from_ref(&fence.tenant)
    );
    db.store.report(&fence, &answers(A_MINUTE)).await.unwrap_err();
    assert_eq!(shown(&db, &next).await, placed);
    db.store.report(&next, &answers(A_MINUTE)).await.unwrap();
    assert_eq!(shown(&db, &next).await.kind, ConditionKind::Answering);
    db.ledger.unplace(db.term, std::slice::from_ref(&next.tenant)).await.unwrap();
    let unplaced = shown(&db, &next).await;
    assert_eq!((unplaced.kind, unplaced.reason.as_str()), (ConditionKind::Starting, "it is on no node"));
    let next = db.place(&fence.tenant, "b").await;
    db.store.report(&next, &answers(A_MINUTE)).await.unwrap();
    db.store.stop_worker(&next.tenant).await.unwrap();
    db.store.heartbeat(&[beat(&next, A_MINUTE)]).await.unwrap();
    db.store.report(&next, &answers(A_MINUTE)).await.unwrap();
    assert_eq!(shown(&db, &next).await.kind, ConditionKind::None, "its browser is on its way out");
}

#[tokio::test]
async fn each_change_is_kept_with_its_time_node_and_reason_the_newest_hundred_of_each_worker() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let deaf = "the page is deaf: WhatsApp does not answer it";
    db.store.report(&fence, &answers(A_MINUTE)).await.unwrap();
    db.store.report(&fence, &answers(A_MINUTE)).await.unwrap();
    db.store.report(&fence, &says(ConditionKind::Healing, deaf)).await.unwrap();
    db.store.report(&fence, &answers(A_MINUTE)).await.unwrap();
    db.place(&fence.tenant, "b").await;
    let changes = db.store.condition_changes(&fence.tenant).await.unwrap();
    let told: Vec<_> = changes
        .iter()
        .map(|change| {
            (change.kind, change.node.as_ref().map_or("-", |node| node.as_str()), change.reason.as_str())
        })
        .collect();
    assert_eq!(
        told,
        [
            (ConditionKind::Starting, "b", "it goes to b"),
            (ConditionKind::Answering, "a", ""),
            (ConditionKind::Healing, "a", deaf),
            (ConditionKind::Answering, "a", ""),
            (ConditionKind::Starting, "-", ""),
        ]
    );
    assert!(changes.is_sorted_by(|newer, older| newer.at > older.at), "{changes:?}");
    let fence = db.place(&fence.tenant, "a").await;
    for nth in 0..120 {
        db.store.report(&fence, &says(ConditionKind::Healing, &nth.to_string())).await.unwrap();
    }
    let kept = db.store.condition_changes(&fence.tenant).await.unwrap();
    assert_eq!((kept.len(), kept[0].reason.as_str(), kept[99].reason.as_str()), (100, "119", "20"));
    db.store.delete_tenant(&fence.tenant).await.unwrap();
    assert_eq!(db.finish_deletions().await, [tenant("duka")]);
    assert_eq!(db.store.condition_changes(&fence.tenant).await.unwrap(), []);
}

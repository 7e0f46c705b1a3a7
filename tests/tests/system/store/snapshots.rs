//! The list of a session's snapshots, and the order to go back to one of them.

use std::time::Duration;

use roost_cluster::ledger::EventKind;
use roost_store::{
    EventFilter, Fence, ListedSnapshot, Requester, RestartMode, RestoreRefusal, SessionStatus, SnapshotId,
    SnapshotPointer, SnapshotState, StatusReport, StoreError,
};
use sqlx::{Connection, Executor, PgConnection};
use time::OffsetDateTime;
use tokio::time::{sleep, timeout};

use crate::store::support::{Db, assert_fenced, new_tenant, tenant};

fn pointer(fence: &Fence, sequence: i64, clean: bool) -> SnapshotPointer {
    SnapshotPointer {
        manifest: format!("{}-{sequence}", fence.generation),
        generation: fence.generation,
        sequence,
        clean,
        at: OffsetDateTime::now_utc().replace_nanosecond(0).unwrap(),
        bytes: Some(1_000),
    }
}

fn id(fence: &Fence, sequence: i64) -> SnapshotId {
    SnapshotId { generation: fence.generation, sequence }
}

fn asha() -> Requester {
    Requester { name: "asha".into(), reason: "it was better before".into() }
}

impl Db {
    async fn save(&self, fence: &Fence, sequence: i64, clean: bool) -> Vec<i64> {
        let kept = self.store.set_snapshot(fence, &pointer(fence, sequence, clean)).await.unwrap();
        kept.into_iter().map(|id| id.sequence).collect()
    }

    async fn listed(&self, fence: &Fence) -> Vec<ListedSnapshot> {
        self.store.session_snapshots(&fence.tenant).await.unwrap()
    }

    async fn sequences(&self, fence: &Fence) -> Vec<i64> {
        self.listed(fence).await.into_iter().map(|listed| listed.id.sequence).collect()
    }

    async fn states(&self, fence: &Fence) -> Vec<(i64, SnapshotState)> {
        self.listed(fence).await.into_iter().map(|listed| (listed.id.sequence, listed.state)).collect()
    }

    async fn refusal(&self, fence: &Fence, sequence: i64) -> RestoreRefusal {
        match self.store.order_restore(&fence.tenant, id(fence, sequence), &asha()).await {
            Err(StoreError::NotRestorable { refusal, .. }) => refusal,
            other => panic!("{other:?}"),
        }
    }

    async fn until_one_waits(&self) {
        let waits = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like '%session_snapshots%'";
        let poll = async {
            while self.number(waits).await == 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(10), poll).await.expect("a statement waits");
    }

    async fn is_ordered(&self, fence: &Fence) -> bool {
        self.store.worker_spec(&fence.tenant).await.unwrap().restore_ordered
    }
}

#[tokio::test]
async fn the_last_three_snapshots_and_the_last_clean_one_are_listed() {
    let db = Db::new().await;
    db.store.create_tenant(new_tenant("idle")).await.unwrap();
    assert_eq!(db.store.session_snapshots(&tenant("idle")).await.unwrap(), []);
    assert!(db.store.session_snapshots(&tenant("nobody")).await.is_err());

    let fence = db.owned("duka").await;
    assert!(db.save(&fence, 1, true).await.is_empty());
    assert_eq!(db.save(&fence, 2, true).await, [1]);
    for sequence in 3..=5 {
        db.save(&fence, sequence, false).await;
    }
    assert_eq!(db.save(&fence, 6, false).await, [2, 4, 5], "what the object store keeps beside it");
    assert_eq!(db.sequences(&fence).await, [6, 5, 4, 2]);
    assert_eq!(db.save(&fence, 6, false).await, [2, 4, 5], "a call whose answer was lost");
    db.save(&fence, 3, true).await;
    assert_eq!(db.sequences(&fence).await, [6, 5, 4, 2], "one that is late is not pointed to");
    db.save(&fence, 7, true).await;
    assert_eq!(db.sequences(&fence).await, [7, 6, 5]);
    let newest = &db.listed(&fence).await[0];
    assert!(newest.is_newest && newest.clean && !newest.is_void && !newest.restore_ordered);
    assert_eq!((newest.bytes, newest.node.as_ref().unwrap().as_str()), (Some(1_000), "a"));

    let next = db.place(&fence.tenant, "b").await;
    assert_fenced(db.store.set_snapshot(&fence, &pointer(&fence, 8, true)).await, &fence);
    assert_eq!(db.sequences(&fence).await, [7, 6, 5]);
    db.save(&next, 1, false).await;
    assert_eq!(db.sequences(&fence).await, [1, 7, 6], "by generation, then by sequence");
    db.store.delete_tenant(&fence.tenant).await.unwrap();
    db.finish_deletions().await;
    assert_eq!(db.number("select count(*) from session_snapshots").await, 0);
}

#[tokio::test]
async fn what_cannot_be_gone_back_to_is_refused_with_the_reason() {
    let db = Db::new().await;
    let (fence, other) = (db.owned("duka").await, db.owned("other").await);
    for sequence in 1..=3 {
        db.save(&fence, sequence, true).await;
    }
    db.save(&other, 9, true).await;
    assert_eq!(db.refusal(&fence, 7).await, RestoreRefusal::NotListed);
    let of_other = db.store.order_restore(&fence.tenant, id(&other, 9), &asha()).await;
    assert!(matches!(of_other, Err(StoreError::NotRestorable { refusal: RestoreRefusal::NotListed, .. })));
    assert!(matches!(
        db.store.order_restore(&tenant("nobody"), id(&fence, 1), &asha()).await,
        Err(StoreError::NotFound { .. })
    ));

    db.store.fall_back_to_snapshot(&fence, Some(&pointer(&fence, 2, true)), "damaged").await.unwrap();
    assert_eq!(db.refusal(&fence, 3).await, RestoreRefusal::Damaged);
    assert!(db.listed(&fence).await[1].is_newest);

    let connected =
        StatusReport { session_status: Some(SessionStatus::Connected), ..StatusReport::default() };
    db.store.report(&fence, &connected).await.unwrap();
    db.store.order_restore(&fence.tenant, id(&fence, 1), &asha()).await.unwrap();
    assert!(db.is_ordered(&fence).await);
    db.store.report(&fence, &connected).await.unwrap();
    db.store.request_logout(&fence.tenant).await.unwrap();
    assert!(!db.is_ordered(&fence).await, "a log-out ends what was ordered");
    assert_eq!(db.refusal(&fence, 2).await, RestoreRefusal::BeingForgotten);
    db.store.clear_snapshot(&fence).await.unwrap();
    assert!(db.listed(&fence).await.iter().all(|listed| listed.is_void));
    assert_eq!(db.refusal(&fence, 2).await, RestoreRefusal::OfSessionBefore);
    db.save(&fence, 5, false).await;
    assert_eq!(
        db.sequences(&fence).await,
        [5],
        "those of the session before go with the first save of the next"
    );
    assert!(!db.is_ordered(&fence).await);
}

#[tokio::test]
async fn an_order_to_go_back_stands_until_an_owner_has_carried_it_out() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    for sequence in 1..=3 {
        db.save(&fence, sequence, true).await;
    }
    let before = db.store.worker_spec(&fence.tenant).await.unwrap();
    db.store.order_restore(&fence.tenant, id(&fence, 1), &asha()).await.unwrap();
    let after = db.store.worker_spec(&fence.tenant).await.unwrap();
    assert!(after.restore_ordered && after.spec_revision > before.spec_revision);
    assert_eq!((after.restart_seq, after.restart_mode), (before.restart_seq + 1, RestartMode::Force));
    assert_eq!(db.store.ordered_restore(&fence).await.unwrap(), Some(id(&fence, 1)));

    // The owner was saving when it was ordered; what was ordered stays, however much follows.
    for sequence in 4..=7 {
        db.save(&fence, sequence, true).await;
    }
    assert_eq!(db.sequences(&fence).await, [7, 6, 5, 1]);
    assert!(db.listed(&fence).await[3].restore_ordered);

    let next = db.place(&fence.tenant, "b").await;
    assert_fenced(db.store.ordered_restore(&fence).await, &fence);
    let copy = pointer(&next, 1, true);
    assert!(!db.store.restored(&next, id(&fence, 6), &copy).await.unwrap(), "that was not ordered");
    assert!(db.is_ordered(&next).await);
    assert!(db.store.restored(&next, id(&fence, 1), &copy).await.unwrap());
    assert!(!db.is_ordered(&next).await);
    let expected = [
        (1, SnapshotState::Kept),
        (7, SnapshotState::PassedOver),
        (6, SnapshotState::PassedOver),
        (5, SnapshotState::PassedOver),
        (1, SnapshotState::Kept),
    ];
    assert_eq!(db.states(&next).await, expected);
    assert!(db.listed(&next).await[0].is_newest);
    assert_eq!(db.refusal(&fence, 6).await, RestoreRefusal::PassedOver);
    let events = db.store.list_events(&EventFilter::default(), None, 2).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.kind, event.requested_by.as_str())).collect();
    assert_eq!(told, [(EventKind::SessionRestored, "asha"), (EventKind::SessionRestoreOrdered, "asha")]);
    assert_eq!(events[0].reason, "it was better before");

    assert_eq!(db.save(&next, 2, false).await.len(), 5, "one that was passed over is listed for a while");
    db.save(&next, 3, false).await;
    assert_eq!(db.sequences(&next).await, [3, 2, 1], "and goes when three are later");
}

#[tokio::test]
async fn an_order_for_a_tenant_that_is_stopped_waits_for_its_start_and_the_last_order_counts() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    for sequence in 1..=3 {
        db.save(&fence, sequence, true).await;
    }
    db.store.stop_worker(&fence.tenant).await.unwrap();
    let before = db.store.worker_spec(&fence.tenant).await.unwrap();
    db.store.order_restore(&fence.tenant, id(&fence, 1), &asha()).await.unwrap();
    db.store.order_restore(&fence.tenant, id(&fence, 2), &asha()).await.unwrap();
    let after = db.store.worker_spec(&fence.tenant).await.unwrap();
    assert_eq!((after.desired, after.restart_seq), (before.desired, before.restart_seq));
    db.store.start_worker(&fence.tenant).await.unwrap();
    let next = db.place(&fence.tenant, "b").await;
    assert_eq!(db.store.ordered_restore(&next).await.unwrap(), Some(id(&fence, 2)));

    db.store.not_restored(&next, id(&fence, 1), "of before").await.unwrap();
    assert!(db.is_ordered(&next).await, "the order is another one by now");
    db.store.not_restored(&next, id(&fence, 2), "it is gone").await.unwrap();
    assert!(!db.is_ordered(&next).await);
    assert_eq!(db.refusal(&fence, 2).await, RestoreRefusal::Damaged);
    let events = db.store.list_events(&EventFilter::default(), None, 1).await.unwrap();
    assert_eq!((events[0].kind, events[0].text.as_str()), (EventKind::SessionRestoreFailed, "it is gone"));
    db.store.order_restore(&next.tenant, id(&fence, 1), &asha()).await.unwrap();
    db.store.force_restart_worker(&next.tenant, true).await.unwrap();
    assert!(!db.is_ordered(&next).await, "there is nothing to go back to after a wipe");
}

/// A save that has read the list before the order, and writes it after, leaves what was ordered.
#[tokio::test]
async fn a_save_that_meets_an_order_keeps_what_was_ordered() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    for sequence in 1..=3 {
        db.save(&fence, sequence, true).await;
    }
    let mut order = PgConnection::connect(&db.url).await.unwrap();
    order
        .execute(
            "begin; update whatsapp_sessions set restore_generation = (select min(generation) from session_snapshots),
                restore_sequence = 1",
        )
        .await
        .unwrap();
    let (store, owner) = (db.store.clone(), fence.clone());
    let save = tokio::spawn(async move { store.set_snapshot(&owner, &pointer(&owner, 4, true)).await });
    db.until_one_waits().await;
    order.execute("commit").await.unwrap();
    let kept = save.await.unwrap().unwrap();
    assert!(kept.contains(&id(&fence, 1)), "{kept:?}");
    assert_eq!(db.sequences(&fence).await, [4, 3, 2, 1]);
}

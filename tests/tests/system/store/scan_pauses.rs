//! Codes that nobody scans, as the database remembers it for every owner to come.

use std::time::Duration;

use roost_cluster::ledger::{EventKind, Ledger};
use roost_store::{
    ConditionKind, EventFilter, Fence, QrCode, SessionStatus, StatusReport, StoreError, TenantStatus,
    WorkerStatus,
};
use time::OffsetDateTime;

use crate::store::support::{Db, tenant};

async fn told(db: &Db) -> Vec<(EventKind, Option<String>)> {
    let mut events = db.store.list_events(&EventFilter::default(), None, 100).await.unwrap();
    events.retain(|event| matches!(event.kind, EventKind::ScanPaused | EventKind::ScanResumed));
    events.into_iter().rev().map(|event| (event.kind, event.tenant.map(String::from))).collect()
}

async fn is_paused(db: &Db, fence: &Fence) -> bool {
    let session = db.store.get_session(&fence.tenant).await.unwrap();
    let spec = db.store.worker_spec(&fence.tenant).await.unwrap();
    assert_eq!(session.scan_paused_at.is_some(), spec.scan_paused, "both are of one fact");
    spec.scan_paused
}

/// As its owner does it.
async fn pause(db: &Db, fence: &Fence) -> bool {
    let spec = db.store.worker_spec(&fence.tenant).await.unwrap();
    db.store.pause_scan(fence, spec.restart_seq, "nobody scans").await.unwrap()
}

#[tokio::test]
async fn a_pause_outlives_its_owner_and_ends_with_any_order_to_start_anew_which_the_history_tells() {
    let db = Db::new().await;
    let id = tenant("duka");
    let fence = db.owned("duka").await;
    assert!(pause(&db, &fence).await && is_paused(&db, &fence).await);
    assert!(pause(&db, &fence).await, "again is fine");
    let fence = db.place(&id, "b").await;
    assert!(is_paused(&db, &fence).await, "the next owner keeps to it");
    assert!(matches!(db.store.start_worker(&id).await, Ok((_, true))), "it runs, as far as anybody asked");
    assert!(is_paused(&db, &fence).await);

    let session = db.store.resume_linking(&id).await.unwrap();
    assert_eq!(session.scan_paused_at, None);
    assert!(!is_paused(&db, &fence).await);
    let restarts = db.store.get_worker(&id).await.unwrap().restarts;
    db.store.resume_linking(&id).await.unwrap();
    assert_eq!(db.store.get_worker(&id).await.unwrap().restarts, restarts, "nothing was paused");

    pause(&db, &fence).await;
    db.store.restart_worker(&id).await.unwrap();
    pause(&db, &fence).await;
    db.store.force_restart_worker(&id, false).await.unwrap();
    pause(&db, &fence).await;
    db.store.stop_worker(&id).await.unwrap();
    assert!(is_paused(&db, &fence).await, "a stop does not scan it");
    db.store.start_worker(&id).await.unwrap();
    assert!(!is_paused(&db, &fence).await);
    let (paused, resumed) = (EventKind::ScanPaused, EventKind::ScanResumed);
    let kinds: Vec<_> = told(&db).await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [paused, resumed, paused, resumed, paused, resumed, paused, resumed]);
    assert!(told(&db).await.iter().all(|(_, tenant)| tenant.as_deref() == Some("duka")));
    assert!(matches!(db.store.resume_linking(&tenant("nobody")).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn a_pause_that_comes_after_an_order_to_start_anew_is_none() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let heard = db.store.worker_spec(&fence.tenant).await.unwrap().restart_seq;
    db.store.restart_worker(&fence.tenant).await.unwrap();
    assert!(!db.store.pause_scan(&fence, heard, "nobody scans").await.unwrap());
    assert!(!is_paused(&db, &fence).await && told(&db).await.is_empty());

    pause(&db, &fence).await;
    let expires_at = OffsetDateTime::now_utc() + Duration::from_secs(20);
    let code = QrCode { text: "2@a".into(), data_uri: String::new(), expires_at };
    db.store.set_qr(&fence, Some(code)).await.unwrap();
    assert!(!is_paused(&db, &fence).await, "one is shown");

    let old = fence.clone();
    let fence = db.place(&fence.tenant, "b").await;
    let refused = db.store.pause_scan(&old, heard + 9, "nobody scans").await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })) && !is_paused(&db, &fence).await);
}

#[tokio::test]
async fn a_paused_worker_is_not_missed_although_nothing_is_seen_of_it() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let report = StatusReport {
        worker_status: Some(WorkerStatus::Running),
        tenant_status: Some(TenantStatus::QrPending),
        session_status: Some(SessionStatus::Disconnected),
        condition: Some((ConditionKind::ScanPaused, "nobody scans".into())),
        ..StatusReport::default()
    };
    db.store.report(&fence, &report).await.unwrap();
    db.execute("update worker_processes set known_seen_at = now() - interval '1 hour', expected_since = now() - interval '1 hour', updated_at = now() - interval '1 hour'").await;
    let marked = db.ledger.mark_stale(db.term, Duration::from_secs(120)).await.unwrap();
    assert!(marked.is_empty(), "{marked:?}");
    db.execute("update worker_processes set expected_since = now()").await;
    let minute = Duration::from_secs(60);
    assert_eq!(db.ledger.failover_facts(minute, minute).await.unwrap().starting, 1);
    assert!(pause(&db, &fence).await);
    assert_eq!(db.ledger.failover_facts(minute, minute).await.unwrap().starting, 0, "no ramp waits for it");
    let worker = db.store.get_worker(&fence.tenant).await.unwrap();
    assert_eq!((worker.status, worker.condition.kind), (WorkerStatus::Running, ConditionKind::ScanPaused));
}

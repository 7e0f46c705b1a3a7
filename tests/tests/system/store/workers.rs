//! What operators ask for, and what becomes of it.

use roost_model::ids::NodeId;
use roost_store::{
    ConditionKind, DesiredState, QrCode, RestartMode, SessionStatus, SnapshotPointer, StatusReport,
    StoreError, TenantStatus, WorkerFilter, WorkerStatus,
};
use time::OffsetDateTime;

use crate::store::support::{Db, new_tenant, tenant};

fn connected() -> StatusReport {
    StatusReport {
        tenant_status: Some(TenantStatus::Active),
        session_status: Some(SessionStatus::Connected),
        worker_status: Some(WorkerStatus::Running),
        last_error: Some(String::new()),
        ..StatusReport::default()
    }
}

fn gave_up() -> StatusReport {
    StatusReport {
        tenant_status: Some(TenantStatus::Error),
        worker_status: Some(WorkerStatus::Error),
        last_error: Some("gave up".into()),
        ..StatusReport::default()
    }
}

#[tokio::test]
async fn start_on_a_running_worker_changes_nothing_and_says_so() {
    let db = Db::new().await;
    let id = tenant("duka");
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    let (worker, already) = db.store.start_worker(&id).await.unwrap();
    assert!(!already);
    assert_eq!((worker.status, worker.desired), (WorkerStatus::Running, DesiredState::Running));
    assert_eq!(worker.name, "roost-worker-duka");
    let (again, already) = db.store.start_worker(&id).await.unwrap();
    assert!(already);
    assert_eq!(again, worker);
    assert_eq!(db.store.get_tenant(&id).await.unwrap().status, TenantStatus::New, "no phone was ever linked");
}

#[tokio::test]
async fn start_runs_a_worker_that_gave_up_again() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store.report(&fence, &gave_up()).await.unwrap();
    let before = db.store.worker_spec(&fence.tenant).await.unwrap();
    let (worker, already) = db.store.start_worker(&fence.tenant).await.unwrap();
    assert!(!already);
    assert_eq!((worker.status, worker.last_error.as_str()), (WorkerStatus::Running, ""));
    let after = db.store.worker_spec(&fence.tenant).await.unwrap();
    assert!(after.restart_seq > before.restart_seq && after.spec_revision > before.spec_revision);
    assert_eq!(db.store.get_tenant(&fence.tenant).await.unwrap().status, TenantStatus::QrPending);
}

#[tokio::test]
async fn stop_pauses_the_tenant_and_late_reports_do_not_undo_it() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store.report(&fence, &connected()).await.unwrap();
    let worker = db.store.stop_worker(&fence.tenant).await.unwrap();
    assert_eq!((worker.status, worker.desired), (WorkerStatus::Stopped, DesiredState::Stopped));
    for late in [connected(), gave_up()] {
        db.store.report(&fence, &late).await.unwrap();
        let qr = QrCode { text: "x".into(), data_uri: "y".into(), expires_at: OffsetDateTime::now_utc() };
        db.store.set_qr(&fence, Some(qr)).await.unwrap();
        let worker = db.store.get_worker(&fence.tenant).await.unwrap();
        assert_eq!((worker.status, worker.last_error.as_str()), (WorkerStatus::Stopped, ""));
        assert_eq!(db.store.get_tenant(&fence.tenant).await.unwrap().status, TenantStatus::Paused);
        assert_eq!(db.store.get_session(&fence.tenant).await.unwrap().qr, None);
    }
    let stopped =
        StatusReport { session_status: Some(SessionStatus::Disconnected), ..StatusReport::default() };
    db.store.report(&fence, &stopped).await.unwrap();
    assert_eq!(db.store.get_session(&fence.tenant).await.unwrap().status, SessionStatus::Disconnected);
}

#[tokio::test]
async fn what_is_waited_for_is_dated_from_its_beginning() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let waits = |kind, reason: &str| StatusReport {
        condition: Some((kind, reason.to_owned())),
        ..StatusReport::default()
    };
    let whatsapp = ConditionKind::WaitingForWhatsapp;
    db.store.report(&fence, &waits(whatsapp, "503")).await.unwrap();
    let first = db.store.get_worker(&fence.tenant).await.unwrap().condition;
    db.store.report(&fence, &waits(whatsapp, "no route")).await.unwrap();
    let second = db.store.get_worker(&fence.tenant).await.unwrap().condition;
    assert_eq!((second.kind, second.reason.as_str(), second.since), (whatsapp, "no route", first.since));
    db.store.report(&fence, &waits(ConditionKind::None, "")).await.unwrap();
    let over = db.store.get_worker(&fence.tenant).await.unwrap().condition;
    assert!(over.kind == ConditionKind::None && over.reason.is_empty() && over.since > first.since);
    db.store.report(&fence, &waits(whatsapp, "503")).await.unwrap();
    let stopped = db.store.stop_worker(&fence.tenant).await.unwrap().condition;
    assert!(stopped.kind == ConditionKind::None && stopped.reason.is_empty() && stopped.since > over.since);
    db.store.report(&fence, &waits(whatsapp, "late")).await.unwrap();
    assert_eq!(db.store.get_worker(&fence.tenant).await.unwrap().condition, stopped);
}

#[tokio::test]
async fn restart_clears_the_error_and_counts() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let failed = Some((ConditionKind::Failed, "gave up".to_owned()));
    db.store.report(&fence, &StatusReport { condition: failed, ..gave_up() }).await.unwrap();
    let failed = db.store.get_worker(&fence.tenant).await.unwrap().condition;
    let worker = db.store.restart_worker(&fence.tenant).await.unwrap();
    assert_eq!((worker.condition.kind, worker.condition.reason.as_str()), (ConditionKind::Starting, ""));
    assert!(worker.condition.since > failed.since);
    assert_eq!((worker.status, worker.last_error.as_str(), worker.restarts), (WorkerStatus::Running, "", 1));
    let spec = db.store.worker_spec(&fence.tenant).await.unwrap();
    assert_eq!(spec.restart_mode, RestartMode::Graceful);
    let restarted = StatusReport { restarted: true, ..connected() };
    db.store.report(&fence, &restarted).await.unwrap();
    assert_eq!(db.store.get_worker(&fence.tenant).await.unwrap().restarts, 2);
}

#[tokio::test]
async fn force_restart_waits_for_a_scan_or_a_connection_and_wipes_only_when_asked() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store.report(&fence, &connected()).await.unwrap();
    let pointer = SnapshotPointer {
        manifest: "m".into(),
        generation: fence.generation,
        sequence: 4,
        clean: false,
        at: OffsetDateTime::now_utc().replace_nanosecond(0).unwrap(),
        bytes: None,
    };
    db.store.set_snapshot(&fence, &pointer).await.unwrap();

    db.store.force_restart_worker(&fence.tenant, false).await.unwrap();
    assert_eq!(db.store.get_tenant(&fence.tenant).await.unwrap().status, TenantStatus::QrPending);
    let spec = db.store.worker_spec(&fence.tenant).await.unwrap();
    assert_eq!((spec.restart_mode, spec.forget_session), (RestartMode::Force, false));
    assert_eq!(spec.snapshot, Some(pointer.clone()));

    db.store.force_restart_worker(&fence.tenant, true).await.unwrap();
    let spec = db.store.worker_spec(&fence.tenant).await.unwrap();
    assert_eq!((spec.restart_mode, spec.forget_session, spec.snapshot), (RestartMode::ForceWipe, true, None));

    // The owner that was told dies, and the operator restarts: the session is to be forgotten all the same.
    let next = db.place(&fence.tenant, "b").await;
    db.store.restart_worker(&fence.tenant).await.unwrap();
    let spec = db.store.worker_spec(&fence.tenant).await.unwrap();
    assert_eq!((spec.restart_mode, spec.forget_session), (RestartMode::ForceWipe, true));
    db.store.clear_snapshot(&next).await.unwrap();
    assert!(!db.store.worker_spec(&fence.tenant).await.unwrap().forget_session);

    // A session that begins anew counts its snapshots from the start.
    let first = SnapshotPointer { sequence: 0, manifest: "new".into(), ..pointer };
    db.store.set_snapshot(&next, &first).await.unwrap();
    assert_eq!(db.store.snapshot_pointer(&fence.tenant).await.unwrap(), Some(first));
}

#[tokio::test]
async fn a_linked_tenant_is_active_again_at_its_next_start() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let pointer = SnapshotPointer {
        manifest: "m".into(),
        generation: fence.generation,
        sequence: 1,
        clean: true,
        at: OffsetDateTime::now_utc(),
        bytes: None,
    };
    db.store.report(&fence, &connected()).await.unwrap();
    db.store.set_snapshot(&fence, &pointer).await.unwrap();
    db.store.stop_worker(&fence.tenant).await.unwrap();
    db.store.start_worker(&fence.tenant).await.unwrap();
    assert_eq!(db.store.get_tenant(&fence.tenant).await.unwrap().status, TenantStatus::Active);
}

#[tokio::test]
async fn workers_are_listed_in_pages_and_by_node_and_status() {
    let db = Db::new().await;
    for id in ["c", "a", "b", "d-1", "d1"] {
        db.store.create_tenant(new_tenant(id)).await.unwrap();
    }
    db.store.start_worker(&tenant("b")).await.unwrap();
    db.place(&tenant("b"), "n1").await;
    let names = |workers: Vec<roost_store::Worker>| -> Vec<String> {
        workers.into_iter().map(|worker| worker.tenant.to_string()).collect()
    };
    let all = WorkerFilter::default();
    assert_eq!(names(db.store.list_workers(&all, None, 2).await.unwrap()), ["a", "b"]);
    let rest = db.store.list_workers(&all, Some(tenant("b")), 10).await.unwrap();
    assert_eq!(names(rest), ["c", "d-1", "d1"], "in the order of bytes, whatever the database's locale");
    let on_node = WorkerFilter { node: Some(NodeId::new("n1").unwrap()), ..WorkerFilter::default() };
    assert_eq!(names(db.store.list_workers(&on_node, None, 10).await.unwrap()), ["b"]);
    assert_eq!(db.store.count_workers(&on_node).await.unwrap(), 1);
    let stopped = WorkerFilter { status: Some(WorkerStatus::Stopped), ..WorkerFilter::default() };
    assert_eq!(names(db.store.list_workers(&stopped, None, 10).await.unwrap()), ["a", "c", "d-1", "d1"]);
    assert_eq!(db.store.count_workers(&stopped).await.unwrap(), 4);
    assert_eq!(db.store.count_workers(&all).await.unwrap(), 5);
}

#[tokio::test]
async fn every_call_on_an_unknown_tenant_says_so() {
    let db = Db::new().await;
    let id = tenant("nobody");
    let store = &db.store;
    let outcomes = [
        store.start_worker(&id).await.map(drop),
        store.stop_worker(&id).await.map(drop),
        store.restart_worker(&id).await.map(drop),
        store.force_restart_worker(&id, true).await.map(drop),
        store.get_worker(&id).await.map(drop),
        store.worker_spec(&id).await.map(drop),
        store.get_session(&id).await.map(drop),
        store.request_logout(&id).await.map(drop),
        store.snapshot_pointer(&id).await.map(drop),
        store.get_tenant(&id).await.map(drop),
        store.update_tenant(&id, Default::default()).await.map(drop),
        store.delete_tenant(&id).await,
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(StoreError::NotFound { kind: "tenant", .. })), "{outcome:?}");
    }
}

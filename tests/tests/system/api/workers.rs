//! WorkerService: what the operators' verbs mean.

use std::time::Duration;

use roost_proto::{error::ErrorCode, v1};
use roost_store::{ConditionKind, Heartbeat, SessionStatus, StatusReport, TenantStatus, WorkerStatus};

use crate::api::harness::{Api, api, next, refused, until};

async fn start(api: &Api, tenant: &str) -> v1::StartWorkerResponse {
    let request = v1::StartWorkerRequest { tenant_id: tenant.into() };
    api.workers().start_worker(request).await.unwrap().into_inner()
}

async fn force_restart(api: &Api, tenant: &str, wipe_session: bool) -> v1::Worker {
    let request = v1::ForceRestartWorkerRequest { tenant_id: tenant.into(), wipe_session };
    api.workers().force_restart_worker(request).await.unwrap().into_inner()
}

fn connected() -> StatusReport {
    StatusReport {
        tenant_status: Some(TenantStatus::Active),
        session_status: Some(SessionStatus::Connected),
        worker_status: Some(WorkerStatus::Running),
        ..StatusReport::default()
    }
}

fn failed() -> StatusReport {
    StatusReport {
        tenant_status: Some(TenantStatus::Error),
        session_status: Some(SessionStatus::Disconnected),
        worker_status: Some(WorkerStatus::Error),
        last_error: Some("ten reconnects failed".into()),
        ..StatusReport::default()
    }
}

#[tokio::test]
async fn start_on_a_running_worker_changes_nothing_and_says_so() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let created = api.worker("asha").await;
    assert_eq!((created.status(), created.name.as_str()), (v1::WorkerStatus::Stopped, "roost-worker-asha"));
    let first = start(&api, "asha").await;
    assert!(!first.already_running);
    let worker = first.worker.unwrap();
    assert_eq!(
        (worker.status(), worker.desired_state()),
        (v1::WorkerStatus::Running, v1::DesiredState::Running)
    );
    let second = start(&api, "asha").await;
    assert!(second.already_running);
    assert_eq!(second.worker.unwrap(), worker);
}

#[tokio::test]
async fn a_worker_that_no_node_takes_says_what_it_waits_for() {
    let api = api().await;
    api.tenant("asha", 1).await;
    start(&api, "asha").await;
    let condition = api.worker("asha").await.condition.unwrap();
    assert_eq!(condition.kind(), v1::ConditionKind::WaitingForCapacity, "{condition:?}");
    assert_eq!(condition.reason, "no node takes tenants");
    assert!(condition.since_time.is_some());
}

#[tokio::test]
async fn a_worker_in_error_starts_again() {
    let api = api().await;
    api.node("n1").await;
    api.tenant("asha", 1).await;
    let fence = api.placed("asha").await;
    api.store.report(&fence, &failed()).await.unwrap();
    let worker = api.worker("asha").await;
    assert_eq!(
        (worker.status(), worker.last_error.as_str()),
        (v1::WorkerStatus::Error, "ten reconnects failed")
    );
    assert_eq!(api.tenant_status("asha").await, v1::TenantStatus::Error);
    let answer = start(&api, "asha").await;
    assert!(!answer.already_running);
    let worker = answer.worker.unwrap();
    assert_eq!((worker.status(), worker.last_error.as_str()), (v1::WorkerStatus::Running, ""));
    assert_ne!(api.tenant_status("asha").await, v1::TenantStatus::Error);
}

#[tokio::test]
async fn stop_marks_the_worker_stopped_and_the_tenant_paused() {
    let api = api().await;
    api.tenant("asha", 1).await;
    start(&api, "asha").await;
    let request = v1::StopWorkerRequest { tenant_id: "asha".into() };
    let worker = api.workers().stop_worker(request.clone()).await.unwrap().into_inner();
    assert_eq!(
        (worker.status(), worker.desired_state()),
        (v1::WorkerStatus::Stopped, v1::DesiredState::Stopped)
    );
    assert_eq!(api.tenant_status("asha").await, v1::TenantStatus::Paused);
    // Stopping what is stopped is fine.
    let again = api.workers().stop_worker(request).await.unwrap().into_inner();
    assert_eq!(again.status(), v1::WorkerStatus::Stopped);
}

#[tokio::test]
async fn restart_clears_the_error_and_runs_also_what_was_stopped() {
    let api = api().await;
    api.node("n1").await;
    api.tenant("asha", 1).await;
    let fence = api.placed("asha").await;
    api.store.report(&fence, &failed()).await.unwrap();
    let request = v1::RestartWorkerRequest { tenant_id: "asha".into() };
    let worker = api.workers().restart_worker(request.clone()).await.unwrap().into_inner();
    assert_eq!((worker.status(), worker.last_error.as_str()), (v1::WorkerStatus::Running, ""));
    assert_eq!(worker.restarts, 1);
    api.workers().stop_worker(v1::StopWorkerRequest { tenant_id: "asha".into() }).await.unwrap();
    let worker = api.workers().restart_worker(request).await.unwrap().into_inner();
    assert_eq!(
        (worker.status(), worker.desired_state()),
        (v1::WorkerStatus::Running, v1::DesiredState::Running)
    );
}

#[tokio::test]
async fn force_restart_starts_afresh_with_the_tenant_waiting_for_its_code() {
    let api = api().await;
    api.node("n1").await;
    api.tenant("asha", 1).await;
    let fence = api.placed("asha").await;
    api.store.report(&fence, &connected()).await.unwrap();
    assert_eq!(api.tenant_status("asha").await, v1::TenantStatus::Active);
    let with_error = StatusReport { last_error: Some("deaf".into()), ..StatusReport::default() };
    api.store.report(&fence, &with_error).await.unwrap();
    for wipe in [false, true] {
        let worker = force_restart(&api, "asha", wipe).await;
        assert_eq!((worker.status(), worker.last_error.as_str()), (v1::WorkerStatus::Running, ""));
        assert_eq!(worker.session_status(), v1::SessionStatus::Disconnected);
        assert_eq!(api.tenant_status("asha").await, v1::TenantStatus::QrPending);
        let spec = api.store.worker_spec(&fence.tenant).await.unwrap();
        assert_eq!(spec.forget_session, wipe);
    }
}

#[tokio::test]
async fn workers_are_listed_by_node_and_by_status() {
    let api = api().await;
    api.node("n1").await;
    for (digits, id) in [(1, "asha"), (2, "juma"), (3, "neema")] {
        api.tenant(id, digits).await;
    }
    api.placed("asha").await;
    api.placed("juma").await;
    let list = |request: v1::ListWorkersRequest| async {
        let page = api.workers().list_workers(request).await.unwrap().into_inner();
        page.workers.into_iter().map(|worker| worker.tenant_id).collect::<Vec<_>>()
    };
    let on = |node_id: &str| v1::ListWorkersRequest { node_id: node_id.into(), ..Default::default() };
    let stopped = v1::ListWorkersRequest { status: v1::WorkerStatus::Stopped.into(), ..Default::default() };
    assert_eq!(list(on("n1")).await, ["asha", "juma"]);
    assert_eq!(list(on("n2")).await, Vec::<String>::new());
    assert_eq!(list(stopped).await, ["neema"]);
    assert_eq!(list(v1::ListWorkersRequest::default()).await, ["asha", "juma", "neema"]);
}

#[tokio::test]
async fn watch_sends_what_is_and_then_each_change() {
    let api = api().await;
    api.tenant("asha", 1).await;
    api.tenant("juma", 2).await;
    let mut watch =
        api.workers().watch_workers(v1::WatchWorkersRequest::default()).await.unwrap().into_inner();
    for id in ["asha", "juma"] {
        let present = next(&mut watch).await.unwrap();
        assert_eq!((present.worker.unwrap().tenant_id.as_str(), present.deleted), (id, false));
    }
    start(&api, "juma").await;
    let changed = next(&mut watch).await.unwrap().worker.unwrap();
    assert_eq!((changed.tenant_id.as_str(), changed.status()), ("juma", v1::WorkerStatus::Running));
    api.tenant("neema", 3).await;
    until(&mut watch, |answer| answer.worker.as_ref().is_some_and(|worker| worker.tenant_id == "neema"))
        .await;
    api.delete("asha").await;
    let deleted = until(&mut watch, |answer| answer.deleted).await;
    assert_eq!(deleted.worker.unwrap().tenant_id, "asha");
}

#[tokio::test]
async fn watch_of_one_tenant_tells_of_that_tenant_only() {
    let api = api().await;
    api.tenant("asha", 1).await;
    api.tenant("juma", 2).await;
    let request = v1::WatchWorkersRequest { tenant_id: "juma".into(), ..Default::default() };
    let mut watch = api.workers().watch_workers(request).await.unwrap().into_inner();
    assert_eq!(next(&mut watch).await.unwrap().worker.unwrap().tenant_id, "juma");
    start(&api, "asha").await;
    start(&api, "juma").await;
    assert_eq!(next(&mut watch).await.unwrap().worker.unwrap().tenant_id, "juma");
    let unknown = v1::WatchWorkersRequest { tenant_id: "nobody".into(), ..Default::default() };
    assert_eq!(refused(api.workers().watch_workers(unknown).await).code, ErrorCode::NotFound);
    let malformed = v1::WatchWorkersRequest { tenant_id: "No One".into(), ..Default::default() };
    assert_eq!(refused(api.workers().watch_workers(malformed).await).code, ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn a_watch_and_a_read_tell_the_same_of_what_a_worker_waits_for() {
    use v1::ConditionKind as Kind;
    let api = api().await;
    api.tenant("asha", 1).await;
    let mut watched =
        api.workers().watch_workers(v1::WatchWorkersRequest::default()).await.unwrap().into_inner();
    let mut agree = async |kind: Kind| {
        let waits = |answer: &v1::WatchWorkersResponse| kind_of(answer.worker.as_ref()) == kind;
        let told = until(&mut watched, waits).await.worker.unwrap();
        assert_eq!(api.worker("asha").await.condition, told.condition);
    };
    start(&api, "asha").await;
    agree(Kind::WaitingForCapacity).await;

    let node = api.node("n1").await;
    let fence = api.placed("asha").await;
    let waits = (ConditionKind::WaitingForStore, "the object store is away".to_owned());
    let report = StatusReport { condition: Some(waits), ..StatusReport::default() };
    api.store.report(&fence, &report).await.unwrap();
    agree(Kind::WaitingForStore).await;

    // What becomes of it now is in no row.
    let pause = v1::PauseFailoverRequest { reason: "switch".into(), ..Default::default() };
    api.cluster().pause_failover(pause).await.unwrap();
    api.registry.revoke(node.incarnation).await.unwrap();
    agree(Kind::WaitingForFailover).await;
    let stop = v1::StopWorkerRequest { tenant_id: "asha".into() };
    api.workers().stop_worker(stop).await.unwrap();
    agree(Kind::None).await;
}

#[tokio::test]
async fn who_follows_is_told_that_a_worker_is_not_seen_any_more_and_when_it_is_again() {
    use v1::ConditionKind as Kind;
    let api = api().await;
    api.tenant("asha", 1).await;
    start(&api, "asha").await;
    api.node("n1").await;
    let fence = api.placed("asha").await;
    let mut watched =
        api.workers().watch_workers(v1::WatchWorkersRequest::default()).await.unwrap().into_inner();
    let mut told = async |kind: Kind| {
        let is_so = |answer: &v1::WatchWorkersResponse| kind_of(answer.worker.as_ref()) == kind;
        until(&mut watched, is_so).await.worker.unwrap().condition.unwrap().reason
    };
    let condition = Some((ConditionKind::Answering, String::new()));
    let evident_for = Some(Duration::from_secs(2));
    let report = StatusReport { condition, evident_for, ..StatusReport::default() };
    api.store.report(&fence, &report).await.unwrap();
    assert_eq!(told(Kind::Answering).await, "");
    // From here on nobody writes anything.
    let reason = told(Kind::WaitingForNode).await;
    assert!(reason.ends_with("node n1 reports nothing of it"), "{reason}");
    let beat = Heartbeat { evident_for: Duration::from_secs(600), ..fence.clone().into() };
    api.store.heartbeat(&[beat]).await.unwrap();
    assert_eq!(told(Kind::Answering).await, "");
    let request = v1::ListConditionChangesRequest { tenant_id: "asha".into() };
    let kept = api.inspection().list_condition_changes(request).await.unwrap().into_inner().changes;
    let kept: Vec<_> = kept.iter().map(|change| (change.kind(), change.node_id.as_str())).collect();
    assert_eq!(kept, [(Kind::Answering, "n1"), (Kind::Starting, "")]);
    let nobody = v1::ListConditionChangesRequest { tenant_id: "nobody".into() };
    assert_eq!(refused(api.inspection().list_condition_changes(nobody).await).code, ErrorCode::NotFound);
}

fn kind_of(worker: Option<&v1::Worker>) -> v1::ConditionKind {
    worker.and_then(|worker| worker.condition.as_ref()).map(|condition| condition.kind()).unwrap_or_default()
}

//! Orders on many workers: who is chosen, their pace, their end, and which are refused.

use std::collections::BTreeMap;

use roost_devcluster::wait_until;
use roost_proto::{error::ErrorCode, v1};
use roost_store::{ConditionKind, Fence, SessionStatus, StatusReport, WorkerStatus};
use tonic::Streaming;

use crate::api::{
    fake_nodes::FakeNode,
    harness::{Api, SOON, api, business, fields, leader_and_next, next, refused, until},
};

/// Tenants on nodes that obey, by their names.
pub struct Chosen {
    pub fences: BTreeMap<String, Fence>,
    _nodes: Vec<FakeNode>,
}

pub async fn labelled(api: &Api, id: &str, digits: u32, plan: &str) {
    let tenant = v1::Tenant { labels: [("plan".to_owned(), plan.to_owned())].into(), ..business(digits) };
    let request = v1::CreateTenantRequest { tenant: Some(tenant), tenant_id: id.into() };
    api.tenants().create_tenant(request).await.unwrap();
}

/// Of the plan pro and all connected.
pub async fn chosen(api: &Api, ids: &[&str]) -> Chosen {
    let _nodes = vec![api.fake_node("n1").await];
    let mut fences = BTreeMap::new();
    for (digits, id) in (1..).zip(ids) {
        labelled(api, id, digits, "pro").await;
        let fence = api.placed(id).await;
        connected(api, &fence).await;
        fences.insert((*id).to_owned(), fence);
    }
    Chosen { fences, _nodes }
}

async fn report(api: &Api, fence: &Fence, report: StatusReport) {
    api.store.report(fence, &report).await.unwrap();
}

pub async fn connected(api: &Api, fence: &Fence) {
    for session in [SessionStatus::Disconnected, SessionStatus::Connected] {
        let condition = Some((ConditionKind::None, String::new()));
        let told = StatusReport { session_status: Some(session), condition, ..StatusReport::default() };
        report(api, fence, told).await;
    }
}

async fn in_error(api: &Api, fence: &Fence, error: &str) {
    let told = StatusReport {
        session_status: Some(SessionStatus::Disconnected),
        worker_status: Some(WorkerStatus::Error),
        last_error: Some(error.to_owned()),
        ..StatusReport::default()
    };
    report(api, fence, told).await;
}

impl Chosen {
    /// Those that were told to restart.
    async fn told(&self, api: &Api) -> Vec<&str> {
        let mut told = Vec::new();
        for id in self.fences.keys() {
            if api.worker(id).await.restarts > 0 {
                told.push(id.as_str());
            }
        }
        told
    }

    async fn are_told(&self, api: &Api, ids: &[&str]) {
        let are = || async { self.told(api).await.len() >= ids.len() };
        wait_until("they are told to restart", SOON, are).await.unwrap();
        assert_eq!(self.told(api).await, ids);
    }
}

pub fn restart(selector: &str) -> v1::StartFleetOperationRequest {
    v1::StartFleetOperationRequest {
        action: v1::WorkerAction::Restart.into(),
        selector: selector.into(),
        max_unavailable_percent: 100,
        requested_by: "asha".into(),
        ..Default::default()
    }
}

pub async fn start(api: &Api, request: v1::StartFleetOperationRequest) -> v1::Operation {
    api.operations().start_fleet_operation(request).await.unwrap().into_inner()
}

pub async fn watch(api: &Api, id: i64) -> Streaming<v1::Operation> {
    let request = v1::WatchOperationRequest { id };
    api.operations().watch_operation(request).await.unwrap().into_inner()
}

pub async fn end(changes: &mut Streaming<v1::Operation>) -> v1::Operation {
    until(changes, |change| change.state() != v1::OperationState::Running).await
}

/// A pass has been made since.
pub async fn a_pass_is_made(api: &Api) {
    api.tenant("later", 99).await;
    api.placed("later").await;
}

#[tokio::test]
async fn a_restart_takes_those_that_it_has_chosen_in_order_and_at_its_pace() {
    let api = api().await;
    let chosen = chosen(&api, &["asha", "juma", "neema"]).await;
    in_error(&api, &chosen.fences["neema"], "broken").await;
    labelled(&api, "soko", 8, "free").await;
    api.placed("soko").await;
    labelled(&api, "duka", 9, "pro").await;

    let request = v1::PlanFleetOperationRequest {
        action: v1::WorkerAction::Restart.into(),
        selector: "plan=pro".into(),
        ..Default::default()
    };
    let plan = api.operations().plan_fleet_operation(request).await.unwrap().into_inner();
    let told: Vec<_> =
        plan.workers.iter().map(|one| (one.tenant_id.as_str(), one.node_id.as_str(), one.answers)).collect();
    let expected = [("neema", "n1", false), ("asha", "n1", true), ("juma", "n1", true)];
    assert_eq!(
        (told.as_slice(), plan.total_tenants),
        (&expected[..], 3),
        "duka is stopped, soko is not chosen"
    );
    assert_eq!(chosen.told(&api).await, [] as [&str; 0]);

    let started =
        start(&api, v1::StartFleetOperationRequest { max_concurrent: 1, ..restart("plan=pro") }).await;
    assert_eq!((started.kind(), started.selector.as_str()), (v1::OperationKind::Fleet, "plan=pro"));
    assert_eq!((started.done_tenants, started.total_tenants, started.requested_by.as_str()), (0, 3, "asha"));
    let mut changes = watch(&api, started.id).await;
    chosen.are_told(&api, &["neema"]).await;
    // It is chosen too late.
    let labels = [("plan".to_owned(), "pro".to_owned())].into();
    let tenant = Some(v1::Tenant { id: "soko".into(), labels, ..Default::default() });
    let update_mask = Some(prost_types::FieldMask { paths: vec!["labels".into()] });
    let request = v1::UpdateTenantRequest { tenant, update_mask };
    api.tenants().update_tenant(request).await.unwrap();
    a_pass_is_made(&api).await;
    assert_eq!(chosen.told(&api).await, ["neema"], "one at a time");

    connected(&api, &chosen.fences["neema"]).await;
    chosen.are_told(&api, &["asha", "neema"]).await;
    until(&mut changes, |change| change.done_tenants == 1).await;
    connected(&api, &chosen.fences["asha"]).await;
    chosen.are_told(&api, &["asha", "juma", "neema"]).await;
    connected(&api, &chosen.fences["juma"]).await;
    let ended = end(&mut changes).await;
    assert_eq!((ended.state(), ended.message.as_str()), (v1::OperationState::Done, ""));
    assert_eq!((ended.done_tenants, ended.total_tenants), (3, 3));
    assert_eq!(api.worker("soko").await.restarts, 0);
    assert!(changes.message().await.unwrap().is_none(), "the stream ends with the operation");
}

#[tokio::test]
async fn a_restart_leaves_as_many_connected_as_it_must_and_waits_for_what_others_have_brought_down() {
    let api = api().await;
    let chosen = chosen(&api, &["asha", "juma", "neema"]).await;
    let started =
        start(&api, v1::StartFleetOperationRequest { max_unavailable_percent: 34, ..restart("plan=pro") })
            .await;
    chosen.are_told(&api, &["asha"]).await;
    a_pass_is_made(&api).await;
    assert_eq!(chosen.told(&api).await, ["asha"], "of three one may be away");
    // The network of another one is gone when this one is back.
    let told = StatusReport { session_status: Some(SessionStatus::Disconnected), ..StatusReport::default() };
    report(&api, &chosen.fences["neema"], told).await;
    connected(&api, &chosen.fences["asha"]).await;
    let mut changes = watch(&api, started.id).await;
    let waits = until(&mut changes, |change| !change.message.is_empty()).await;
    assert_eq!(waits.message, "1 of the 3 that answered when they were chosen do not, and 1 may");
    connected(&api, &chosen.fences["neema"]).await;
    chosen.are_told(&api, &["asha", "juma"]).await;
}

#[tokio::test]
async fn a_cancelled_restart_tells_nobody_more() {
    let api = api().await;
    let chosen = chosen(&api, &["asha", "juma"]).await;
    let started =
        start(&api, v1::StartFleetOperationRequest { max_concurrent: 1, ..restart("plan=pro") }).await;
    let mut changes = watch(&api, started.id).await;
    chosen.are_told(&api, &["asha"]).await;
    let cancel =
        v1::CancelOperationRequest { id: started.id, requested_by: "juma".into(), ..Default::default() };
    api.operations().cancel_operation(cancel).await.unwrap();
    let ended = end(&mut changes).await;
    assert_eq!((ended.state(), ended.message.as_str()), (v1::OperationState::Cancelled, "cancelled by juma"));
    connected(&api, &chosen.fences["asha"]).await;
    a_pass_is_made(&api).await;
    assert_eq!(chosen.told(&api).await, ["asha"]);
    let request = v1::ListOperationsRequest::default();
    let listed = api.operations().list_operations(request).await.unwrap().into_inner().operations;
    assert_eq!(listed, [ended], "the history has it");
}

#[tokio::test]
async fn a_restart_of_which_three_fail_is_halted_and_names_them_with_their_errors() {
    let api = api().await;
    let ids = ["asha", "duka", "juma", "neema", "soko", "zawadi"];
    let chosen = chosen(&api, &ids).await;
    for fence in chosen.fences.values() {
        in_error(&api, fence, "broken").await;
    }
    let request = v1::StartFleetOperationRequest { max_concurrent: 3, ..restart("status=error,plan=pro") };
    let started = start(&api, request).await;
    let mut changes = watch(&api, started.id).await;
    chosen.are_told(&api, &ids[..3]).await;
    in_error(&api, &chosen.fences["asha"], "its session is damaged").await;
    let first = until(&mut changes, |change| !change.message.is_empty()).await;
    assert_eq!(first.message, "1 failed: asha (its session is damaged)");
    chosen.are_told(&api, &ids[..4]).await;
    in_error(&api, &chosen.fences["duka"], "its profile is damaged").await;
    chosen.are_told(&api, &ids[..5]).await;
    in_error(&api, &chosen.fences["neema"], "no memory").await;
    let ended = end(&mut changes).await;
    assert_eq!(ended.state(), v1::OperationState::Failed);
    let names = "asha (its session is damaged), duka (its profile is damaged), neema (no memory)";
    assert_eq!(ended.message, format!("halted, for 3 of 6 failed; 1 not begun: {names}"));
    let request = v1::GetOperationRequest { id: started.id };
    let kept = api.operations().get_operation(request).await.unwrap().into_inner().failures;
    let kept: Vec<_> = kept.iter().map(|one| (one.tenant_id.as_str(), one.error.as_str())).collect();
    let failed =
        [("asha", "its session is damaged"), ("duka", "its profile is damaged"), ("neema", "no memory")];
    assert_eq!(kept, failed);
    a_pass_is_made(&api).await;
    assert_eq!(chosen.told(&api).await, ids[..5]);
}

#[tokio::test]
async fn who_is_stopped_or_deleted_before_its_turn_is_not_restarted() {
    let api = api().await;
    let chosen = chosen(&api, &["asha", "juma", "neema"]).await;
    let started =
        start(&api, v1::StartFleetOperationRequest { max_concurrent: 1, ..restart("plan=pro") }).await;
    let mut changes = watch(&api, started.id).await;
    chosen.are_told(&api, &["asha"]).await;
    let stop = v1::StopWorkerRequest { tenant_id: "juma".into() };
    api.workers().stop_worker(stop).await.unwrap();
    api.delete("neema").await;
    connected(&api, &chosen.fences["asha"]).await;
    let ended = end(&mut changes).await;
    assert_eq!((ended.state(), ended.done_tenants, ended.total_tenants), (v1::OperationState::Done, 1, 1));
    let juma = api.worker("juma").await;
    assert_eq!((juma.restarts, juma.status()), (0, v1::WorkerStatus::Stopped));
}

#[tokio::test]
async fn the_next_leader_goes_on_with_a_restart() {
    let (first, second) = leader_and_next().await;
    let chosen = chosen(&second, &["asha", "juma"]).await;
    let started =
        start(&second, v1::StartFleetOperationRequest { max_concurrent: 1, ..restart("plan=pro") }).await;
    let mut changes = watch(&second, started.id).await;
    chosen.are_told(&second, &["asha"]).await;
    first.coordinator.stop().await.unwrap();
    connected(&second, &chosen.fences["asha"]).await;
    chosen.are_told(&second, &["asha", "juma"]).await;
    assert_eq!(second.worker("asha").await.restarts, 1, "once");
    connected(&second, &chosen.fences["juma"]).await;
    let ended = end(&mut changes).await;
    assert_eq!((ended.state(), ended.done_tenants, ended.total_tenants), (v1::OperationState::Done, 2, 2));
}

#[tokio::test]
async fn a_restart_of_nobody_of_everybody_by_mistake_or_beside_another_is_refused() {
    let api = api().await;
    let _chosen = chosen(&api, &["asha"]).await;
    let plan = |selector: &str| v1::PlanFleetOperationRequest {
        action: v1::WorkerAction::Restart.into(),
        selector: selector.into(),
        ..Default::default()
    };
    for error in [
        refused(api.operations().start_fleet_operation(restart("plan=free")).await),
        refused(api.operations().plan_fleet_operation(plan("plan=free")).await),
    ] {
        assert_eq!(fields(&error, ErrorCode::FailedPrecondition), [] as [&str; 0]);
        assert!(error.message.contains("plan=free matches no tenant"), "{}", error.message);
    }
    for request in [restart(""), v1::StartFleetOperationRequest { all: true, ..restart("plan=pro") }] {
        let error = refused(api.operations().start_fleet_operation(request).await);
        assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["selector"]);
    }
    let wrong = v1::StartFleetOperationRequest {
        selector: "pl an=x".into(),
        all: false,
        max_concurrent: 1_001,
        max_unavailable_percent: 101,
        requested_by: "x".repeat(101),
        reason: "two\nlines".into(),
        ..Default::default()
    };
    let error = refused(api.operations().start_fleet_operation(wrong).await);
    let named = fields(&error, ErrorCode::InvalidArgument);
    assert_eq!(
        named,
        ["action", "selector", "max_concurrent", "max_unavailable_percent", "requested_by", "reason"]
    );
    let share =
        v1::StartFleetOperationRequest { action: v1::WorkerAction::Stop.into(), ..restart("plan=pro") };
    let error = refused(api.operations().start_fleet_operation(share).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["max_unavailable_percent"]);
    let none = api.operations().list_operations(v1::ListOperationsRequest::default()).await.unwrap();
    assert_eq!(none.into_inner().operations, []);

    let all = v1::StartFleetOperationRequest {
        all: true,
        max_concurrent: 0,
        max_unavailable_percent: 0,
        ..restart("")
    };
    let running = start(&api, all).await;
    assert_eq!((running.max_concurrent, running.max_unavailable_percent), (10, 5), "the usual limits");
    let mut changes = watch(&api, running.id).await;
    assert_eq!(next(&mut changes).await.unwrap().selector, "");
    let error = refused(api.operations().start_fleet_operation(restart("plan=pro")).await);
    assert_eq!(error.code, ErrorCode::AlreadyExists, "{error:?}");
    assert_eq!(error.resource.unwrap().id, running.id.to_string());
}

#[tokio::test]
async fn many_are_stopped_and_started_again_a_few_at_a_time() {
    let api = api().await;
    let chosen = chosen(&api, &["asha", "juma"]).await;
    let order = |action: v1::WorkerAction| v1::StartFleetOperationRequest {
        action: action.into(),
        max_concurrent: 1,
        max_unavailable_percent: 0,
        ..restart("plan=pro")
    };
    let stop = start(&api, order(v1::WorkerAction::Stop)).await;
    assert_eq!((stop.action(), stop.total_tenants), (v1::WorkerAction::Stop, 2));
    let mut changes = watch(&api, stop.id).await;
    let ended = end(&mut changes).await;
    assert_eq!((ended.state(), ended.done_tenants), (v1::OperationState::Done, 2), "{}", ended.message);
    for id in ["asha", "juma"] {
        let worker = api.worker(id).await;
        assert_eq!((worker.status(), worker.node_id.as_str()), (v1::WorkerStatus::Stopped, ""));
    }
    let again = refused(api.operations().start_fleet_operation(order(v1::WorkerAction::Stop)).await);
    assert!(again.message.contains("plan=pro matches no tenant with a worker that is to run"), "{again:?}");

    let started = start(&api, order(v1::WorkerAction::Start)).await;
    let mut changes = watch(&api, started.id).await;
    for id in ["asha", "juma"] {
        let is_placed = || async { !api.worker(id).await.node_id.is_empty() };
        wait_until("it is started at its turn", SOON, is_placed).await.unwrap();
        connected(&api, &api.placed(id).await).await;
    }
    let ended = end(&mut changes).await;
    assert_eq!((ended.state(), ended.done_tenants), (v1::OperationState::Done, 2), "{}", ended.message);
    drop(chosen);
}

#[tokio::test]
async fn one_that_pauses_at_a_failure_begins_nobody_until_it_is_resumed() {
    let api = api().await;
    let chosen = chosen(&api, &["asha", "juma"]).await;
    let request =
        v1::StartFleetOperationRequest { max_concurrent: 1, pause_on_failure: true, ..restart("plan=pro") };
    let started = start(&api, request).await;
    assert!(started.pauses_on_failure);
    let resume =
        || v1::ResumeOperationRequest { id: started.id, requested_by: "neema".into(), ..Default::default() };
    let early = refused(api.operations().resume_operation(resume()).await);
    assert_eq!(early.code, ErrorCode::FailedPrecondition, "{early:?}");
    let mut changes = watch(&api, started.id).await;
    chosen.are_told(&api, &["asha"]).await;
    in_error(&api, &chosen.fences["asha"], "no memory").await;
    let paused = until(&mut changes, |change| !change.message.is_empty()).await;
    assert_eq!(paused.message, "paused until it is resumed or cancelled, for 1 failed: asha (no memory)");
    a_pass_is_made(&api).await;
    assert_eq!(chosen.told(&api).await, ["asha"]);
    api.operations().resume_operation(resume()).await.unwrap();
    chosen.are_told(&api, &["asha", "juma"]).await;
    connected(&api, &chosen.fences["juma"]).await;
    let ended = end(&mut changes).await;
    assert_eq!((ended.state(), ended.done_tenants), (v1::OperationState::Failed, 1));
}

//! Drains: what they move, and which are refused.

use roost_proto::{error::ErrorCode, v1};

use crate::api::harness::{Api, api, apis, fields, next, refused, until};

pub fn drain(node: &str) -> v1::StartDrainRequest {
    v1::StartDrainRequest { node_id: node.into(), ..Default::default() }
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

async fn node(api: &Api, id: &str) -> v1::Node {
    api.nodes().get_node(v1::GetNodeRequest { id: id.into() }).await.unwrap().into_inner()
}

/// Asserts that no operation was started and that the node is as it was.
async fn untouched(api: &Api, id: &str) {
    let all = api.operations().list_operations(v1::ListOperationsRequest::default()).await.unwrap();
    assert_eq!(all.into_inner().operations, []);
    let node = node(api, id).await;
    assert!(!node.cordoned && !node.draining, "{node:?}");
}

#[tokio::test]
async fn a_drain_moves_every_tenant_and_leaves_the_node_cordoned() {
    let api = api().await;
    let _n1 = api.fake_node("n1").await;
    for (tenant, digits) in [("asha", 1), ("juma", 2)] {
        api.tenant(tenant, digits).await;
        api.placed(tenant).await;
    }
    let _n2 = api.fake_node("n2").await;
    let request = v1::PlanDrainRequest { node_id: "n1".into(), force: false };
    let plan = api.operations().plan_drain(request).await.unwrap().into_inner();
    let told: Vec<_> = plan
        .moves
        .iter()
        .map(|m| (m.tenant_id.as_str(), m.from_node_id.as_str(), m.to_node_id.as_str()))
        .collect();
    assert_eq!(told, [("asha", "n1", "n2"), ("juma", "n1", "n2")]);
    assert!(plan.moves.iter().all(|planned| !planned.reason.is_empty()) && plan.blocked.is_empty());
    untouched(&api, "n1").await;

    let request = v1::StartDrainRequest {
        deadline: seconds(600),
        requested_by: "asha".into(),
        reason: "upgrade".into(),
        ..drain("n1")
    };
    let started = api.operations().start_drain(request).await.unwrap().into_inner();
    assert_eq!((started.kind(), started.node_id.as_str()), (v1::OperationKind::Drain, "n1"));
    let (start, deadline) = (started.start_time.unwrap(), started.deadline.unwrap());
    assert_eq!(deadline.seconds - start.seconds, 600);
    let watch = v1::WatchOperationRequest { id: started.id };
    let mut changes = api.operations().watch_operation(watch).await.unwrap().into_inner();
    let ended = until(&mut changes, |change| change.state() != v1::OperationState::Running).await;
    assert_eq!(ended.state(), v1::OperationState::Done, "{ended:?}");
    assert_eq!((ended.total_tenants, ended.done_tenants), (2, 2));
    assert!(changes.message().await.unwrap().is_none(), "the stream ends with the operation");

    let request = v1::GetOperationRequest { id: started.id };
    let told = api.operations().get_operation(request).await.unwrap().into_inner();
    assert_eq!((told.requested_by.as_str(), told.reason.as_str()), ("asha", "upgrade"));
    let mut moved: Vec<_> =
        told.moves.iter().map(|m| (m.tenant_id.as_str(), m.to_node_id.as_str())).collect();
    moved.sort_unstable();
    assert_eq!(moved, [("asha", "n2"), ("juma", "n2")]);
    let after = node(&api, "n1").await;
    assert!(after.cordoned && !after.draining && after.tenants == 0, "{after:?}");
}

#[tokio::test]
async fn a_tenant_that_cannot_leave_is_told_with_its_reason() {
    let api = api().await;
    let _n1 = api.fake_node("n1").await;
    let _n2 = api.fake_node("n2").await;
    api.tenant("asha", 1).await;
    let pin = v1::PinTenantRequest { tenant_id: "asha".into(), node_id: "n1".into(), ..Default::default() };
    api.tenants().pin_tenant(pin).await.unwrap();
    api.placed("asha").await;
    let request = v1::PlanDrainRequest { node_id: "n1".into(), force: false };
    let plan = api.operations().plan_drain(request).await.unwrap().into_inner();
    assert_eq!(plan.moves, []);
    assert_eq!((plan.blocked.len(), plan.blocked[0].tenant_id.as_str()), (1, "asha"));
    assert!(plan.blocked[0].reason.contains("pinned"), "{plan:?}");

    // So does the operation itself, for as long as it waits.
    let forced = v1::StartDrainRequest { force: true, ..drain("n1") };
    let id = api.operations().start_drain(forced).await.unwrap().into_inner().id;
    let watch = v1::WatchOperationRequest { id };
    let mut changes = api.operations().watch_operation(watch).await.unwrap().into_inner();
    let waits = until(&mut changes, |change| change.message.starts_with("asha stays: ")).await;
    assert!(waits.message.contains("pinned") && waits.state() == v1::OperationState::Running, "{waits:?}");
    let unpin = v1::UnpinTenantRequest { tenant_id: "asha".into(), ..Default::default() };
    api.tenants().unpin_tenant(unpin).await.unwrap();
    let ended = until(&mut changes, |change| change.state() != v1::OperationState::Running).await;
    assert_eq!((ended.state(), ended.message.as_str()), (v1::OperationState::Done, ""));
}

#[tokio::test]
async fn the_last_open_node_is_not_drained_unless_it_is_forced() {
    let api = api().await;
    api.node("n1").await;
    api.node("n2").await;
    let cordon = v1::CordonRequest { id: "n2".into(), ..Default::default() };
    api.nodes().cordon(cordon).await.unwrap();
    let plan = v1::PlanDrainRequest { node_id: "n1".into(), force: false };
    for error in [
        refused(api.operations().start_drain(drain("n1")).await),
        refused(api.operations().plan_drain(plan).await),
    ] {
        assert_eq!(fields(&error, ErrorCode::FailedPrecondition), [] as [&str; 0]);
        assert!(error.message.contains("force"), "{}", error.message);
    }
    untouched(&api, "n1").await;
    let forced = v1::StartDrainRequest { force: true, ..drain("n1") };
    assert!(api.operations().start_drain(forced).await.unwrap().into_inner().force);
}

#[tokio::test]
async fn of_drains_that_close_every_node_at_once_one_is_refused() {
    let [a, b] = apis(["c1", "c2"]).await;
    // A tenant each that nothing acknowledges keeps the drains from ending.
    a.node("n1").await;
    a.node("n2").await;
    for (tenant, digits) in [("asha", 1), ("juma", 2), ("neema", 3), ("zawadi", 4)] {
        a.tenant(tenant, digits).await;
        a.placed(tenant).await;
    }
    let (mut first, mut second) = (a.operations(), b.operations());
    let (first, second) = tokio::join!(first.start_drain(drain("n1")), second.start_drain(drain("n2")));
    assert!(first.is_err() || second.is_err(), "both nodes are closed");
    for error in [first.err(), second.err()].into_iter().flatten() {
        let error = crate::api::harness::error_of(&error);
        // Both wait for the same row: on a busy machine one may give up.
        let codes = [ErrorCode::FailedPrecondition, ErrorCode::Unavailable];
        assert!(codes.contains(&error.code), "{error:?}");
    }
    let request =
        v1::ListOperationsRequest { state: v1::OperationState::Running.into(), ..Default::default() };
    let running = a.operations().list_operations(request).await.unwrap().into_inner().operations;
    assert!(running.len() <= 1, "{running:?}");
}

#[tokio::test]
async fn a_second_drain_of_a_node_is_refused_by_either_coordinator() {
    let [a, b] = apis(["c1", "c2"]).await;
    for node in ["n1", "n2"] {
        a.node(node).await;
    }
    let pin = v1::PinTenantRequest { tenant_id: "asha".into(), node_id: "n1".into(), ..Default::default() };
    a.tenant("asha", 1).await;
    a.tenants().pin_tenant(pin).await.unwrap();
    a.placed("asha").await;
    let (mut first, mut second) = (a.operations(), b.operations());
    let (first, second) = tokio::join!(first.start_drain(drain("n1")), second.start_drain(drain("n1")));
    let (won, lost) = match (first, second) {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => {
            (won.into_inner(), crate::api::harness::error_of(&lost))
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(lost.code, ErrorCode::AlreadyExists, "{lost:?}");
    let about = lost.resource.unwrap();
    assert_eq!((about.kind.as_str(), about.id), ("operation", won.id.to_string()));

    // What one has started the other tells, and cancels.
    let watch = v1::WatchOperationRequest { id: won.id };
    let mut changes = b.operations().watch_operation(watch).await.unwrap().into_inner();
    assert_eq!(next(&mut changes).await.unwrap().state(), v1::OperationState::Running);
    let cancel = v1::CancelOperationRequest { id: won.id, ..Default::default() };
    a.operations().cancel_operation(cancel).await.unwrap();
    let ended = until(&mut changes, |change| change.state() != v1::OperationState::Running).await;
    assert_eq!(ended.state(), v1::OperationState::Cancelled);
    assert!(!node(&b, "n1").await.cordoned, "it is as open as it was");
}

#[tokio::test]
async fn a_drain_with_a_senseless_deadline_or_text_is_refused() {
    let api = api().await;
    api.node("n1").await;
    api.node("n2").await;
    for wrong in [seconds(0), seconds(-60), seconds(86_401), seconds(i64::MAX)] {
        let request = v1::StartDrainRequest { deadline: wrong, ..drain("n1") };
        let error = refused(api.operations().start_drain(request).await);
        assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["deadline"], "{wrong:?}");
    }
    let request = v1::StartDrainRequest {
        node_id: "N 1".into(),
        deadline: seconds(-1),
        requested_by: "x".repeat(101),
        reason: "two\nlines".into(),
        force: false,
    };
    let error = refused(api.operations().start_drain(request).await);
    let named = fields(&error, ErrorCode::InvalidArgument);
    assert_eq!(named, ["node_id", "deadline", "requested_by", "reason"]);
    untouched(&api, "n1").await;
}

#[tokio::test]
async fn a_node_that_leaves_by_itself_is_not_drained() {
    let api = api().await;
    api.node("n2").await;
    api.node_that("n1", |record| record.leaving = true).await;
    let error = refused(api.operations().start_drain(drain("n1")).await);
    assert_eq!(error.code, ErrorCode::FailedPrecondition, "{error:?}");
    untouched(&api, "n1").await;
}

//! Moves of one tenant, pins, and why a tenant is where it is.

use roost_devcluster::wait_until;
use roost_proto::{error::ErrorCode, v1};

use crate::api::{
    drains::drain,
    harness::{Api, SOON, api, refused, until},
};

fn order(tenant: &str, node: &str) -> v1::StartMoveRequest {
    v1::StartMoveRequest { tenant_id: tenant.into(), node_id: node.into(), ..Default::default() }
}

fn pin(tenant: &str, node: &str) -> v1::PinTenantRequest {
    v1::PinTenantRequest { tenant_id: tenant.into(), node_id: node.into(), ..Default::default() }
}

/// The order must be refused, by its dry run too, and leave nothing behind.
async fn is_refused(api: &Api, tenant: &str, node: &str, code: ErrorCode, said: &str) {
    let plan = v1::PlanMoveRequest { tenant_id: tenant.into(), node_id: node.into() };
    for error in [
        refused(api.operations().start_move(order(tenant, node)).await),
        refused(api.operations().plan_move(plan).await),
    ] {
        assert_eq!(error.code, code, "{error:?}");
        assert!(error.message.contains(said), "{said:?} is not in {:?}", error.message);
    }
    let filter = v1::ListOperationsRequest { tenant_id: tenant.into(), ..Default::default() };
    let listed = api.operations().list_operations(filter).await.unwrap().into_inner();
    assert_eq!(listed.operations, []);
}

async fn explain(api: &Api, tenant: &str) -> v1::PlacementExplanation {
    let request = v1::ExplainPlacementRequest { tenant_id: tenant.into() };
    api.tenants().explain_placement(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_move_is_planned_done_and_explained() {
    let api = api().await;
    let _n1 = api.fake_node("n1").await;
    api.tenant("asha", 1).await;
    api.placed("asha").await;
    let _n2 = api.fake_node("n2").await;
    let plan = v1::PlanMoveRequest { tenant_id: "asha".into(), node_id: "n2".into() };
    let plan = api.operations().plan_move(plan).await.unwrap().into_inner();
    assert_eq!((plan.moves.len(), plan.blocked.len()), (1, 0), "{plan:?}");
    let planned = &plan.moves[0];
    assert_eq!((planned.from_node_id.as_str(), planned.to_node_id.as_str()), ("n1", "n2"));

    let started = api.operations().start_move(order("asha", "n2")).await.unwrap().into_inner();
    let watch = v1::WatchOperationRequest { id: started.id };
    let mut changes = api.operations().watch_operation(watch).await.unwrap().into_inner();
    let ended = until(&mut changes, |change| change.state() != v1::OperationState::Running).await;
    assert_eq!(ended.state(), v1::OperationState::Done, "{ended:?}");
    assert_eq!(api.worker("asha").await.node_id, "n2");

    let told = explain(&api, "asha").await;
    assert_eq!((told.tenant_id.as_str(), told.node_id.as_str()), ("asha", "n2"));
    assert!(told.summary.contains("n2"), "{told:?}");
    let mut candidates: Vec<_> = told.candidates.iter().map(|one| one.node_id.as_str()).collect();
    candidates.sort_unstable();
    assert_eq!(candidates, ["n1", "n2"]);
    assert!(told.candidates.iter().all(|candidate| !candidate.reason.is_empty()));
    assert!(!told.triggers.is_empty());
    let last = &told.history[0];
    assert_eq!((last.from_node_id.as_str(), last.to_node_id.as_str()), ("n1", "n2"));
    assert!(!last.reason.is_empty());
}

#[tokio::test]
async fn a_move_that_makes_no_sense_is_refused() {
    let api = api().await;
    for node in ["n1", "n2", "n3"] {
        api.node(node).await;
    }
    api.node_that("full", |record| record.capacity = 0).await;
    api.tenant("asha", 1).await;
    is_refused(&api, "asha", "n1", ErrorCode::FailedPrecondition, "is stopped").await;
    api.tenants().pin_tenant(pin("asha", "n1")).await.unwrap();
    api.placed("asha").await;
    let is_there = || async { explain(&api, "asha").await.node_id == "n1" };
    wait_until("the assignment is published", SOON, is_there).await.unwrap();
    is_refused(&api, "asha", "n2", ErrorCode::FailedPrecondition, "is pinned to node n1").await;
    let unpin = v1::UnpinTenantRequest { tenant_id: "asha".into(), ..Default::default() };
    api.tenants().unpin_tenant(unpin).await.unwrap();
    is_refused(&api, "asha", "n1", ErrorCode::FailedPrecondition, "already").await;
    is_refused(&api, "asha", "full", ErrorCode::FailedPrecondition, "is full").await;
    is_refused(&api, "asha", "gone", ErrorCode::NotFound, "no live node").await;
    is_refused(&api, "nobody", "n2", ErrorCode::NotFound, "no tenant").await;
    api.nodes().cordon(v1::CordonRequest { id: "n2".into(), ..Default::default() }).await.unwrap();
    is_refused(&api, "asha", "n2", ErrorCode::FailedPrecondition, "is cordoned").await;
    api.node_that("n4", |record| record.leaving = true).await;
    is_refused(&api, "asha", "n4", ErrorCode::FailedPrecondition, "is leaving").await;

    // Nothing acknowledges, so the first one goes on.
    let first = api.operations().start_move(order("asha", "n3")).await.unwrap().into_inner();
    let second = refused(api.operations().start_move(order("asha", "n3")).await);
    assert_eq!(second.code, ErrorCode::AlreadyExists, "{second:?}");
    assert_eq!(second.resource.unwrap().id, first.id.to_string());
    let elsewhere = refused(api.tenants().pin_tenant(pin("asha", "n1")).await);
    assert_eq!(elsewhere.code, ErrorCode::FailedPrecondition, "{elsewhere:?}");
    assert_eq!(api.worker("asha").await.pinned_node_id, "");
}

#[tokio::test]
async fn a_pinned_tenant_goes_to_its_node_and_an_unpinned_one_stays() {
    let api = api().await;
    let _n1 = api.fake_node("n1").await;
    api.tenant("asha", 1).await;
    api.placed("asha").await;
    let _n2 = api.fake_node("n2").await;
    let pinned = api.tenants().pin_tenant(pin("asha", "n2")).await.unwrap().into_inner();
    assert_eq!(pinned.pinned_node_id, "n2");
    let has_moved = || async { api.worker("asha").await.node_id == "n2" };
    wait_until("the tenant is where it is pinned", SOON, has_moved).await.unwrap();
    assert_eq!(explain(&api, "asha").await.pinned_node_id, "n2");
    let unpin = v1::UnpinTenantRequest { tenant_id: "asha".into(), ..Default::default() };
    let unpinned = api.tenants().unpin_tenant(unpin).await.unwrap().into_inner();
    assert_eq!((unpinned.pinned_node_id.as_str(), unpinned.node_id.as_str()), ("", "n2"));
}

#[tokio::test]
async fn a_pin_to_a_node_that_cannot_take_the_tenant_is_refused() {
    let api = api().await;
    for node in ["n1", "n2", "n3"] {
        api.node(node).await;
    }
    api.node_that("full", |record| record.capacity = 0).await;
    api.node_that("leaving", |record| record.leaving = true).await;
    api.tenant("asha", 1).await;
    api.nodes().cordon(v1::CordonRequest { id: "n2".into(), ..Default::default() }).await.unwrap();
    // A tenant that nothing acknowledges keeps the drain from ending.
    api.tenant("juma", 2).await;
    api.tenants().pin_tenant(pin("juma", "n3")).await.unwrap();
    api.placed("juma").await;
    let is_there = || async { explain(&api, "juma").await.node_id == "n3" };
    wait_until("the assignment is published", SOON, is_there).await.unwrap();
    api.operations().start_drain(drain("n3")).await.unwrap();
    for (node, code, said) in [
        ("full", ErrorCode::FailedPrecondition, "is full"),
        ("leaving", ErrorCode::FailedPrecondition, "is leaving"),
        ("n2", ErrorCode::FailedPrecondition, "is cordoned"),
        ("n3", ErrorCode::FailedPrecondition, "is being drained"),
        ("gone", ErrorCode::NotFound, "no live node"),
    ] {
        let error = refused(api.tenants().pin_tenant(pin("asha", node)).await);
        assert_eq!(error.code, code, "{error:?}");
        assert!(error.message.contains(said), "{said:?} is not in {:?}", error.message);
        assert_eq!(api.worker("asha").await.pinned_node_id, "");
    }
}

#[tokio::test]
async fn a_tenant_that_is_nowhere_is_explained_too() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let told = explain(&api, "asha").await;
    assert_eq!((told.node_id.as_str(), told.candidates.len(), told.history.len()), ("", 0, 0));
    assert!(told.summary.contains("not to run"), "{told:?}");
    let start = v1::StartWorkerRequest { tenant_id: "asha".into() };
    api.workers().start_worker(start).await.unwrap();
    let told = explain(&api, "asha").await;
    assert!(told.summary.contains("no node takes tenants"), "{told:?}");
}

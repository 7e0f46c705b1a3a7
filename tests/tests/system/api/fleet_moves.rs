//! Moves of many workers: where they go, who cannot, their pace, and the next leader.

use roost_devcluster::wait_until;
use roost_proto::{error::ErrorCode, v1};

use crate::api::{
    fleet::{Chosen, a_pass_is_made, chosen, connected, end, labelled, restart, start, watch},
    harness::{Api, SOON, api, fields, leader_and_next, refused, until},
};

fn order(to: &str) -> v1::StartFleetOperationRequest {
    v1::StartFleetOperationRequest {
        action: v1::WorkerAction::Move.into(),
        node_id: to.into(),
        ..restart("plan=pro")
    }
}

async fn plan(api: &Api, to: &str) -> Result<tonic::Response<v1::FleetPlan>, tonic::Status> {
    let request = v1::PlanFleetOperationRequest {
        action: v1::WorkerAction::Move.into(),
        selector: "plan=pro".into(),
        node_id: to.into(),
        ..Default::default()
    };
    api.operations().plan_fleet_operation(request).await
}

async fn pin(api: &Api, tenant: &str, node: &str) {
    let request =
        v1::PinTenantRequest { tenant_id: tenant.into(), node_id: node.into(), ..Default::default() };
    api.tenants().pin_tenant(request).await.unwrap();
}

/// Connected on n1, and published there, so that they can leave it.
async fn on_n1(api: &Api, ids: &[&str]) -> Chosen {
    let chosen = chosen(api, ids).await;
    for id in ids {
        let is_there = || async {
            let request = v1::ExplainPlacementRequest { tenant_id: (*id).to_owned() };
            api.tenants().explain_placement(request).await.unwrap().into_inner().node_id == "n1"
        };
        wait_until("the assignment is published", SOON, is_there).await.unwrap();
    }
    chosen
}

/// It comes there, and up.
async fn arrives(api: &Api, id: &str, node: &str) {
    let is_there = || async { api.worker(id).await.node_id == node };
    wait_until("it is moved at its turn", SOON, is_there).await.unwrap();
    connected(api, &api.placed(id).await).await;
}

#[tokio::test]
async fn a_move_of_many_takes_those_that_can_at_its_pace_and_names_the_others() {
    let api = api().await;
    let _n1 = on_n1(&api, &["asha", "juma", "neema"]).await;
    let _n2 = api.fake_node("n2").await;
    pin(&api, "juma", "n1").await;

    let planned = plan(&api, "").await.unwrap().into_inner();
    let told: Vec<_> =
        planned.workers.iter().map(|one| (one.tenant_id.as_str(), one.to_node_id.as_str())).collect();
    assert_eq!(told, [("asha", "n2"), ("neema", "n2")]);
    assert!(planned.workers[0].reason.contains("an operator moves it away"), "{planned:?}");
    let stays = v1::BlockedMove {
        tenant_id: "juma".into(),
        from_node_id: "n1".into(),
        reason: "it is pinned to n1".into(),
    };
    assert_eq!((planned.blocked.as_slice(), planned.total_tenants), (&[stays.clone()][..], 2));
    a_pass_is_made(&api).await;
    assert_eq!(api.worker("asha").await.node_id, "n1", "a plan changes nothing");

    let started = start(&api, v1::StartFleetOperationRequest { max_concurrent: 1, ..order("") }).await;
    assert_eq!((started.action(), started.total_tenants), (v1::WorkerAction::Move, 2));
    assert_eq!(started.blocked, [stays]);
    let mut changes = watch(&api, started.id).await;
    let is_there = || async { api.worker("asha").await.node_id == "n2" };
    wait_until("the first is moved", SOON, is_there).await.unwrap();
    assert_eq!(api.worker("neema").await.node_id, "n1", "one at a time, and it is not connected yet");
    arrives(&api, "asha", "n2").await;
    arrives(&api, "neema", "n2").await;
    let ended = end(&mut changes).await;
    assert_eq!((ended.state(), ended.done_tenants), (v1::OperationState::Done, 2), "{}", ended.message);
    assert_eq!((api.worker("juma").await.node_id.as_str(), api.worker("asha").await.restarts), ("n1", 0));
    let request = v1::GetOperationRequest { id: started.id };
    let kept = api.operations().get_operation(request).await.unwrap().into_inner();
    assert_eq!(kept.moves.len(), 2, "they are in its history: {kept:?}");
}

#[tokio::test]
async fn the_next_leader_goes_on_with_a_move_of_many() {
    let (first, second) = leader_and_next().await;
    let _n1 = on_n1(&second, &["asha", "juma"]).await;
    let _n2 = second.fake_node("n2").await;
    let started = start(&second, v1::StartFleetOperationRequest { max_concurrent: 1, ..order("n2") }).await;
    assert_eq!(started.node_id, "n2");
    let mut changes = watch(&second, started.id).await;
    let is_there = || async { second.worker("asha").await.node_id == "n2" };
    wait_until("the first is moved", SOON, is_there).await.unwrap();
    first.coordinator.stop().await.unwrap();
    arrives(&second, "asha", "n2").await;
    arrives(&second, "juma", "n2").await;
    let ended = end(&mut changes).await;
    assert_eq!((ended.state(), ended.done_tenants), (v1::OperationState::Done, 2), "{}", ended.message);
}

#[tokio::test]
async fn who_finds_no_place_any_more_at_its_turn_fails_with_the_reason() {
    let api = api().await;
    let _n1 = on_n1(&api, &["asha", "juma"]).await;
    let _n2 = api.fake_node("n2").await;
    let request = v1::StartFleetOperationRequest { max_concurrent: 1, pause_on_failure: true, ..order("n2") };
    let started = start(&api, request).await;
    let mut changes = watch(&api, started.id).await;
    let is_there = || async { api.worker("asha").await.node_id == "n2" };
    wait_until("the first is moved", SOON, is_there).await.unwrap();
    api.nodes().cordon(v1::CordonRequest { id: "n2".into(), ..Default::default() }).await.unwrap();
    connected(&api, &api.placed("asha").await).await;
    let ended = end(&mut changes).await;
    let reason = "1 of 2 failed: juma (n2, where it is moved to, takes no tenants)";
    assert_eq!((ended.state(), ended.message.as_str()), (v1::OperationState::Failed, reason));
    assert_eq!(api.worker("juma").await.node_id, "n1", "it stays where it runs");
}

#[tokio::test]
async fn a_cancelled_move_of_many_moves_nobody_more() {
    let api = api().await;
    let _n1 = on_n1(&api, &["asha", "juma"]).await;
    let _n2 = api.fake_node("n2").await;
    let started = start(&api, v1::StartFleetOperationRequest { max_concurrent: 1, ..order("n2") }).await;
    let mut changes = watch(&api, started.id).await;
    let is_there = || async { api.worker("asha").await.node_id == "n2" };
    wait_until("the first is moved", SOON, is_there).await.unwrap();
    let cancel = v1::CancelOperationRequest { id: started.id, ..Default::default() };
    api.operations().cancel_operation(cancel).await.unwrap();
    until(&mut changes, |change| change.state() == v1::OperationState::Cancelled).await;
    connected(&api, &api.placed("asha").await).await;
    a_pass_is_made(&api).await;
    assert_eq!(api.worker("juma").await.node_id, "n1");
}

#[tokio::test]
async fn a_move_of_many_that_makes_no_sense_is_refused() {
    let api = api().await;
    let _n1 = on_n1(&api, &["asha", "juma"]).await;
    let is_refused = |to: &'static str, code: ErrorCode, said: &'static str| {
        let api = &api;
        async move {
            for error in [
                refused(api.operations().start_fleet_operation(order(to)).await),
                refused(plan(api, to).await),
            ] {
                assert_eq!(error.code, code, "{error:?}");
                assert!(error.message.contains(said), "{said:?} is not in {:?}", error.message);
            }
        }
    };
    is_refused("", ErrorCode::FailedPrecondition, "none of the chosen can move: asha: no node takes tenants")
        .await;
    is_refused("gone", ErrorCode::NotFound, "no live node").await;
    is_refused("n1", ErrorCode::FailedPrecondition, "on node n1 already").await;
    api.node_that("full", |record| record.capacity = 0).await;
    is_refused("full", ErrorCode::FailedPrecondition, "asha: full, where it is moved to, is full; juma: ")
        .await;
    api.nodes().cordon(v1::CordonRequest { id: "full".into(), ..Default::default() }).await.unwrap();
    is_refused("full", ErrorCode::FailedPrecondition, "is cordoned").await;
    let to = v1::StartFleetOperationRequest { node_id: "n1".into(), ..restart("plan=pro") };
    let error = refused(api.operations().start_fleet_operation(to).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["node_id"]);
    labelled(&api, "soko", 8, "free").await;
    let nobody = v1::StartFleetOperationRequest { selector: "plan=free".into(), ..order("n1") };
    let error = refused(api.operations().start_fleet_operation(nobody).await);
    assert!(error.message.contains("plan=free matches no tenant with a worker that is to run"), "{error:?}");
    let none = api.operations().list_operations(v1::ListOperationsRequest::default()).await.unwrap();
    assert_eq!(none.into_inner().operations, []);
}

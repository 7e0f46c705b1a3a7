//! Rebalances.

use roost_proto::{error::ErrorCode, v1};

use crate::api::harness::{api, fields, refused, until};

#[tokio::test]
async fn a_rebalance_gives_a_new_node_its_share_and_no_more() {
    let api = api().await;
    let _n1 = api.fake_node("n1").await;
    for number in 1..=4 {
        let tenant = format!("t{number}");
        api.tenant(&tenant, number).await;
        api.placed(&tenant).await;
    }
    let _n2 = api.fake_node("n2").await;
    let plan = api.operations().plan_rebalance(v1::PlanRebalanceRequest {}).await.unwrap().into_inner();
    assert!((1..=2).contains(&plan.moves.len()) && plan.blocked.is_empty(), "{plan:?}");
    assert!(plan.moves.iter().all(|planned| planned.to_node_id == "n2"), "{plan:?}");

    let started =
        api.operations().start_rebalance(v1::StartRebalanceRequest::default()).await.unwrap().into_inner();
    assert_eq!((started.max_concurrent, started.max_unavailable_percent), (4, 10));
    assert_eq!((started.requested_by.as_str(), started.node_id.as_str()), ("admin", ""));
    let watch = v1::WatchOperationRequest { id: started.id };
    let mut changes = api.operations().watch_operation(watch).await.unwrap().into_inner();
    let ended = until(&mut changes, |change| change.state() != v1::OperationState::Running).await;
    assert_eq!(ended.state(), v1::OperationState::Done, "{ended:?}");
    let request = v1::GetOperationRequest { id: started.id };
    let told = api.operations().get_operation(request).await.unwrap().into_inner();
    assert_eq!(told.moves.len(), plan.moves.len());
    let again = api.operations().plan_rebalance(v1::PlanRebalanceRequest {}).await.unwrap().into_inner();
    assert_eq!(again, v1::Plan::default());
}

#[tokio::test]
async fn limits_out_of_range_and_a_second_rebalance_are_refused() {
    let api = api().await;
    for (concurrent, unavailable, named) in [
        (-1, 10, &["max_concurrent"][..]),
        (1_001, 10, &["max_concurrent"]),
        (4, 101, &["max_unavailable_percent"]),
        (-1, -1, &["max_concurrent", "max_unavailable_percent"]),
    ] {
        let request = v1::StartRebalanceRequest {
            max_concurrent: concurrent,
            max_unavailable_percent: unavailable,
            ..Default::default()
        };
        let error = refused(api.operations().start_rebalance(request).await);
        assert_eq!(fields(&error, ErrorCode::InvalidArgument), named);
    }
    // Tenants that nothing acknowledges keep it from ending.
    api.node("n1").await;
    for number in 1..=4 {
        let tenant = format!("t{number}");
        api.tenant(&tenant, number).await;
        api.placed(&tenant).await;
    }
    api.node("n2").await;
    let request =
        v1::StartRebalanceRequest { max_concurrent: 2, max_unavailable_percent: 50, ..Default::default() };
    let first = api.operations().start_rebalance(request.clone()).await.unwrap().into_inner();
    assert_eq!((first.max_concurrent, first.max_unavailable_percent), (2, 50));
    let error = refused(api.operations().start_rebalance(request).await);
    assert_eq!(error.code, ErrorCode::AlreadyExists, "{error:?}");
    assert_eq!(error.resource.unwrap().id, first.id.to_string());
}

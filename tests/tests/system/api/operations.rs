//! What all operations have in common: the list, the end, the stream.

use roost_proto::{error::ErrorCode, v1};

use crate::api::{
    drains::drain,
    harness::{Api, api, error_of, fields, next, refused},
};

fn cancel(id: i64) -> v1::CancelOperationRequest {
    v1::CancelOperationRequest { id, ..Default::default() }
}

async fn list(api: &Api, request: v1::ListOperationsRequest) -> v1::ListOperationsResponse {
    api.operations().list_operations(request).await.unwrap().into_inner()
}

fn ids(answer: &v1::ListOperationsResponse) -> Vec<i64> {
    answer.operations.iter().map(|operation| operation.id).collect()
}

/// A drain of n1 that does not end, for a tenant that is pinned there.
pub async fn endless_drain(api: &Api) -> v1::Operation {
    api.node("n1").await;
    api.node("n2").await;
    api.tenant("asha", 1).await;
    let pin = v1::PinTenantRequest { tenant_id: "asha".into(), node_id: "n1".into(), ..Default::default() };
    api.tenants().pin_tenant(pin).await.unwrap();
    api.placed("asha").await;
    api.operations().start_drain(drain("n1")).await.unwrap().into_inner()
}

#[tokio::test]
async fn operations_are_listed_newest_first_by_pages_and_by_filter() {
    let api = api().await;
    let first = endless_drain(&api).await.id;
    api.operations().cancel_operation(cancel(first)).await.unwrap();
    let second = api.operations().start_drain(drain("n1")).await.unwrap().into_inner().id;
    let page = v1::ListOperationsRequest { page_size: 1, ..Default::default() };
    let newest = list(&api, page.clone()).await;
    assert_eq!(ids(&newest), [second]);
    let rest = v1::ListOperationsRequest { page_token: newest.next_page_token.clone(), ..page };
    let oldest = list(&api, rest.clone()).await;
    assert_eq!((ids(&oldest), oldest.next_page_token.as_str()), (vec![first], ""));
    let of = |state: v1::OperationState, node: &str, tenant: &str| v1::ListOperationsRequest {
        state: state.into(),
        node_id: node.into(),
        tenant_id: tenant.into(),
        ..Default::default()
    };
    assert_eq!(ids(&list(&api, of(v1::OperationState::Cancelled, "", "")).await), [first]);
    assert_eq!(ids(&list(&api, of(v1::OperationState::Running, "n1", "")).await), [second]);
    assert_eq!(ids(&list(&api, of(v1::OperationState::Unspecified, "n2", "")).await), [] as [i64; 0]);
    assert_eq!(ids(&list(&api, of(v1::OperationState::Unspecified, "", "asha")).await), [] as [i64; 0]);
    // A token counts with its filter only.
    let other = v1::ListOperationsRequest { node_id: "n1".into(), ..rest };
    let error = refused(api.operations().list_operations(other).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["page_token"]);
    let wrong = v1::ListOperationsRequest {
        page_size: -1,
        page_token: "junk".into(),
        state: 77,
        node_id: "N 1".into(),
        tenant_id: "T 1".into(),
    };
    let error = refused(api.operations().list_operations(wrong).await);
    let named = fields(&error, ErrorCode::InvalidArgument);
    assert_eq!(named, ["page_size", "page_token", "state", "node_id", "tenant_id"]);
}

#[tokio::test]
async fn a_cancelled_operation_is_over_and_cannot_be_cancelled_again() {
    let api = api().await;
    let running = endless_drain(&api).await;
    let request = v1::CancelOperationRequest { requested_by: "juma".into(), ..cancel(running.id) };
    let cancelled = api.operations().cancel_operation(request).await.unwrap().into_inner();
    assert_eq!(cancelled.state(), v1::OperationState::Cancelled);
    assert!(cancelled.message.contains("juma") && cancelled.end_time.is_some(), "{cancelled:?}");
    let node = api.nodes().get_node(v1::GetNodeRequest { id: "n1".into() }).await.unwrap().into_inner();
    assert!(!node.cordoned && !node.draining, "{node:?}");
    let error = refused(api.operations().cancel_operation(cancel(running.id)).await);
    assert_eq!(error.code, ErrorCode::FailedPrecondition, "{error:?}");
    assert!(error.message.contains("cancelled already"), "{}", error.message);
    // Watching what is over tells it once.
    let watch = v1::WatchOperationRequest { id: running.id };
    let mut changes = api.operations().watch_operation(watch).await.unwrap().into_inner();
    assert_eq!(next(&mut changes).await.unwrap().state(), v1::OperationState::Cancelled);
    assert!(changes.message().await.unwrap().is_none());
}

#[tokio::test]
async fn an_operation_that_is_not_there_is_not_found_and_a_senseless_id_refused() {
    let api = api().await;
    for (id, code, named) in [
        (99, ErrorCode::NotFound, &[][..]),
        (0, ErrorCode::InvalidArgument, &["id"]),
        (-1, ErrorCode::InvalidArgument, &["id"]),
    ] {
        for error in [
            refused(api.operations().get_operation(v1::GetOperationRequest { id }).await),
            refused(api.operations().watch_operation(v1::WatchOperationRequest { id }).await),
            refused(api.operations().cancel_operation(cancel(id)).await),
        ] {
            assert_eq!(fields(&error, code), *named, "{id}");
            if code == ErrorCode::NotFound {
                assert_eq!(error.resource.unwrap().kind, "operation");
            }
        }
    }
}

#[tokio::test]
async fn a_watch_ends_with_unavailable_when_its_coordinator_stops() {
    let api = api().await;
    let running = endless_drain(&api).await;
    let watch = v1::WatchOperationRequest { id: running.id };
    let mut changes = api.operations().watch_operation(watch).await.unwrap().into_inner();
    next(&mut changes).await.unwrap();
    api.coordinator.stop().await.unwrap();
    loop {
        if let Err(status) = next(&mut changes).await {
            return assert_eq!(error_of(&status).code, ErrorCode::Unavailable);
        }
    }
}

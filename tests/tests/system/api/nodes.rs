//! NodeService.

use roost_cluster::{
    ledger::{Ledger, LedgerRecord},
    records::{Impairment, ImpairmentKind, NodeMemory},
};
use roost_devcluster::wait_until;
use roost_proto::{error::ErrorCode, v1};

use roost_model::ids::TenantId;
use roost_store::{LimitsPatch, PostgresLedger, TenantPatch};

use crate::api::harness::{SOON, api, api_with, fields, refused};

#[tokio::test]
async fn live_nodes_are_listed_with_their_tenants() {
    let api = api().await;
    let records = [api.node("n1").await, api.node("n2").await, api.node("n3").await];
    api.tenant("asha", 1).await;
    api.placed("asha").await;
    let worker = api.worker("asha").await;
    let get = |id: &str| {
        let request = v1::GetNodeRequest { id: id.into() };
        async { api.nodes().get_node(request).await.unwrap().into_inner() }
    };
    let has_it = || async { get(&worker.node_id).await.tenants == 1 };
    wait_until("the assignment is published", SOON, has_it).await.unwrap();

    let first = v1::ListNodesRequest { page_size: 2, ..Default::default() };
    let first = api.nodes().list_nodes(first).await.unwrap().into_inner();
    let second =
        v1::ListNodesRequest { page_size: 2, page_token: first.next_page_token, ..Default::default() };
    let second = api.nodes().list_nodes(second).await.unwrap().into_inner();
    assert_eq!(second.next_page_token, "");
    let nodes: Vec<_> = first.nodes.into_iter().chain(second.nodes).collect();
    assert_eq!(nodes.iter().map(|node| node.id.as_str()).collect::<Vec<_>>(), ["n1", "n2", "n3"]);
    assert_eq!(nodes.iter().map(|node| node.tenants).sum::<i32>(), 1);
    for (node, record) in nodes.iter().zip(records) {
        assert_eq!((node.incarnation, node.capacity, node.weight), (record.incarnation.0, 50, 100));
        assert_eq!((node.zone.as_str(), node.leaving), ("default", false));
        assert_eq!(node.start_time.unwrap().nanos, 123_000_000);
    }
}

#[tokio::test]
async fn a_node_with_too_little_memory_is_refused_explained_and_shown_as_such() {
    let api = api().await;
    const MIB: u64 = 1 << 20;
    let memory = NodeMemory { allocatable_bytes: 200 * MIB, p95_bytes: Some(96 * MIB) };
    api.node("n1").await;
    api.tenant("asha", 1).await;
    api.placed("asha").await;
    api.node_that("n2", |record| record.memory = Some(memory)).await;
    let limits = LimitsPatch { memory_request_bytes: Some(Some(256 * MIB)), ..LimitsPatch::default() };
    let patch = TenantPatch { limits, ..TenantPatch::default() };
    api.store.update_tenant(&TenantId::new("asha").unwrap(), patch).await.unwrap();
    let move_there =
        v1::StartMoveRequest { tenant_id: "asha".into(), node_id: "n2".into(), ..Default::default() };
    let error = refused(api.operations().start_move(move_there).await);
    assert_eq!(error.code, ErrorCode::FailedPrecondition, "{error:?}");
    let told = "node n2 has too little memory: it needs 256 MiB and 200 MiB are free";
    assert!(error.message.contains(told), "{error:?}");
    let explain = v1::ExplainPlacementRequest { tenant_id: "asha".into() };
    let explained = api.tenants().explain_placement(explain).await.unwrap().into_inner();
    let n2 = explained.candidates.iter().find(|candidate| candidate.node_id == "n2").unwrap();
    assert!(!n2.fits && told.ends_with(&n2.reason), "{n2:?}");

    let get = async |id: &str| {
        let request = v1::GetNodeRequest { id: id.into() };
        api.nodes().get_node(request).await.unwrap().into_inner()
    };
    assert_eq!(get("n1").await.memory, None, "it does not say what it has");
    api.tenant("juma", 2).await;
    let pin = v1::PinTenantRequest { tenant_id: "juma".into(), node_id: "n2".into(), ..Default::default() };
    api.tenants().pin_tenant(pin).await.unwrap();
    api.placed("juma").await;
    let shown = get("n2").await.memory.unwrap();
    assert_eq!(shown.allocatable_bytes, 200 << 20);
    assert_eq!((shown.p95_bytes, shown.requested_bytes), (Some(96 << 20), Some(96 << 20)));
    assert_eq!(shown.used_bytes, Some(0), "nobody has seen it yet");
}

/// As an earlier controller left it; the minute that an impairment has to last is the controller's own tests' to wait for.
#[tokio::test]
async fn a_node_whose_tenants_leave_is_told_as_such_and_the_next_controller_goes_on_with_it() {
    let first = api().await;
    let browser = ImpairmentKind::Browser;
    let impaired = vec![Impairment::new(browser, "it does not start", 0)];
    let record = first.node_that("n1", |record| record.impairments = impaired).await;
    first.node("n2").await;
    first.tenant("asha", 1).await;
    first.placed("asha").await;
    let get = v1::GetNodeRequest { id: "n1".into() };
    assert!(!first.nodes().get_node(get.clone()).await.unwrap().into_inner().shedding);
    first.coordinator.stop().await.unwrap();
    let term = first.store.present_controller().await.unwrap().term;
    let note = LedgerRecord::Shedding { node: record.node, because: Some(browser) };
    PostgresLedger::new(first.store.clone()).record(term, &[note]).await.unwrap();

    let next = api_with(&first.database_url, &first.cluster_name).await;
    next.is_serving("roost.Controller").await;
    next.tenant("juma", 2).await;
    next.placed("juma").await;
    let listed = next.nodes().list_nodes(v1::ListNodesRequest::default()).await.unwrap().into_inner().nodes;
    let shedding: Vec<_> = listed.iter().filter(|node| node.shedding).map(|node| node.id.as_str()).collect();
    assert_eq!(shedding, ["n1"]);
    let explain = v1::ExplainPlacementRequest { tenant_id: "juma".into() };
    let explained = next.tenants().explain_placement(explain).await.unwrap().into_inner();
    let n1 = explained.candidates.iter().find(|candidate| candidate.node_id == "n1").unwrap();
    assert_eq!((n1.fits, n1.reason.as_str()), (false, "has been impaired for long: its tenants leave"));
    let move_there =
        v1::StartMoveRequest { tenant_id: "juma".into(), node_id: "n1".into(), ..Default::default() };
    let error = refused(next.operations().start_move(move_there).await);
    assert_eq!(error.code, ErrorCode::FailedPrecondition, "{error:?}");
}

#[tokio::test]
async fn a_node_whose_lease_has_ended_is_not_found() {
    let api = api().await;
    let record = api.node("n1").await;
    api.registry.revoke(record.incarnation).await.unwrap();
    let error = refused(api.nodes().get_node(v1::GetNodeRequest { id: "n1".into() }).await);
    assert_eq!(error.code, ErrorCode::NotFound);
    assert_eq!(error.resource.unwrap().kind, "node");
    let error = refused(api.nodes().get_node(v1::GetNodeRequest { id: "N 1".into() }).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["id"]);
    let request = v1::ListNodesRequest { page_size: -1, page_token: "junk".into(), show_lost: false };
    let error = refused(api.nodes().list_nodes(request).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["page_size", "page_token"]);
}

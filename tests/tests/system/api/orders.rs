//! Orders on nodes: cordons and restart windows.

use roost_devcluster::wait_until;
use roost_proto::{error::ErrorCode, v1};

use crate::api::{
    harness::{Api, SOON, api, fields, refused},
    operations::endless_drain,
};

fn cordon(id: &str) -> v1::CordonRequest {
    v1::CordonRequest { id: id.into(), ..Default::default() }
}

fn uncordon(id: &str) -> v1::UncordonRequest {
    v1::UncordonRequest { id: id.into(), ..Default::default() }
}

fn window(id: &str, seconds: i64) -> v1::SetRestartWindowRequest {
    let window = Some(prost_types::Duration { seconds, nanos: 0 });
    v1::SetRestartWindowRequest { id: id.into(), window, ..Default::default() }
}

async fn list(api: &Api, show_lost: bool) -> Vec<v1::Node> {
    let request = v1::ListNodesRequest { show_lost, ..Default::default() };
    api.nodes().list_nodes(request).await.unwrap().into_inner().nodes
}

#[tokio::test]
async fn a_cordoned_node_takes_nothing_until_it_is_uncordoned() {
    let api = api().await;
    api.node("n1").await;
    let request = v1::CordonRequest { requested_by: "asha".into(), reason: "hot".into(), ..cordon("n1") };
    let node = api.nodes().cordon(request).await.unwrap().into_inner();
    assert!(node.cordoned && node.live, "{node:?}");
    assert_eq!((node.cordoned_by.as_str(), node.cordon_reason.as_str()), ("asha", "hot"));
    assert_eq!(list(&api, false).await, [node]);
    api.tenant("asha", 1).await;
    let start = v1::StartWorkerRequest { tenant_id: "asha".into() };
    api.workers().start_worker(start).await.unwrap();
    let request = v1::ExplainPlacementRequest { tenant_id: "asha".into() };
    let told = api.tenants().explain_placement(request).await.unwrap().into_inner();
    assert_eq!((told.node_id.as_str(), told.candidates.len()), ("", 1));
    assert!(!told.candidates[0].fits && told.candidates[0].reason.contains("cordoned"), "{told:?}");

    let node = api.nodes().uncordon(uncordon("n1")).await.unwrap().into_inner();
    assert!(!node.cordoned && node.cordon_reason.is_empty(), "{node:?}");
    let is_placed = || async { api.worker("asha").await.node_id == "n1" };
    wait_until("the tenant is placed", SOON, is_placed).await.unwrap();
    assert!(!api.nodes().uncordon(uncordon("n1")).await.unwrap().into_inner().cordoned, "again is fine");
}

#[tokio::test]
async fn a_cordon_outlives_its_node_which_stays_known() {
    let api = api().await;
    let record = api.node("n1").await;
    api.node("n2").await;
    api.nodes().cordon(cordon("n1")).await.unwrap();
    api.registry.revoke(record.incarnation).await.unwrap();
    assert_eq!(list(&api, false).await.len(), 1);
    let lost = list(&api, true).await.into_iter().find(|node| node.id == "n1").unwrap();
    assert!(lost.cordoned && !lost.live, "{lost:?}");
    let got = api.nodes().get_node(v1::GetNodeRequest { id: "n1".into() }).await.unwrap().into_inner();
    assert_eq!(got, lost);
    api.node("n1").await;
    let back = api.nodes().get_node(v1::GetNodeRequest { id: "n1".into() }).await.unwrap().into_inner();
    assert!(back.cordoned && back.live, "{back:?}");
}

#[tokio::test]
async fn an_order_on_an_absent_node_can_be_withdrawn() {
    let api = api().await;
    let record = api.node("n1").await;
    api.nodes().cordon(cordon("n1")).await.unwrap();
    api.registry.revoke(record.incarnation).await.unwrap();
    let node = api.nodes().uncordon(uncordon("n1")).await.unwrap().into_inner();
    assert!(!node.cordoned && !node.live, "{node:?}");
}

#[tokio::test]
async fn a_node_that_is_drained_is_not_uncordoned() {
    let api = api().await;
    let running = endless_drain(&api).await;
    let error = refused(api.nodes().uncordon(uncordon("n1")).await);
    assert_eq!(error.code, ErrorCode::FailedPrecondition, "{error:?}");
    assert_eq!(error.resource.unwrap().id, running.id.to_string());
    let node = list(&api, false).await.remove(0);
    assert!(node.cordoned && node.draining, "{node:?}");
}

#[tokio::test]
async fn a_restart_window_is_set_replaced_and_cleared() {
    let api = api().await;
    api.node("n1").await;
    let end = |node: &v1::Node| node.restart_window_end_time.map(|at| at.seconds);
    let set = api.nodes().set_restart_window(window("n1", 60)).await.unwrap().into_inner();
    let longer = api.nodes().set_restart_window(window("n1", 3_600)).await.unwrap().into_inner();
    assert!(end(&longer).unwrap() > end(&set).unwrap() + 3_000, "{set:?} {longer:?}");
    let clear = v1::ClearRestartWindowRequest { id: "n1".into(), ..Default::default() };
    for _again in 0..2 {
        let cleared = api.nodes().clear_restart_window(clear.clone()).await.unwrap().into_inner();
        assert_eq!(end(&cleared), None);
    }
}

#[tokio::test]
async fn a_restart_window_needs_a_live_node_and_a_sensible_span() {
    let api = api().await;
    let record = api.node("n1").await;
    for seconds in [0, -1, 86_401] {
        let error = refused(api.nodes().set_restart_window(window("n1", seconds)).await);
        assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["window"], "{seconds}");
    }
    let missing = v1::SetRestartWindowRequest { window: None, ..window("n1", 1) };
    let error = refused(api.nodes().set_restart_window(missing).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["window"]);
    api.nodes().cordon(cordon("n1")).await.unwrap();
    api.registry.revoke(record.incarnation).await.unwrap();
    let error = refused(api.nodes().set_restart_window(window("n1", 60)).await);
    assert_eq!(error.code, ErrorCode::FailedPrecondition, "{error:?}");
}

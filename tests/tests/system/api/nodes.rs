//! NodeService.

use roost_devcluster::wait_until;
use roost_proto::{error::ErrorCode, v1};

use crate::api::harness::{SOON, api, fields, refused};

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

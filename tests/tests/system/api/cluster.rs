//! ClusterService.

use prost_types::FieldMask;
use roost_cluster::registry::Op;
use roost_devcluster::wait_until;
use roost_proto::{error::ErrorCode, v1};

use crate::api::{
    drains::drain,
    harness::{Api, SOON, api, api_with, apis, error_of, fields, next, refused, until},
};

/// As health checks name it.
const CONTROLLER: &str = "roost.Controller";

async fn status(api: &Api) -> v1::ClusterStatus {
    api.cluster().get_cluster_status(v1::GetClusterStatusRequest {}).await.unwrap().into_inner()
}

async fn events(api: &Api, request: v1::ListEventsRequest) -> v1::ListEventsResponse {
    api.cluster().list_events(request).await.unwrap().into_inner()
}

fn cordon(id: &str) -> v1::CordonRequest {
    v1::CordonRequest { id: id.into(), reason: "hot".into(), requested_by: "asha".into() }
}

#[tokio::test]
async fn the_status_counts_what_there_is() {
    let api = api().await;
    let lost = api.node("n0").await;
    api.node("n1").await;
    api.node("n2").await;
    api.tenant("asha", 1).await;
    api.tenant("idle", 2).await;
    let pin = v1::PinTenantRequest { tenant_id: "asha".into(), node_id: "n1".into(), ..Default::default() };
    api.tenants().pin_tenant(pin).await.unwrap();
    api.placed("asha").await;
    let is_placed = || async { status(&api).await.tenants.unwrap().placed == 1 };
    wait_until("the assignment is published", SOON, is_placed).await.unwrap();
    api.tenant("juma", 3).await;
    let pin = v1::PinTenantRequest { tenant_id: "juma".into(), node_id: "n0".into(), ..Default::default() };
    api.tenants().pin_tenant(pin).await.unwrap();
    api.placed("juma").await;
    let pause = v1::PauseFailoverRequest { reason: "switch".into(), requested_by: "asha".into() };
    api.cluster().pause_failover(pause).await.unwrap();
    api.registry.revoke(lost.incarnation).await.unwrap();
    let running = api.operations().start_drain(drain("n1")).await.unwrap().into_inner();

    let told = status(&api).await;
    let leader = told.leader.unwrap();
    assert_eq!((leader.holder.as_str(), leader.term), ("coordinator/c1", 1));
    assert_eq!(leader.address, api.coordinator.addr().to_string());
    let nodes = v1::NodeCounts { live: 2, lost: 1, cordoned: 1, draining: 1, suspect: 0, impaired: 0 };
    assert_eq!(told.nodes, Some(nodes));
    assert_eq!(told.tenants, Some(v1::TenantCounts { running: 2, placed: 1, waiting: 1, error: 0 }));
    let pause = told.failover_pause.unwrap();
    assert_eq!((pause.reason.as_str(), pause.requested_by.as_str()), ("switch", "asha"));
    assert_eq!(
        told.policy,
        Some(v1::Policy { auto_rebalance: false, failover_breaker: true, message_retention_days: 90 })
    );
    assert_eq!(told.operations.iter().map(|operation| operation.id).collect::<Vec<_>>(), [running.id]);
    assert_eq!(told.conflicts, 0);
}

#[tokio::test]
async fn every_coordinator_tells_what_is_in_the_way_of_the_one_that_leads_until_it_is_over() {
    let [a, b] = apis(["c1", "c2"]).await;
    let lease = Some(a.node("n1").await.incarnation);
    let write = async |op: Op| assert!(a.registry.commit(&[], &[op]).await.is_ok());
    write(Op::Put { key: "acks/n1".to_owned(), value: b"?".to_vec(), lease }).await;
    for api in [&a, &b] {
        let is_told = || async { status(api).await.complaints.len() == 1 };
        wait_until("the complaint is told", SOON, is_told).await.unwrap();
        let told = status(api).await;
        let complaint = &told.complaints[0];
        assert_eq!(complaint.holder, told.leader.unwrap().holder);
        assert_eq!(complaint.kind, "records");
        assert!(complaint.reason.contains("acks/n1") && complaint.remedy.contains("delete the key"));
        assert!(complaint.since_time.is_some());
    }
    write(Op::Delete { key: "acks/n1".to_owned() }).await;
    for api in [&a, &b] {
        let is_over = || async { status(api).await.complaints.is_empty() };
        wait_until("the complaint is over", SOON, is_over).await.unwrap();
    }
}

#[tokio::test]
async fn a_coordinator_that_cannot_lead_says_why_and_what_mends_it() {
    let api = api().await;
    let staging = api_with(&api.database_url, "staging").await;
    let is_told = || async { !status(&staging).await.complaints.is_empty() };
    wait_until("the coordinator says why", SOON, is_told).await.unwrap();
    let told = status(&staging).await.complaints;
    assert_eq!((told.len(), told[0].kind.as_str()), (1, "identity"), "{told:?}");
    assert_eq!(told[0].holder, "coordinator/c1");
    assert!(told[0].reason.contains("belongs to the cluster test-"), "{told:?}");
    assert!(told[0].remedy.contains("--adopt-store"), "{told:?}");
    assert_eq!(status(&api).await.complaints, [], "the cluster that has the database is well");
    // It answers, so callers are not sent elsewhere; that nobody leads has a name of its own.
    staging.is_not_serving(CONTROLLER).await;
    staging.is_serving("").await;
    let (code, body) = staging.readiness().await;
    assert_eq!(
        (code, body["ready"].as_bool(), body["reasons"].as_array().unwrap().len()),
        (200, Some(true), 0)
    );
    let said = body["checks"]["controller"].as_str().unwrap();
    assert!(said.contains("belongs to the cluster test-"), "{body}");
    api.is_serving(CONTROLLER).await;
    assert_eq!(api.readiness().await.1["checks"]["controller"], "ok");
}

#[tokio::test]
async fn failover_is_paused_once_and_resumed_once() {
    let [a, b] = apis(["c1", "c2"]).await;
    let pause = |reason: &str| v1::PauseFailoverRequest { reason: reason.into(), ..Default::default() };
    let first = a.cluster().pause_failover(pause("first")).await.unwrap().into_inner();
    let second = b.cluster().pause_failover(pause("second")).await.unwrap().into_inner();
    assert_eq!(first.failover_pause, second.failover_pause);
    assert_eq!(second.failover_pause.unwrap().reason, "first");
    for api in [&a, &b] {
        let resumed = api.cluster().resume_failover(v1::ResumeFailoverRequest::default()).await.unwrap();
        assert_eq!(resumed.into_inner().failover_pause, None);
    }
    let long = v1::PauseFailoverRequest { reason: "x".repeat(201), requested_by: "a\0b".into() };
    let error = refused(a.cluster().pause_failover(long).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["requested_by", "reason"]);
    assert_eq!(status(&a).await.failover_pause, None);
}

#[tokio::test]
async fn the_policy_changes_by_its_mask() {
    let api = api().await;
    let update = |auto_rebalance, failover_breaker, paths: &[&str]| v1::UpdatePolicyRequest {
        policy: Some(v1::Policy { auto_rebalance, failover_breaker, message_retention_days: 0 }),
        update_mask: Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
        ..Default::default()
    };
    let changed = api.cluster().update_policy(update(true, false, &["auto_rebalance"])).await.unwrap();
    assert_eq!(
        changed.into_inner(),
        v1::Policy { auto_rebalance: true, failover_breaker: true, message_retention_days: 90 }
    );
    let changed = api.cluster().update_policy(update(false, false, &["*"])).await.unwrap();
    assert_eq!(
        changed.into_inner(),
        v1::Policy { auto_rebalance: false, failover_breaker: false, message_retention_days: 90 }
    );
    for paths in [&[][..], &["colour"]] {
        let error = refused(api.cluster().update_policy(update(true, true, paths)).await);
        assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["update_mask"]);
    }
    let policy = status(&api).await.policy.unwrap();
    assert!(!policy.auto_rebalance && !policy.failover_breaker, "{policy:?}");
}

#[tokio::test]
async fn events_are_listed_newest_first_by_pages_and_by_filter() {
    let api = api().await;
    api.node("n1").await;
    api.node("n2").await;
    for node in ["n1", "n2"] {
        api.nodes().cordon(cordon(node)).await.unwrap();
    }
    let of = |node: &str| v1::ListEventsRequest { node_id: node.into(), ..Default::default() };
    let told = events(&api, of("n2")).await.events;
    let cordoned = told.iter().find(|event| event.kind() == v1::EventKind::NodeCordoned).unwrap();
    assert_eq!((cordoned.requested_by.as_str(), cordoned.reason.as_str()), ("asha", "hot"));
    assert!(told.iter().all(|event| event.node_id == "n2") && !cordoned.text.is_empty());
    assert!(cordoned.time.is_some());

    let (mut all, mut token) = (vec![], String::new());
    loop {
        let page = v1::ListEventsRequest { page_size: 1, page_token: token, ..Default::default() };
        let page = events(&api, page).await;
        all.extend(page.events.into_iter().map(|event| event.id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert!(all.len() >= 2 && all.is_sorted_by(|a, b| a > b), "{all:?}");
    let wrong = v1::ListEventsRequest {
        page_size: -1,
        page_token: "junk".into(),
        node_id: "N 1".into(),
        tenant_id: "T 1".into(),
    };
    let error = refused(api.cluster().list_events(wrong).await);
    let named = fields(&error, ErrorCode::InvalidArgument);
    assert_eq!(named, ["page_size", "page_token", "node_id", "tenant_id"]);
}

#[tokio::test]
async fn a_watch_of_events_begins_with_its_backlog_and_tells_what_another_coordinator_did() {
    let [a, b] = apis(["c1", "c2"]).await;
    for node in ["n1", "n2", "n3"] {
        a.node(node).await;
    }
    a.nodes().cordon(cordon("n1")).await.unwrap();
    a.nodes().cordon(cordon("n2")).await.unwrap();
    let of_n2 = v1::WatchEventsRequest { backlog: 1_000, node_id: "n2".into(), ..Default::default() };
    let mut watched = b.cluster().watch_events(of_n2).await.unwrap().into_inner();
    let is_cordon = |event: &v1::Event| event.kind() == v1::EventKind::NodeCordoned;
    assert_eq!(until(&mut watched, is_cordon).await.node_id, "n2");

    let none = v1::WatchEventsRequest { node_id: "n3".into(), ..Default::default() };
    let mut fresh = b.cluster().watch_events(none).await.unwrap().into_inner();
    a.nodes().cordon(cordon("n3")).await.unwrap();
    assert_eq!(until(&mut fresh, is_cordon).await.node_id, "n3");
    for backlog in [-1, 1_001] {
        let request = v1::WatchEventsRequest { backlog, ..Default::default() };
        let error = refused(a.cluster().watch_events(request).await);
        assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["backlog"]);
    }
    b.coordinator.stop().await.unwrap();
    loop {
        if let Err(status) = next(&mut fresh).await {
            return assert_eq!(error_of(&status).code, ErrorCode::Unavailable);
        }
    }
}

//! Postgres or etcd is down: at the start, and later.

use std::path::Path;

use roost_devcluster::{Etcd, Postgres, free_port, wait_until};
use roost_proto::{error::ErrorCode, v1};

use crate::api::harness::{Api, SOON, WHY, api_on, error_of, next, refused, until};

const NO_DATABASE: &str = "postgres://roost:x@127.0.0.1:1/roost";
const NO_ETCD: &str = "http://127.0.0.1:1";

/// Asserts that the error names the dependency and when to try again.
fn names(error: &roost_proto::error::ApiError, dependency: &str) {
    assert_eq!(error.code, ErrorCode::Unavailable, "{error:?}");
    let unavailable = error.unavailable.as_ref().unwrap_or_else(|| panic!("nothing is named: {error:?}"));
    assert_eq!(unavailable.dependency, dependency);
    assert!(!unavailable.retry_after.is_zero());
    assert!(error.message.to_lowercase().contains(dependency), "{}", error.message);
}

async fn own_postgres(dir: &Path) -> Postgres {
    Postgres::start(dir).await.unwrap()
}

#[tokio::test]
async fn without_postgres_and_etcd_it_starts_and_names_what_is_down() {
    let api = api_on(NO_DATABASE, NO_ETCD, "nothing").await;
    api.is_not_serving("").await;
    let (code, body) = api.readiness().await;
    assert_eq!((code, body["ready"].as_bool()), (503, Some(false)), "{body}");
    let create =
        v1::CreateTenantRequest { tenant: Some(crate::api::harness::business(1)), tenant_id: "asha".into() };
    names(&refused(api.tenants().create_tenant(create).await), "postgres");
    names(&refused(api.workers().watch_workers(v1::WatchWorkersRequest::default()).await), "postgres");
    names(
        &refused(
            api.messages()
                .watch_messages(v1::WatchMessagesRequest { reason: WHY.into(), ..Default::default() })
                .await,
        ),
        "postgres",
    );
    names(&refused(api.nodes().list_nodes(v1::ListNodesRequest::default()).await), "etcd");
    // What is wrong with the request is told all the same.
    let error = refused(api.tenants().get_tenant(v1::GetTenantRequest::default()).await);
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    api.coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn it_migrates_and_serves_once_postgres_and_etcd_are_there() {
    let dir = tempfile::tempdir().unwrap();
    // The password is made with the data, so the server runs once before the coordinator knows where it will be.
    let mut postgres = own_postgres(dir.path()).await;
    postgres.stop().await.unwrap();
    let etcd_port = free_port().unwrap();
    let api = api_on(postgres.url(), &format!("http://127.0.0.1:{etcd_port}"), "late").await;
    api.is_not_serving("roost.v1.TenantService").await;
    postgres.restart().await.unwrap();
    api.is_serving("roost.v1.TenantService").await;
    api.is_not_serving("roost.v1.NodeService").await;
    api.tenant("asha", 1).await;
    let _etcd = Etcd::start_on(dir.path(), Some(etcd_port)).await.unwrap();
    api.is_serving("roost.v1.NodeService").await;
    api.is_serving("").await;
    assert!(
        api.nodes().list_nodes(v1::ListNodesRequest::default()).await.unwrap().into_inner().nodes.is_empty()
    );
}

#[tokio::test]
async fn streams_and_calls_resume_after_postgres_was_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut postgres = own_postgres(dir.path()).await;
    let api = api_on(postgres.url(), NO_ETCD, "away").await;
    api.is_serving("roost.v1.WorkerService").await;
    api.tenant("asha", 1).await;
    let mut workers =
        api.workers().watch_workers(v1::WatchWorkersRequest::default()).await.unwrap().into_inner();
    let mut codes = api
        .sessions()
        .watch_session(v1::WatchSessionRequest { tenant_id: "asha".into() })
        .await
        .unwrap()
        .into_inner();
    next(&mut workers).await.unwrap();
    next(&mut codes).await.unwrap();

    postgres.kill().await.unwrap();
    api.is_not_serving("roost.v1.WorkerService").await;
    api.is_not_serving("").await;
    let (code, body) = api.readiness().await;
    assert!(code == 503 && body["checks"]["postgres"] != "ok", "{body}");
    let start = v1::StartWorkerRequest { tenant_id: "asha".into() };
    names(&refused(api.workers().start_worker(start.clone()).await), "postgres");

    postgres.restart().await.unwrap();
    api.is_serving("roost.v1.WorkerService").await;
    api.workers().start_worker(start).await.unwrap();
    let started = until(&mut workers, |answer| answer.worker.as_ref().is_some_and(is_running)).await;
    assert_eq!(started.worker.unwrap().tenant_id, "asha");
    // The session's stream is alive as well: it sees the tenant go.
    api.delete("asha").await;
    assert_eq!(error_of(&next(&mut codes).await.unwrap_err()).code, ErrorCode::NotFound);
}

fn is_running(worker: &v1::Worker) -> bool {
    worker.status() == v1::WorkerStatus::Running
}

#[tokio::test]
async fn placement_resumes_after_etcd_was_away() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = own_postgres(dir.path()).await;
    let mut etcd = Etcd::start(dir.path()).await.unwrap();
    let api = api_on(postgres.url(), etcd.endpoint(), "etcd-away").await;
    api.is_serving("").await;
    api.node("n1").await;
    api.tenant("asha", 1).await;
    api.placed("asha").await;

    assert_eq!(api.readiness().await.0, 200);
    etcd.kill().await.unwrap();
    api.is_not_serving("roost.v1.NodeService").await;
    let (code, body) = api.readiness().await;
    assert_eq!((code, body["checks"]["postgres"].as_str()), (503, Some("ok")), "{body}");
    assert!(body["reasons"][0].as_str().unwrap().contains("etcd"), "{body}");
    api.is_not_serving("roost.Controller").await;
    names(&refused(api.nodes().list_nodes(v1::ListNodesRequest::default()).await), "etcd");
    // What needs the database alone goes on.
    api.tenant("juma", 2).await;
    let start = v1::StartWorkerRequest { tenant_id: "juma".into() };
    api.workers().start_worker(start).await.unwrap();

    etcd.restart().await.unwrap();
    api.is_serving("").await;
    let placed = || async { is_placed(&api, "juma").await };
    wait_until("the tenant of the outage is placed", SOON, placed).await.unwrap();
}

async fn is_placed(api: &Api, tenant: &str) -> bool {
    api.worker(tenant).await.node_id == "n1"
}

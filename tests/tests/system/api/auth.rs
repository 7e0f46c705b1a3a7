//! The bearer token.

use std::fs;

use roost_proto::{
    error::ErrorCode,
    v1::{self, tenant_service_client::TenantServiceClient},
};
use tonic::{Request, Response, Status};

use crate::api::harness::{Api, TOKEN, api, refused, write_private};

async fn list(api: &Api, token: &str) -> Result<Response<v1::ListTenantsResponse>, Status> {
    TenantServiceClient::new(api.authed(token)).list_tenants(v1::ListTenantsRequest::default()).await
}

fn replace(api: &Api, text: &str) {
    let aside = api.dir.path().join("tokens.new");
    write_private(&aside, text);
    fs::rename(aside, &api.token_file).unwrap();
}

#[tokio::test]
async fn a_call_without_a_token_or_with_a_wrong_one_is_refused() {
    let api = api().await;
    let mut without = TenantServiceClient::new(api.channel.clone());
    let error = refused(without.list_tenants(v1::ListTenantsRequest::default()).await);
    assert_eq!(error.code, ErrorCode::Unauthenticated);
    assert!(error.message.contains("there is no token"), "{}", error.message);
    let mut odd = Request::new(v1::ListTenantsRequest::default());
    odd.metadata_mut().insert("authorization", "Basic YTpi".parse().unwrap());
    assert_eq!(refused(without.list_tenants(odd).await).code, ErrorCode::Unauthenticated);
    let error = refused(list(&api, "wrong").await);
    assert_eq!(error.code, ErrorCode::Unauthenticated);
    assert!(error.message.contains("is not known"), "{}", error.message);
    let watch = v1::WatchWorkersRequest::default();
    let mut workers = v1::worker_service_client::WorkerServiceClient::new(api.authed("wrong"));
    assert_eq!(refused(workers.watch_workers(watch).await).code, ErrorCode::Unauthenticated);
}

#[tokio::test]
async fn a_lapsed_token_is_refused_and_told_since_when() {
    let api = api().await;
    replace(&api, &format!("{TOKEN} expires 2999-01-01T00:00:00Z\nold expires 2020-02-02T02:02:02Z\n"));
    assert!(list(&api, TOKEN).await.is_ok());
    let error = refused(list(&api, "old").await);
    assert_eq!(error.code, ErrorCode::Unauthenticated);
    assert!(error.message.contains("lapsed at 2020-02-02T02:02:02Z"), "{}", error.message);
}

#[tokio::test]
async fn a_changed_token_file_counts_from_the_next_call_on() {
    let api = api().await;
    replace(&api, "fresh\n");
    assert_eq!(refused(list(&api, TOKEN).await).code, ErrorCode::Unauthenticated);
    assert!(list(&api, "fresh").await.is_ok());
    replace(&api, "fresh with a mistake\n");
    let error = refused(list(&api, "fresh").await);
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert_eq!(error.unavailable.unwrap().dependency, "token file");
    replace(&api, &format!("{TOKEN}\n"));
    assert!(list(&api, TOKEN).await.is_ok());
}

//! Start, announcement, stop.

use std::{fs, time::Duration};

use roost_cluster::keys;
use roost_devcluster::wait_until;
use roost_proto::{error::ErrorCode, v1};

use crate::api::harness::{SOON, WHY, api, error_of, next};

#[tokio::test]
async fn it_announces_where_it_serves() {
    let api = api().await;
    let text = fs::read_to_string(api.dir.path().join("coordinator.json")).unwrap();
    let announced: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(announced["addr"], api.coordinator.addr().to_string());
    assert_eq!(announced["pid"], std::process::id());
}

#[tokio::test]
async fn stopping_ends_streams_with_a_reason_and_resigns_at_once() {
    let api = api().await;
    let led = || async { api.registry.get(keys::LEADER).await.unwrap().is_some() };
    wait_until("it leads", SOON, led).await.unwrap();
    api.tenant("asha", 1).await;
    let mut workers =
        api.workers().watch_workers(v1::WatchWorkersRequest::default()).await.unwrap().into_inner();
    let mut messages = api
        .messages()
        .watch_messages(v1::WatchMessagesRequest { reason: WHY.into(), ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    next(&mut workers).await.unwrap();

    let stopping = tokio::spawn(api.coordinator.stop());
    for status in [next(&mut workers).await.unwrap_err(), next(&mut messages).await.unwrap_err()] {
        let error = error_of(&status);
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert_eq!(error.unavailable.unwrap().dependency, "coordinator");
    }
    tokio::time::timeout(Duration::from_secs(15), stopping).await.unwrap().unwrap().unwrap();
    assert!(api.registry.get(keys::LEADER).await.unwrap().is_none(), "the leader's key was left behind");
}

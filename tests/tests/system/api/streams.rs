//! What streams of how things stand cost: the same however many there are.

use std::time::{Duration, Instant};

use roost_devcluster::wait_until;
use roost_proto::v1;
use roost_store::{QrCode, StatusReport};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;
use tonic::Streaming;

use crate::api::{
    harness::{Api, SOON, api, next, until},
    operations::endless_drain,
};

const CHANGES: i64 = 8;
/// Before anybody looks without having been notified.
const AT_ONCE: Duration = Duration::from_secs(4);

/// One of each kind.
struct Streams {
    workers: Streaming<v1::WatchWorkersResponse>,
    worker: Streaming<v1::WatchWorkersResponse>,
    session: Streaming<v1::Session>,
    operation: Streaming<v1::Operation>,
}

impl Streams {
    /// After this change.
    async fn open(api: &Api, operation: i64, change: &str) -> Self {
        let (mut workers, mut sessions, mut operations) = (api.workers(), api.sessions(), api.operations());
        let of = |tenant: &str| v1::WatchWorkersRequest { tenant_id: tenant.into(), ..Default::default() };
        let session = v1::WatchSessionRequest { tenant_id: "asha".into() };
        let operation = v1::WatchOperationRequest { id: operation };
        let mut streams = Self {
            workers: workers.watch_workers(of("")).await.unwrap().into_inner(),
            worker: workers.watch_workers(of("asha")).await.unwrap().into_inner(),
            session: sessions.watch_session(session).await.unwrap().into_inner(),
            operation: operations.watch_operation(operation).await.unwrap().into_inner(),
        };
        streams.told(change).await;
        streams
    }

    /// How things stand after this change.
    async fn told(&mut self, change: &str) {
        let is_worker = |answer: &v1::WatchWorkersResponse| {
            answer.worker.as_ref().is_some_and(|worker| worker.last_error == change)
        };
        until(&mut self.workers, is_worker).await;
        until(&mut self.worker, is_worker).await;
        until(&mut self.session, |session| session.qr.as_ref().map_or("", |qr| qr.text.as_str()) == change)
            .await;
        until(&mut self.operation, |operation| change.is_empty() || operation.reason == change).await;
    }
}

/// Scans of the tables that streams read, by all statements so far.
async fn readings(api: &Api) -> i64 {
    let sql = "select sum(idx_scan + seq_scan)::bigint from pg_stat_user_tables
        where relname in ('worker_heartbeats', 'operations')";
    sqlx::query_scalar(sql).fetch_one(api.store.pool()).await.unwrap()
}

#[tokio::test]
async fn fifty_streams_of_each_kind_read_as_often_as_one_and_are_told_at_once() {
    let api = api().await;
    let operation = endless_drain(&api).await.id;
    let fence = api.placed("asha").await;
    let (mut streams, mut costs, mut last) = (vec![], vec![], String::new());
    for number in [1, 50] {
        let (before, opened) = (readings(&api).await, streams.len());
        while streams.len() < number {
            streams.push(Streams::open(&api, operation, &last).await);
        }
        // Each begins with a reading. Statistics are told within ten seconds of the last statement of a connection.
        let begun = 4 * (streams.len() - opened) as i64;
        wait_until("the beginnings are told", SOON, async || readings(&api).await >= before + begun)
            .await
            .unwrap();
        let before = readings(&api).await;
        let begun = Instant::now();
        for nth in 0..CHANGES {
            let change = format!("{number} streams, change {nth}");
            let expires_at = OffsetDateTime::now_utc() + time::Duration::minutes(1);
            let qr = QrCode { text: change.clone(), data_uri: "data:".into(), expires_at };
            api.store.set_qr(&fence, Some(qr)).await.unwrap();
            let report = StatusReport { last_error: Some(change.clone()), ..StatusReport::default() };
            api.store.report(&fence, &report).await.unwrap();
            // Of what it waits for the controller has its own word.
            let sql = format!("update operations set reason = '{change}' where id = {operation}");
            sqlx::query(AssertSqlSafe(sql)).execute(api.store.pool()).await.unwrap();
            let changed = Instant::now();
            for stream in &mut streams {
                stream.told(&change).await;
            }
            assert!(changed.elapsed() < AT_ONCE, "{change}: {:?}", changed.elapsed());
            last = change;
        }
        let read = async || readings(&api).await >= before + 4 * CHANGES;
        wait_until("the readings are told", SOON, read).await.unwrap();
        costs.push((readings(&api).await - before, begun.elapsed()));
    }
    // Each change is a notification or two for each of the four readers, and each looks every five seconds without one.
    for (read, took) in &costs {
        let allowed = 4.0 * (3.0 * CHANGES as f64 + took.as_secs_f64());
        assert!((*read as f64) < allowed, "{read} readings in {took:?}, {costs:?}");
    }
}

#[tokio::test]
async fn a_stream_that_begins_later_begins_with_what_is_true() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let watch = async || {
        let request = v1::WatchWorkersRequest::default();
        api.workers().watch_workers(request).await.unwrap().into_inner()
    };
    let mut first = watch().await;
    next(&mut first).await.unwrap();
    api.tenant("juma", 2).await;
    // Of its being seen nobody is told, and a list is to say it.
    let seen = "update worker_heartbeats set last_seen_at = now()";
    sqlx::query(seen).execute(api.store.pool()).await.unwrap();
    let mut second = watch().await;
    for id in ["asha", "juma"] {
        let worker = next(&mut second).await.unwrap().worker.unwrap();
        assert!(worker.tenant_id == id && worker.last_seen_time.is_some(), "{worker:?}");
    }
    api.delete("juma").await;
    for stream in [&mut first, &mut second] {
        assert_eq!(until(stream, |answer| answer.deleted).await.worker.unwrap().tenant_id, "juma");
    }
}

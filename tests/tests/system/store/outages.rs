//! Postgres frozen, cut off, killed and restarted: calls end, say why, and work again without a new [`Store`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use roost_devcluster::Postgres;
use roost_store::{CALL_TIMEOUT, Store, StoreError};
use sqlx::Connection;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, sleep},
};

use crate::store::support::{Db, message};

/// A line to Postgres that can be cut without either end being told.
struct Line {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Line {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let line = Self { port: listener.local_addr().unwrap().port(), cut: Arc::default() };
        let cut = line.cut.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, cut.clone()));
                tokio::spawn(carry(far_in, near_out, cut.clone()));
            }
        });
        line
    }
}

/// What comes while the line is cut is lost, as it would be for as long as the ends keep the connection.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cut: Arc<AtomicBool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if !cut.load(Ordering::Relaxed) && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

fn with_port(url: &str, port: u16) -> (String, u16) {
    let (head, tail) = url.rsplit_once(':').expect("a port");
    let (old, path) = tail.split_once('/').expect("a path");
    (format!("{head}:{port}/{path}"), old.parse().unwrap())
}

#[track_caller]
fn assert_unavailable<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
}

async fn works_within(limit: Duration, store: &Store) {
    let deadline = Instant::now() + limit;
    while let Err(error) = store.ping().await {
        assert!(Instant::now() < deadline, "not back after {limit:?}: {error:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_cut_line_ends_every_call_and_costs_no_place_in_the_pool() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let (_, port) = with_port(&db.url, 0);
    let line = Line::to(port).await;
    let (url, _) = with_port(&db.url, line.port);
    let store = Store::connect(&url, 2).await.unwrap();
    store.admit(&fence, &[message("before", "c")]).await.unwrap();

    line.cut.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    let batch = [message("during", "c")];
    let seen = [fence.clone().into()];
    let calls = (store.admit(&fence, &batch), store.heartbeat(&seen), store.ping());
    let (admitted, beaten, pinged) = tokio::join!(calls.0, calls.1, calls.2);
    assert_unavailable(admitted);
    assert_unavailable(beaten);
    assert_unavailable(pinged);
    assert!(begun.elapsed() < CALL_TIMEOUT + Duration::from_secs(1), "{:?}", begun.elapsed());

    line.cut.store(false, Ordering::Relaxed);
    // The old connections are still dead: both places of the pool are free for new ones.
    works_within(CALL_TIMEOUT * 2, &store).await;
    let again = [message("before", "c"), message("during", "c")];
    let admitted = store.admit(&fence, &again).await.unwrap();
    assert!(!admitted[0].fresh);
}

#[tokio::test]
async fn a_row_that_is_held_for_ever_ends_the_call_with_a_reason() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let mut other = sqlx::PgConnection::connect(&db.url).await.unwrap();
    let mut held = other.begin().await.unwrap();
    sqlx::query("select 1 from worker_processes for update").execute(&mut *held).await.unwrap();
    let begun = Instant::now();
    assert_unavailable(db.store.admit(&fence, &[message("m", "c")]).await);
    assert!(begun.elapsed() < CALL_TIMEOUT);
    held.rollback().await.unwrap();
    db.store.admit(&fence, &[message("m", "c")]).await.unwrap();
}

#[tokio::test]
async fn a_postgres_that_was_killed_is_used_again_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(dir.path()).await.unwrap();
    let store = Store::connect(postgres.url(), 3).await.unwrap();
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    let made = store.create_tenant(crate::store::support::new_tenant("duka")).await.unwrap();

    postgres.kill().await.unwrap();
    assert_unavailable(store.get_tenant(&made.id).await);
    assert_unavailable(Store::connect(postgres.url(), 1).await.map(drop));
    let lazy = Store::connect_lazy(postgres.url(), 1).unwrap();
    assert_unavailable(lazy.migrate().await);
    postgres.restart().await.unwrap();
    works_within(Duration::from_secs(5), &store).await;
    assert_eq!(store.get_tenant(&made.id).await.unwrap(), made);
    lazy.migrate().await.unwrap();
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn an_error_that_will_not_pass_is_not_called_an_outage() {
    let db = Db::new().await;
    let wrong = crate::store::support::with_database(&db.url, "no-such-database");
    let refused = Store::connect(&wrong, 1).await.map(drop);
    assert!(matches!(refused, Err(StoreError::Unusable { .. })), "{refused:?}");
    let unusable = Store::connect_lazy("nowhere", 1).map(drop);
    assert!(matches!(unusable, Err(StoreError::Url { .. })), "{unusable:?}");
}

//! A server that was failed over from: it keeps its old connections open and takes no writes on them, while new
//! connections lead to one that does. Here one server plays both: its sessions are read-only if they are begun while the
//! database says so.

use std::time::Duration;

use roost_cluster::ledger::Ledger;
use roost_store::{Requester, Store, StoreError};
use tokio::time::{Instant, sleep};

use crate::store::support::{Db, answer, message, new_tenant, node, tenant};

const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// A store all of whose connections were made while the server took no writes; new ones are sound.
async fn stranded(db: &Db, connections: u32) -> Store {
    let name = db.url.rsplit('/').next().unwrap();
    let set = |to: &str| sqlx::AssertSqlSafe(format!("alter database {name} {to}"));
    sqlx::query(set("set default_transaction_read_only = on")).execute(db.store.pool()).await.unwrap();
    let store = Store::connect(&db.url, connections).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..connections {
        held.push(store.pool().acquire().await.unwrap());
    }
    drop(held);
    // What is given back is back in the pool a moment later.
    while store.pool().num_idle() < connections as usize {
        sleep(Duration::from_millis(5)).await;
    }
    let before = db.number(NEWEST_LISTENER).await;
    let _changes = store.changes();
    until_another_listens(db, before, Duration::from_secs(5)).await;
    sqlx::query(set("reset default_transaction_read_only")).execute(db.store.pool()).await.unwrap();
    store
}

/// When the newest connection that has just begun to listen was made; 0 when there is none.
const NEWEST_LISTENER: &str = "select coalesce(max(extract(epoch from backend_start) * 1e6), 0)::bigint \
    from pg_stat_activity where datname = current_database() and query ilike 'listen%'";

async fn until_another_listens(db: &Db, old: i64, limit: Duration) {
    let deadline = Instant::now() + limit;
    while db.number(NEWEST_LISTENER).await <= old {
        assert!(Instant::now() < deadline, "no other connection listens");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_write_that_is_refused_for_the_servers_sake_costs_one_try_whatever_the_pool_holds() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let store = stranded(&db, 4).await;
    let refused = store.admit(&fence, &[message("m1", "c")]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    for id in ["m1", "m2", "m3", "m4"] {
        assert!(store.admit(&fence, &[message(id, "c")]).await.unwrap()[0].fresh);
    }
    let inbound = store.pending_inbound(&fence, 0, 10).await.unwrap();
    store.complete(&fence, &[answer(&inbound[0])]).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_is_refused_for_the_servers_sake_works_the_next_time() {
    let db = Db::new().await;
    db.owned("duka").await;
    let store = stranded(&db, 1).await;
    let erase = async || store.erase_chat(&tenant("duka"), "c", &Requester::default()).await;
    let refused = erase().await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    erase().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_was_idle_is_asked_before_a_write_is_lost_on_it() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let store = stranded(&db, 2).await;
    sleep(Duration::from_millis(1_100)).await;
    store.admit(&fence, &[message("m1", "c")]).await.unwrap();
}

#[tokio::test]
async fn what_listens_for_changes_leaves_a_read_only_server_with_the_others() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let store = stranded(&db, 1).await;
    let old = db.number(NEWEST_LISTENER).await;
    assert!(store.admit(&fence, &[message("m1", "c")]).await.is_err());
    until_another_listens(&db, old, Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_listens_for_changes_leaves_a_read_only_server_by_itself() {
    let db = Db::new().await;
    let _store = stranded(&db, 1).await;
    let old = db.number(NEWEST_LISTENER).await;
    until_another_listens(&db, old, ANSWERED_WITHIN + Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_controller_places_again_within_ten_seconds() {
    let db = Db::new().await;
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    let store = stranded(&db, 3).await;
    let ledger = roost_store::PostgresLedger::new(store);
    let deadline = Instant::now() + ANSWERED_WITHIN;
    while ledger.place(db.term, &[(tenant("duka"), node("a"))]).await.is_err() {
        assert!(Instant::now() < deadline, "nothing is placed");
        sleep(Duration::from_millis(250)).await;
    }
}

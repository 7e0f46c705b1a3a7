//! A commit is on a disk when it is answered, whatever the database's own settings, and a server that does not see to it is
//! named.

use roost_devcluster::Postgres;
use roost_store::{DurabilityGap, Store};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::store::support::Db;

#[tokio::test]
async fn every_connection_waits_for_the_disk_whatever_the_database_says() {
    let db = Db::new().await;
    let name = db.url.rsplit_once('/').unwrap().1;
    for (set, used) in [
        ("off", "on"),
        ("local", "on"),
        ("remote_write", "on"),
        ("on", "on"),
        ("remote_apply", "remote_apply"),
    ] {
        let alter = format!("alter database {name} set synchronous_commit = {set}");
        db.store.pool().execute(AssertSqlSafe(alter)).await.unwrap();
        let store = Store::connect(&db.url, 1).await.unwrap();
        let shown: String =
            sqlx::query_scalar("show synchronous_commit").fetch_one(store.pool()).await.unwrap();
        assert_eq!(shown, used, "the database says {set}");
    }
}

#[tokio::test]
async fn a_server_that_may_forget_commits_is_named_and_so_is_one_that_no_longer_does() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(dir.path()).await.unwrap();
    let mut admin = PgConnection::connect(postgres.url()).await.unwrap();
    // New connections have a setting once the server has taken it in.
    let mut set = async |name: &str, to: &str| {
        admin.execute(AssertSqlSafe(format!("alter system set {name} = {to}"))).await.unwrap();
        admin.execute("select pg_reload_conf()").await.unwrap();
        let shown = async || {
            let mut fresh = PgConnection::connect(postgres.url()).await.unwrap();
            let show = AssertSqlSafe(format!("show {name}"));
            sqlx::query_scalar::<_, String>(show).fetch_one(&mut fresh).await.unwrap() == to
        };
        let within = std::time::Duration::from_secs(10);
        roost_devcluster::wait_until("the setting is taken in", within, shown).await.unwrap();
        Store::connect(postgres.url(), 1).await.unwrap().durability_gaps()
    };
    for setting in ["fsync", "full_page_writes"] {
        set(setting, "on").await;
    }
    assert_eq!(set("full_page_writes", "off").await, [DurabilityGap::FullPageWrites]);
    let both = set("fsync", "off").await;
    assert_eq!(both, [DurabilityGap::Fsync, DurabilityGap::FullPageWrites]);
    assert!(both[0].to_string().contains("fsync = off"), "{}", both[0]);
    assert_eq!(set("full_page_writes", "on").await, [DurabilityGap::Fsync]);
    assert_eq!(set("fsync", "on").await, []);
}

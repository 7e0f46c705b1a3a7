//! PostgreSQL: a password that is in a file and changes, and a server that asks for certificates.

use std::time::Duration;

use roost_devcluster::Postgres;
use roost_store::{Store, StoreError};
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::{Instant, sleep};

use crate::api::harness::write_private;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_password_that_changes_in_its_file_is_used_for_the_next_connection() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(dir.path()).await.unwrap();
    let mut admin = PgConnection::connect(postgres.url()).await.unwrap();
    admin.execute("create role shop login password 'one'").await.unwrap();
    let file = dir.path().join("password");
    write_private(&file, "one\n");
    let url = format!("postgres://shop@127.0.0.1:{}/postgres", postgres.port());
    let store = Store::connect_lazy_with(&url, Some(file.clone()), 2).unwrap();
    store.ping().await.unwrap();

    admin.execute("alter role shop password 'two'").await.unwrap();
    write_private(&file, "two\n");
    // As a server that is started anew ends them.
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'shop'";
    admin.execute(end).await.unwrap();
    let deadline = Instant::now() + SOON;
    while let Err(error) = store.ping().await {
        assert!(Instant::now() < deadline, "{error:?}");
        assert!(!format!("{error:?}").contains("two"), "{error:?}");
        sleep(Duration::from_millis(50)).await;
    }

    write_private(&file, "three\n");
    let other = Store::connect_lazy_with(&url, Some(file), 2).unwrap();
    assert!(matches!(other.ping().await, Err(StoreError::Unusable { .. })));
    let missing = Store::connect_lazy_with(&url, Some("/nowhere/password".into()), 2).err().unwrap();
    assert!(missing.to_string().contains("--database-password-file"), "{missing}");
}

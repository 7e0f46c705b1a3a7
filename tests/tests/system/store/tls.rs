//! TLS to Postgres: what sslmode asks for is had or refused, never left out.

use std::path::{Path, PathBuf};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use roost_devcluster::Postgres;
use roost_store::{Store, StoreError};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Postgres with a certificate of its own for 127.0.0.1 that nobody has signed, and where the certificate lies.
async fn postgres_with_tls(dir: &Path) -> (Postgres, PathBuf) {
    let postgres = Postgres::start(dir).await.unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let mut admin = PgConnection::connect(postgres.url()).await.unwrap();
    // Written by the server, whose user's they must be.
    for (file, pem) in [("server.crt", cert.pem()), ("server.key", signing_key.serialize_pem())] {
        let write = format!(
            "copy (select unnest(string_to_array('{}', E'\\n'))) to program 'umask 077; cat > {file}'",
            pem.replace("\r\n", "\n")
        );
        admin.execute(AssertSqlSafe(write)).await.unwrap();
    }
    admin.execute("alter system set ssl = on").await.unwrap();
    admin.execute("select pg_reload_conf()").await.unwrap();
    let root = dir.join("root.crt");
    std::fs::write(&root, cert.pem()).unwrap();
    (postgres, root)
}

/// Whether the store's connections are encrypted, or why there are none.
async fn encrypted(url: &str, settings: &str) -> Result<bool, StoreError> {
    let store = Store::connect(&format!("{url}?{settings}"), 1).await?;
    let used = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    Ok(sqlx::query_scalar(used).fetch_one(store.pool()).await.unwrap())
}

#[track_caller]
fn assert_unusable(outcome: Result<bool, StoreError>, word: &str) {
    match outcome {
        Err(error @ StoreError::Unusable { .. }) if error.to_string().contains(word) => {}
        other => panic!("not refused for {word:?}: {other:?}"),
    }
}

#[tokio::test]
async fn what_sslmode_asks_for_is_had_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (postgres, root) = postgres_with_tls(dir.path()).await;
    let url = postgres.url();
    let named = url.replace("127.0.0.1", "localhost");
    let root = root.display();
    for settings in ["", "sslmode=require", "sslmode=prefer"] {
        assert!(encrypted(url, settings).await.unwrap(), "{settings}");
    }
    assert!(encrypted(url, &format!("sslmode=verify-full&sslrootcert={root}")).await.unwrap());
    assert!(encrypted(&named, &format!("sslmode=verify-ca&sslrootcert={root}")).await.unwrap());
    assert!(!encrypted(url, "sslmode=disable").await.unwrap());

    let wrong_name = format!("sslmode=verify-full&sslrootcert={root}");
    assert_unusable(encrypted(&named, &wrong_name).await, "certificate");
    assert_unusable(encrypted(url, "sslmode=verify-full").await, "certificate");
    assert_unusable(encrypted(url, "sslmode=require&sslrootcert=/nowhere").await, "sslrootcert");
    let other = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(dir.path().join("other.crt"), other.cert.pem()).unwrap();
    let other = format!("sslmode=require&sslrootcert={}", dir.path().join("other.crt").display());
    assert_unusable(encrypted(url, &other).await, "certificate");
    assert_unusable(encrypted(url, "sslmode=allow").await, "sslmode=allow");
}

#[tokio::test]
async fn a_server_that_takes_nothing_but_tls_refuses_plain_text_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (postgres, _root) = postgres_with_tls(dir.path()).await;
    let mut admin = PgConnection::connect(postgres.url()).await.unwrap();
    let only = "copy (select 'hostssl all all 127.0.0.1/32 scram-sha-256') to program 'cat > pg_hba.conf'";
    admin.execute(only).await.unwrap();
    admin.execute("select pg_reload_conf()").await.unwrap();
    drop(admin);
    let refused = loop {
        // Until the server has read it.
        match encrypted(postgres.url(), "sslmode=disable").await {
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            refused => break refused,
        }
    };
    assert_unusable(refused, "no encryption");
    assert!(encrypted(postgres.url(), "").await.unwrap());
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(dir.path()).await.unwrap();
    for mode in ["require", "verify-ca", "verify-full"] {
        assert_unusable(encrypted(postgres.url(), &format!("sslmode={mode}")).await, "does not support TLS");
    }
    assert!(!encrypted(postgres.url(), "").await.unwrap());
}

#[tokio::test]
async fn a_wrong_password_is_refused_by_name_and_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(dir.path()).await.unwrap();
    let wrong = format!("postgres://roost:sesame@127.0.0.1:{}/postgres", postgres.port());
    let refused = Store::connect(&wrong, 1).await.map(drop).unwrap_err();
    assert!(refused.is_final(), "{refused:?}");
    assert!(refused.to_string().contains("password") && !refused.to_string().contains("sesame"), "{refused}");
}

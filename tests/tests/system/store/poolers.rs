//! PgBouncer between: what it shares is refused, its session mode works with all time limits.

use std::{path::Path, time::Duration};

use roost_devcluster::{Launch, Process, free_port};
use roost_store::{Store, StoreError};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::store::support::{Db, message};

struct PgBouncer {
    url: String,
    _process: Process,
    _dir: TempDir,
}

impl PgBouncer {
    async fn before(db: &Db, mode: &str, more: &str) -> Self {
        let (login, place) = db.url.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let (address, database) = place.split_once('/').unwrap();
        let (host, server_port) = address.split_once(':').unwrap();
        let port = free_port().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ini = format!(
            "[databases]\n{database} = host={host} port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = plain\nauth_file = users\n\
             pool_mode = {mode}\n{more}\n"
        );
        std::fs::write(dir.path().join("pgbouncer.ini"), ini).unwrap();
        std::fs::write(dir.path().join("users"), format!("\"{user}\" \"{password}\"\n")).unwrap();
        let process = launch(dir.path()).spawn().unwrap();
        let url = format!("postgres://{login}@127.0.0.1:{port}/{database}");
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "PgBouncer does not listen (deploy/deps.sh installs it)");
            sleep(Duration::from_millis(20)).await;
        }
        Self { url, _process: process, _dir: dir }
    }
}

/// It refuses to run as root, and then changes to a user of its own; its files are in the working directory.
fn launch(dir: &Path) -> Launch {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let shell = format!(
        "cd '{}' && exec /usr/sbin/pgbouncer $([ $(id -u) = 0 ] && echo -u nobody) pgbouncer.ini",
        dir.display()
    );
    Launch::new("pgbouncer", "/bin/sh", dir.join("log")).args(["-c", &shell])
}

#[tokio::test]
async fn a_pooler_that_shares_sessions_is_refused_at_the_first_contact() {
    let db = Db::new().await;
    for mode in ["transaction", "statement"] {
        for more in ["", "ignore_startup_parameters = options,extra_float_digits", "server_round_robin = 1"] {
            let pooler = PgBouncer::before(&db, mode, more).await;
            let refused = Store::connect(&pooler.url, 3).await.map(drop);
            let Err(error @ StoreError::Unusable { .. }) = refused else {
                panic!("{mode} {more:?}: {refused:?}")
            };
            assert!(error.is_final() && error.to_string().contains("pool_mode = session"), "{error}");
            let lazy = Store::connect_lazy(&pooler.url, 3).unwrap();
            assert!(
                matches!(lazy.migrate().await, Err(StoreError::Unusable { .. })),
                "before a migration, too"
            );
        }
    }
}

#[tokio::test]
async fn a_pooler_that_gives_each_client_its_session_works_and_keeps_the_time_limits() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let pooler = PgBouncer::before(&db, "session", "").await;
    let store = Store::connect(&pooler.url, 3).await.unwrap();
    store.migrate().await.unwrap();
    for (limit, wanted) in [
        ("statement_timeout", "4s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "5s"),
        ("jit", "off"),
        ("synchronous_commit", "on"),
    ] {
        let show = sqlx::AssertSqlSafe(format!("show {limit}"));
        let set: String = sqlx::query_scalar(show).fetch_one(store.pool()).await.unwrap();
        assert_eq!(set, wanted, "{limit}");
    }
    let admit = async |id: &str| store.admit(&fence, &[message(id, "c")]).await;
    let (a, b, c, d) = tokio::join!(admit("a"), admit("b"), admit("c"), admit("d"));
    assert!([a, b, c, d].into_iter().all(|admitted| admitted.is_ok_and(|admitted| admitted[0].fresh)));
}

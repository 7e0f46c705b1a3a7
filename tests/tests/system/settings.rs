//! Settings that lead to a database or an etcd that cannot be used: refused by name, with the exit code after which nothing
//! is started again; and TLS to etcd.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test, in its helpers too")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use roost_cluster::registry::{EtcdAccessArgs, EtcdRegistry, Registry};
use roost_devcluster::{Etcd, Launch, Postgres, Process, free_port, loopback_client, product, tail};
use roost_store::Store;
use tokio::time::{Instant, sleep};

use crate::api::harness::write_private;

/// As the shipped units know it.
const EXIT_REFUSED: i32 = 3;
const SOON: Duration = Duration::from_secs(60);

/// A node and a coordinator with these settings, and where their logs are.
fn both(dir: &Path, etcd: &str, database: &str) -> [Process; 2] {
    write_private(&dir.join("key"), &"ab".repeat(32));
    write_private(&dir.join("tokens"), "a-token\n");
    let file = |name: &str| dir.join(name).display().to_string();
    let shared = ["--etcd", etcd, "--database-url", database, "--lease-ttl", "2s"];
    let node = Launch::new("node", product("roost-node").unwrap(), dir.join("node.log"))
        .args(["run", "--id", "n1", "--engine", "null"])
        .args(shared)
        .args(["--state-dir", &file("state"), "--object-store", &file("objects")])
        .args(["--snapshot-key-file", &file("key"), "--cluster-secret-file", &file("key")]);
    let coordinator = Launch::new("coordinator", product("roost-coordinator").unwrap(), dir.join("c.log"))
        .args(["run", "--id", "c1", "--listen", "127.0.0.1:0"])
        .args(shared)
        .args(["--token-file", &file("tokens"), "--cluster-secret-file", &file("key")]);
    [node, coordinator].map(|launch| launch.spawn().unwrap())
}

pub(crate) async fn assert_refused(processes: impl IntoIterator<Item = Process>, words: &str) {
    for mut process in processes {
        let deadline = Instant::now() + SOON;
        let status = loop {
            if let Some(status) = process.ended() {
                break status;
            }
            assert!(Instant::now() < deadline, "{} waits: {}", process.name(), tail(process.log()));
            sleep(Duration::from_millis(20)).await;
        };
        let log = std::fs::read_to_string(process.log()).unwrap();
        assert_eq!(status.code(), Some(EXIT_REFUSED), "{}: {log}", process.name());
        let told = log.lines().filter(|line| line.contains("ERROR") && line.contains(words)).count();
        assert_eq!(told, 1, "{}: {log}", process.name());
        assert!(!log.contains("stack backtrace"), "{log}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_have_the_tls_that_was_asked_for_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (etcd, postgres) =
        (Etcd::start(dir.path()).await.unwrap(), Postgres::start(dir.path()).await.unwrap());
    for mode in ["require", "verify-full"] {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("{}?sslmode={mode}", postgres.url());
        assert_refused(both(dir.path(), etcd.endpoint(), &url), "TLS to the database failed").await;
    }
}

#[tokio::test]
async fn an_etcd_that_asks_for_a_user_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (etcd, postgres) =
        (Etcd::start(dir.path()).await.unwrap(), Postgres::start(dir.path()).await.unwrap());
    for (call, body) in [
        ("user/add", r#"{"name": "root", "password": "sesame"}"#),
        ("role/add", r#"{"name": "root"}"#),
        ("user/grant", r#"{"user": "root", "role": "root"}"#),
        ("enable", "{}"),
    ] {
        let url = format!("{}/v3/auth/{call}", etcd.endpoint());
        let asked = loopback_client(SOON).unwrap().post(url).body(body).send().await.unwrap();
        asked.error_for_status().unwrap();
    }
    assert_refused(both(dir.path(), etcd.endpoint(), postgres.url()), "asks who we are").await;
}

#[tokio::test]
async fn what_is_away_is_waited_for_in_few_words() {
    let dir = tempfile::tempdir().unwrap();
    let mut processes = both(dir.path(), "http://127.0.0.1:1", "postgres://roost@127.0.0.1:1/roost");
    sleep(Duration::from_secs(4)).await;
    for process in &mut processes {
        let log = std::fs::read_to_string(process.log()).unwrap();
        assert!(process.is_running(), "{log}");
        let complaints = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).count();
        assert!((1..=5).contains(&complaints), "{complaints} lines in 4 s: {log}");
    }
}

#[tokio::test]
async fn an_etcd_at_https_is_used_if_its_certificate_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(file("etcd.crt"), cert.pem()).unwrap();
    std::fs::write(file("etcd.key"), signing_key.serialize_pem()).unwrap();
    let client = format!("https://127.0.0.1:{}", free_port().unwrap());
    let peer = format!("http://127.0.0.1:{}", free_port().unwrap());
    let _etcd = Launch::new("etcd", "/usr/bin/etcd", dir.path().join("etcd.log"))
        .args([
            "--data-dir",
            &file("data"),
            "--cert-file",
            &file("etcd.crt"),
            "--key-file",
            &file("etcd.key"),
        ])
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}")])
        .spawn()
        .unwrap();
    let asked = async |ca: Option<PathBuf>| {
        let endpoints = [client.clone()];
        let access = EtcdAccessArgs { etcd_ca_file: ca, ..EtcdAccessArgs::default() };
        let access = access.open(&endpoints).unwrap();
        let registry = EtcdRegistry::connect_by(&endpoints, "tls", Duration::from_secs(1), access).await;
        registry.unwrap().get("leader").await
    };
    let deadline = Instant::now() + SOON;
    while let Err(error) = asked(Some(file("etcd.crt").into())).await {
        assert!(Instant::now() < deadline, "{error}");
        sleep(Duration::from_millis(50)).await;
    }
    let refused = asked(None).await.unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");
}

/// A node with this object store, and this key.
fn node_with(
    dir: &Path,
    etcd: &Etcd,
    postgres: &Postgres,
    objects: &str,
    key: &str,
    more: &[&str],
) -> Process {
    write_private(&dir.join("key"), &key.repeat(32));
    let file = |name: &str| dir.join(name).display().to_string();
    let launch = Launch::new("node", product("roost-node").unwrap(), dir.join("node.log"))
        .args(["run", "--id", "n1", "--engine", "null", "--lease-ttl", "2s"])
        .args(["--etcd", etcd.endpoint(), "--database-url", postgres.url()])
        .args(["--state-dir", &file("state"), "--object-store", &file(objects)])
        .args(["--snapshot-key-file", &file("key"), "--cluster-secret-file", &file("key")])
        .args(more);
    launch.spawn().unwrap()
}

#[tokio::test]
async fn an_object_store_other_than_the_one_that_the_database_names_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (etcd, postgres) =
        (Etcd::start(dir.path()).await.unwrap(), Postgres::start(dir.path()).await.unwrap());
    let store = Store::connect(postgres.url(), 1).await.unwrap();
    store.migrate().await.unwrap();
    let named = async || store.object_store().await.unwrap().object_store;
    let until_named_other_than = async |before| {
        let deadline = Instant::now() + SOON;
        while named().await == before {
            assert!(Instant::now() < deadline, "{}", tail(&dir.path().join("node.log")));
            sleep(Duration::from_millis(20)).await;
        }
    };
    let start = |objects, key, more: &[&str]| node_with(dir.path(), &etcd, &postgres, objects, key, more);

    let first = start("objects", "ab", &[]);
    until_named_other_than(None).await;
    drop(first);
    let taken = named().await;
    // As a directory that is not mounted.
    assert_refused([start("empty", "ab", &[])], "the object store has no marker").await;
    assert_refused([start("objects", "cd", &[])], "the object store's marker cannot be read").await;
    assert_eq!(named().await, taken, "nothing was adopted");

    let adopting = start("empty", "ab", &["--adopt-object-store"]);
    until_named_other_than(taken).await;
    drop(adopting);
    assert_refused([start("objects", "ab", &[])], "the object store is ").await;
}

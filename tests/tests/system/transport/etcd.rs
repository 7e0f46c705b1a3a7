//! An etcd that wants to know who asks: a user whose token ends, whose password changes, and one that may not; certificates.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test, in its helpers too")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use roost_cluster::{
    keys,
    registry::{EtcdAccessArgs, EtcdRegistry, Op, Registry, RegistryError},
};
use roost_devcluster::{Authority, CertificateUse, Launch, Process, free_port, loopback_client};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::api::harness::write_private;

const SOON: Duration = Duration::from_secs(20);
const TOKEN_ENDS_AFTER: Duration = Duration::from_secs(2);

/// One with authentication, and a user that may do what Roost does and nothing else.
struct Closed {
    dir: TempDir,
    endpoint: String,
    _etcd: Process,
}

async fn post(endpoint: &str, token: Option<&str>, call: &str, body: serde_json::Value) -> serde_json::Value {
    let url = format!("{endpoint}/v3/{call}");
    let request = loopback_client(SOON).unwrap().post(url).body(body.to_string());
    let request = token.into_iter().fold(request, |request, token| request.header("authorization", token));
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{call}: {text}");
    serde_json::from_str(&text).unwrap()
}

impl Closed {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = format!("http://127.0.0.1:{}", free_port().unwrap());
        let etcd = launch(dir.path(), &endpoint, &["--auth-token-ttl", "2"]);
        let deadline = Instant::now() + SOON;
        while loopback_client(SOON).unwrap().get(format!("{endpoint}/health")).send().await.is_err() {
            assert!(Instant::now() < deadline, "etcd does not serve");
            sleep(Duration::from_millis(50)).await;
        }
        let closed = Self { dir, endpoint, _etcd: etcd };
        // The keys under /roost/v1/, in base64.
        let ours =
            json!({"permType": "READWRITE", "key": "L3Jvb3N0L3YxLw==", "range_end": "L3Jvb3N0L3YxMA=="});
        for (call, body) in [
            ("user/add", json!({"name": "root", "password": "of-root"})),
            ("role/add", json!({"name": "root"})),
            ("user/grant", json!({"user": "root", "role": "root"})),
            ("user/add", json!({"name": "roost", "password": "sesame"})),
            ("role/add", json!({"name": "roost"})),
            ("role/grant", json!({"name": "roost", "perm": ours})),
            ("user/grant", json!({"user": "roost", "role": "roost"})),
            ("enable", json!({})),
        ] {
            post(&closed.endpoint, None, &format!("auth/{call}"), body).await;
        }
        closed
    }

    async fn change_password(&self, password: &str) {
        let root = json!({"name": "root", "password": "of-root"});
        let token = post(&self.endpoint, None, "auth/authenticate", root).await["token"].clone();
        let change = json!({"name": "roost", "password": password});
        post(&self.endpoint, token.as_str(), "auth/user/changepw", change).await;
    }

    fn password_file(&self) -> PathBuf {
        self.dir.path().join("password")
    }

    async fn registry(&self, password: &str) -> EtcdRegistry {
        write_private(&self.password_file(), &format!("{password}\n"));
        let access = EtcdAccessArgs {
            etcd_user: Some("roost".to_owned()),
            etcd_password_file: Some(self.password_file()),
            ..EtcdAccessArgs::default()
        };
        connect(&self.endpoint, &access).await
    }
}

async fn connect(endpoint: &str, access: &EtcdAccessArgs) -> EtcdRegistry {
    let endpoints = [endpoint.to_owned()];
    let access = access.open(&endpoints).unwrap();
    EtcdRegistry::connect_by(&endpoints, "closed", Duration::from_secs(2), access).await.unwrap()
}

fn launch(dir: &Path, client: &str, more: &[&str]) -> Process {
    let peer = format!("http://127.0.0.1:{}", free_port().unwrap());
    Launch::new("etcd", "/usr/bin/etcd", dir.join("etcd.log"))
        .args(["--data-dir".into(), dir.join("data").into_os_string()])
        .args(["--listen-client-urls", client, "--advertise-client-urls", client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}")])
        .args(more.iter().copied())
        .spawn()
        .unwrap()
}

async fn until_ok<T>(mut attempt: impl AsyncFnMut() -> Result<T, RegistryError>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_user_goes_on_when_its_token_has_ended_and_when_its_password_has_changed() {
    let closed = Closed::start().await;
    let registry = closed.registry("sesame").await;
    registry.until_answered(Duration::from_millis(50)).await.unwrap();
    let lease = registry.grant(Duration::from_secs(60)).await.unwrap();
    let put = Op::Put { key: keys::LEADER.to_owned(), value: b"1".to_vec(), lease: Some(lease) };
    registry.commit(&[], std::slice::from_ref(&put)).await.unwrap();
    let reading = registry.read(keys::LEADER).await.unwrap();
    // A token ends when nobody has shown it for so long, and etcd looks every second.
    let pause = TOKEN_ENDS_AFTER * 2;
    sleep(pause).await;
    registry.keep_alive(lease, keys::LEADER).await.unwrap();
    sleep(pause).await;
    registry.list("").await.unwrap();
    sleep(pause).await;
    // The stream is opened with a token that is over; the next reading, which whoever watches makes, gets another.
    let mut watched = until_ok(async || {
        registry.list("").await?;
        registry.watch("", reading.revision).await
    })
    .await;
    registry.commit(&[], &[put]).await.unwrap();
    let changes = tokio::time::timeout(SOON, watched.recv()).await.unwrap().unwrap();
    assert!(!changes.is_empty());

    closed.change_password("open").await;
    let refused = registry.read(keys::LEADER).await.unwrap_err();
    assert!(!refused.to_string().contains("sesame"), "{refused}");
    write_private(&closed.password_file(), "open");
    until_ok(async || registry.read(keys::LEADER).await).await;
    registry.keep_alive(lease, keys::LEADER).await.unwrap();
    registry.revoke(lease).await.unwrap();
}

#[tokio::test]
async fn a_user_that_is_not_let_in_is_told_so_by_name_and_without_its_password() {
    let closed = Closed::start().await;
    let registry = closed.registry("wrong").await;
    let refused = registry.until_answered(Duration::from_millis(50)).await.unwrap_err();
    let told = format!("{refused}");
    assert!(matches!(refused, RegistryError::Refused { .. }), "{told}");
    assert!(told.contains("\"roost\"") && told.contains("--etcd-password-file"), "{told}");
    assert!(!told.contains("wrong"), "{told}");

    let access = EtcdAccessArgs {
        etcd_user: Some("roost".to_owned()),
        etcd_password_file: Some(closed.password_file()),
        ..EtcdAccessArgs::default()
    };
    let open = tempfile::tempdir().unwrap();
    let etcd = roost_devcluster::Etcd::start(open.path()).await.unwrap();
    let registry = connect(etcd.endpoint(), &access).await;
    registry.until_answered(Duration::from_millis(50)).await.unwrap();
}

#[tokio::test]
async fn an_etcd_that_asks_for_a_certificate_is_shown_one_which_may_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path()).unwrap();
    let own = authority.issue("etcd", &["127.0.0.1"], CertificateUse::Both).unwrap();
    let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
    let endpoint = format!("https://127.0.0.1:{}", free_port().unwrap());
    let (cert, key, ca) = (text(own.cert), text(own.key), text(authority.ca_file()));
    let tls = ["--cert-file", &cert, "--key-file", &key, "--client-cert-auth", "--trusted-ca-file", &ca];
    let _etcd = launch(dir.path(), &endpoint, &tls);
    let client = authority.issue("client", &["client"], CertificateUse::Client).unwrap();
    let by = |cert: &Path, key: &Path| EtcdAccessArgs {
        etcd_ca_file: Some(authority.ca_file()),
        etcd_cert_file: Some(cert.to_owned()),
        etcd_key_file: Some(key.to_owned()),
        ..EtcdAccessArgs::default()
    };
    let registry = connect(&endpoint, &by(&client.cert, &client.key)).await;
    until_ok(async || registry.get(keys::LEADER).await).await;

    let without = EtcdAccessArgs { etcd_ca_file: Some(authority.ca_file()), ..EtcdAccessArgs::default() };
    connect(&endpoint, &without).await.get(keys::LEADER).await.unwrap_err();

    // One of a stranger's that is replaced by ours.
    let strangers_dir = tempfile::tempdir().unwrap();
    let strangers = Authority::open(strangers_dir.path()).unwrap();
    let mine = strangers.issue("mine", &["client"], CertificateUse::Client).unwrap();
    let registry = connect(&endpoint, &by(&mine.cert, &mine.key)).await;
    registry.get(keys::LEADER).await.unwrap_err();
    std::fs::rename(&client.key, &mine.key).unwrap();
    std::fs::rename(&client.cert, &mine.cert).unwrap();
    until_ok(async || registry.get(keys::LEADER).await).await;
}

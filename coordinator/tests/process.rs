//! The process: it starts while nothing that it needs is up, bounds its callers, and ends cleanly on either signal.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test, in its helpers too")]

mod tls;

use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tonic::{Code, Request, Status, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

const SOON: Duration = Duration::from_secs(30);

fn start(dir: &Path, settings: &[(&str, &str)]) -> Child {
    fs::write(dir.join("tokens"), "a-token\n").unwrap();
    fs::set_permissions(dir.join("tokens"), Permissions::from_mode(0o600)).unwrap();
    fs::write(dir.join("open"), "a-token\n").unwrap();
    fs::set_permissions(dir.join("open"), Permissions::from_mode(0o644)).unwrap();
    for (name, text, mode) in [("secret", "5e".repeat(32), 0o600), ("short", "5e".repeat(15), 0o600)] {
        fs::write(dir.join(name), text).unwrap();
        fs::set_permissions(dir.join(name), Permissions::from_mode(mode)).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_roost-coordinator"));
    command.arg("run").current_dir(dir).stderr(Stdio::piped());
    let usual = [
        ("--id", "c1"),
        ("--etcd", "http://127.0.0.1:1"),
        ("--listen", "127.0.0.1:0"),
        ("--database-url", "postgres://roost:x@127.0.0.1:1/roost"),
        ("--lease-ttl", "2s"),
        ("--token-file", "tokens"),
        ("--cluster-secret-file", "secret"),
        ("--announce", "announced"),
    ];
    let unchanged = usual.iter().filter(|(name, _)| settings.iter().all(|(changed, _)| changed != name));
    for (name, value) in unchanged.chain(settings) {
        command.arg(name);
        if !value.is_empty() {
            command.arg(value);
        }
    }
    command.spawn().unwrap()
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < SOON, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A whole answer.
fn asked(addr: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(addr).unwrap();
    connection.set_read_timeout(Some(SOON)).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn sigterm_and_sigint_end_it_cleanly_even_with_everything_down() {
    for signal in [Signal::TERM, Signal::INT] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = start(dir.path(), &[("--health-listen", "127.0.0.1:0")]);
        let announced =
            wait_for("the announcement", || fs::read_to_string(dir.path().join("announced")).ok());
        let announced: serde_json::Value = serde_json::from_str(&announced).unwrap();
        assert_eq!(announced["pid"], child.id());
        let health = announced["health_addr"].as_str().unwrap();
        assert!(asked(health, "/healthz").starts_with("HTTP/1.1 200"));
        assert!(asked(health, "/readyz").starts_with("HTTP/1.1 503"));
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        let status = wait_for("the end", || child.try_wait().unwrap());
        assert!(status.success(), "{signal:?}: {status}");
    }
}

#[test]
fn a_wrong_setting_is_told_and_nothing_is_announced() {
    for (setting, said) in [
        (("--cluster", "No Good"), "cluster name"),
        (("--id", "No Good"), "--id"),
        (("--stale-after", "soon"), "--stale-after"),
        (("--lease-ttl", "1s"), "--lease-ttl"),
        (("--token-file", "/nowhere/tokens"), "/nowhere/tokens"),
        (("--token-file", "open"), "open to others (mode 0644): close it with chmod 600"),
        (("--cluster-secret-file", "/nowhere/secret"), "make one with `openssl rand -hex 32`"),
        (("--cluster-secret-file", "open"), "open to others (mode 0644): close it with chmod 600"),
        (("--cluster-secret-file", "short"), "it has 30 bytes and needs 32 or more"),
        (("--tls-cert-file", "tokens"), "--tls-key-file"),
        (("--rpc-tls-cert-file", "tokens"), "--rpc-tls-ca-file"),
        (("--etcd", "not a url"), "not a url"),
        (("--database-url", "not a url"), "database URL"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let output = start(dir.path(), &[setting]).wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(said), "{setting:?}: {text}");
        assert!(!dir.path().join("announced").exists());
    }
}

/// A coordinator that serves, until it is dropped.
struct Serving {
    child: Child,
    addr: String,
    _dir: TempDir,
}

impl Serving {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let child = start(dir.path(), &[]);
        let announced =
            wait_for("the announcement", || fs::read_to_string(dir.path().join("announced")).ok());
        let announced: serde_json::Value = serde_json::from_str(&announced).unwrap();
        Self { child, addr: announced["addr"].as_str().unwrap().to_owned(), _dir: dir }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether the other side leaves it open for a while.
fn stays_open(mut connection: &TcpStream) -> bool {
    connection.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    // What is read at first are the server's settings.
    !matches!(connection.read(&mut [0; 1024]), Ok(0))
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let serving = Serving::start();
    let open: Vec<TcpStream> = (0..512).map(|_| TcpStream::connect(&serving.addr).unwrap()).collect();
    wait_for("a connection to be refused", || {
        (!stays_open(&TcpStream::connect(&serving.addr).unwrap())).then_some(())
    });
    assert!(stays_open(&open[0]) && stays_open(&open[511]));
    drop(open);
    wait_for("room for another", || stays_open(&TcpStream::connect(&serving.addr).unwrap()).then_some(()));
}

fn with_token(token: &'static str) -> impl FnMut(Request<()>) -> Result<Request<()>, Status> + Clone {
    move |mut request| {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        Ok(request)
    }
}

#[tokio::test]
async fn watching_health_is_among_the_bounded_streams() {
    let serving = Serving::start();
    let endpoint = Endpoint::from_shared(format!("http://{}", serving.addr)).unwrap();
    let mut watched = Vec::new();
    // 256 calls at a time on one connection.
    for _ in 0..2 {
        let channel = endpoint.connect().await.unwrap();
        let mut health = HealthClient::with_interceptor(channel, with_token("a-token"));
        for _ in 0..256 {
            watched.push(health.watch(HealthCheckRequest::default()).await.unwrap());
        }
    }
    let channel = endpoint.connect().await.unwrap();
    let mut health = HealthClient::with_interceptor(channel, with_token("a-token"));
    let refused = health.watch(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(health.check(HealthCheckRequest::default()).await.is_ok());
}

#[tokio::test]
async fn wrong_tokens_are_answered_ever_later() {
    let serving = Serving::start();
    let endpoint = Endpoint::from_shared(format!("http://{}", serving.addr)).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let mut guessing = HealthClient::with_interceptor(channel.clone(), with_token("wrong"));
    let begun = Instant::now();
    for _ in 0..8 {
        let refused = guessing.watch(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
    assert!(begun.elapsed() >= Duration::from_millis(700), "{:?}", begun.elapsed());
    let mut right = HealthClient::with_interceptor(channel, with_token("a-token"));
    assert!(right.watch(HealthCheckRequest::default()).await.is_ok());
}

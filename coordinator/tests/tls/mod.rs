//! The admin API by TLS, with nothing else up.

use std::{fs, path::Path, process::Child, time::Duration};

use roost_devcluster::{Authority, CertificateFiles, CertificateUse};
use roost_tls::{Advice, CertifiedFiles, ClientTls, Trust, advice};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tonic::{Status, codegen::http::Version, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{SOON, asked, start, wait_for};

/// A coordinator that serves by TLS, until it is dropped.
struct Serving {
    child: Child,
    addr: String,
    http: String,
    health: String,
}

impl Serving {
    /// With `server.crt` and `server.key` of its directory.
    fn start(dir: &Path, more: &[(&str, &str)]) -> Self {
        let own = [
            ("--tls-cert-file", "server.crt"),
            ("--tls-key-file", "server.key"),
            ("--http-listen", "127.0.0.1:0"),
            ("--health-listen", "127.0.0.1:0"),
        ];
        let child = start(dir, &[own.as_slice(), more].concat());
        let announced = wait_for("the announcement", || fs::read_to_string(dir.join("announced")).ok());
        let announced: serde_json::Value = serde_json::from_str(&announced).unwrap();
        let [addr, http, health] =
            ["addr", "http_addr", "health_addr"].map(|name| announced[name].as_str().unwrap().to_owned());
        Self { child, addr, http, health }
    }

    /// Whether it answers, on a connection of its own.
    async fn ask(&self, tls: &ClientTls) -> Result<(), Status> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.addr)).unwrap();
        let channel = roost_tls::channel(&endpoint.timeout(Duration::from_secs(10)), tls.clone(), None);
        HealthClient::new(channel).check(HealthCheckRequest::default()).await.map(drop)
    }

    async fn why(&self, tls: &ClientTls) -> Advice {
        let refused = self.ask(tls).await.expect_err("it was refused");
        advice(&refused).unwrap_or_else(|| panic!("no advice on {refused:?}"))
    }

    /// The status of an answer in JSON, and by which HTTP it came.
    async fn ask_json(&self, client: &reqwest::Client) -> reqwest::Result<(u16, Version)> {
        let url = format!("https://{}/v1/openapi.json", self.http);
        let answer = client.get(url).bearer_auth("a-token").send().await?;
        let (status, version) = (answer.status().as_u16(), answer.version());
        // A connection is kept once all of an answer has been read.
        answer.bytes().await?;
        Ok((status, version))
    }

    fn warnings(&self) -> String {
        let answer = asked(&self.health, "/readyz");
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        body["warnings"].to_string()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn certified(CertificateFiles { cert, key }: CertificateFiles) -> CertifiedFiles {
    CertifiedFiles { cert, key, own_name: None }
}

fn client(authority: &Authority, own: Option<CertifiedFiles>) -> ClientTls {
    ClientTls::open(Trust::Only(authority.ca_file()), own).unwrap()
}

/// As somebody else's program calls.
fn http_client(authority: &Authority, own: Option<&CertifiedFiles>) -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let ca = reqwest::Certificate::from_pem(&fs::read(authority.ca_file()).unwrap()).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(SOON).tls_certs_only([ca]);
    let identity = |own: &CertifiedFiles| {
        let pem = [fs::read(&own.cert).unwrap(), fs::read(&own.key).unwrap()].concat();
        reqwest::Identity::from_pem(&pem).unwrap()
    };
    own.into_iter().fold(client, |client, own| client.identity(identity(own))).build().unwrap()
}

#[tokio::test]
async fn the_admin_api_is_served_by_tls_and_a_new_certificate_is_taken_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path()).unwrap();
    let end = OffsetDateTime::now_utc() + time::Duration::days(2) + time::Duration::hours(1);
    authority.issue_until("server", &["127.0.0.1"], CertificateUse::Server, end).unwrap();
    let serving = Serving::start(dir.path(), &[]);
    let tls = client(&authority, None);
    serving.ask(&tls).await.unwrap();
    assert!(asked_plainly(&serving.addr).await.is_err(), "without TLS");
    wait_for("the warning", || serving.warnings().contains("server.crt ends in 2 days").then_some(()));

    fs::write(dir.path().join("server.crt"), "none").unwrap();
    wait_for("the other warning", || serving.warnings().contains("holds no certificate").then_some(()));
    serving.ask(&tls).await.unwrap();

    let next_dir = tempfile::tempdir().unwrap();
    let next = Authority::open(next_dir.path()).unwrap();
    let files = next.issue("server", &["127.0.0.1"], CertificateUse::Server).unwrap();
    for (from, to) in [(&files.key, "server.key"), (&files.cert, "server.crt")] {
        fs::rename(from, dir.path().join(to)).unwrap();
    }
    wait_for("no warning", || (serving.warnings() == "[]").then_some(()));
    serving.ask(&client(&next, None)).await.unwrap();
    assert_eq!(serving.why(&tls).await, Advice::NotTrusted);
}

async fn asked_plainly(addr: &str) -> Result<(), Status> {
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).unwrap();
    let mut health = HealthClient::new(endpoint.timeout(Duration::from_secs(10)).connect_lazy());
    health.check(HealthCheckRequest::default()).await.map(drop)
}

#[tokio::test]
async fn the_api_in_json_is_served_by_the_same_certificate_which_is_replaced_for_both() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path()).unwrap();
    authority.issue("server", &["127.0.0.1"], CertificateUse::Server).unwrap();
    let serving = Serving::start(dir.path(), &[]);
    let believing = http_client(&authority, None);
    assert_eq!(serving.ask_json(&believing).await.unwrap(), (200, Version::HTTP_11));
    let plain = reqwest::Client::builder().no_proxy().timeout(SOON).build().unwrap();
    plain.get(format!("http://{}/v1/openapi.json", serving.http)).send().await.unwrap_err();

    let next_dir = tempfile::tempdir().unwrap();
    let next = Authority::open(next_dir.path()).unwrap();
    let files = next.issue("server", &["127.0.0.1"], CertificateUse::Server).unwrap();
    fs::rename(files.key, dir.path().join("server.key")).unwrap();
    fs::rename(files.cert, dir.path().join("server.crt")).unwrap();
    let after = http_client(&next, None);
    let deadline = Instant::now() + SOON;
    while serving.ask_json(&after).await.is_err() {
        assert!(Instant::now() < deadline, "the new certificate is not shown");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(serving.ask_json(&believing).await.unwrap().0, 200, "on the connection that is there");
    let refused = serving.ask_json(&http_client(&authority, None)).await.unwrap_err();
    assert_eq!(advice(&refused), Some(Advice::NotTrusted), "{refused:?}");
}

#[tokio::test]
async fn callers_need_a_certificate_where_there_is_an_authority_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path()).unwrap();
    authority.issue("server", &["127.0.0.1"], CertificateUse::Server).unwrap();
    let callers_dir = tempfile::tempdir().unwrap();
    let callers = Authority::open(callers_dir.path()).unwrap();
    let asha = certified(callers.issue("asha", &["asha"], CertificateUse::Client).unwrap());
    let ca = callers.ca_file().into_os_string().into_string().unwrap();
    let serving = Serving::start(dir.path(), &[("--tls-client-ca-file", &ca)]);
    assert_eq!(serving.why(&client(&authority, None)).await, Advice::WantsCertificate);
    serving.ask(&client(&authority, Some(asha.clone()))).await.unwrap();
    assert_eq!(serving.ask_json(&http_client(&authority, Some(&asha))).await.unwrap().0, 200);
    let without = serving.ask_json(&http_client(&authority, None)).await.unwrap_err();
    assert_eq!(advice(&without), Some(Advice::WantsCertificate), "{without:?}");
    let own = certified(authority.issue("juma", &["juma"], CertificateUse::Client).unwrap());
    let refused = serving.why(&client(&authority, Some(own.clone()))).await;
    assert!(matches!(refused, Advice::Refused(_)), "{refused}");
    let refused = serving.ask_json(&http_client(&authority, Some(&own))).await.unwrap_err();
    assert!(matches!(advice(&refused), Some(Advice::Refused(_))), "{refused:?}");
}

#[test]
fn a_listener_that_others_reach_has_tls_or_is_allowed_in_so_many_words() {
    let dir = tempfile::tempdir().unwrap();
    let open = [("--listen", "0.0.0.0:0"), ("--http-listen", "0.0.0.0:0")];
    for one in open {
        let output = start(dir.path(), &[one]).wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains(&format!("{} 0.0.0.0:0 can be reached", one.0)), "{text}");
        assert!(text.contains("--allow-plaintext-listen") && text.contains("--tls-cert-file"), "{text}");
    }
    let authority = Authority::open(dir.path()).unwrap();
    authority.issue("server", &["127.0.0.1"], CertificateUse::Server).unwrap();
    let by_tls = [("--tls-cert-file", "server.crt"), ("--tls-key-file", "server.key")];
    for allowed in [&by_tls[..], &[("--allow-plaintext-listen", "")]] {
        let announced = dir.path().join("announced");
        fs::remove_file(&announced).ok();
        let mut child = start(dir.path(), &[&open[..], allowed].concat());
        wait_for("the announcement", || announced.exists().then_some(()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

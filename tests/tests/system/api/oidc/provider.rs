//! A coordinator with a provider, and the way of a browser through it.

use std::{collections::BTreeMap, path::Path};

use roost_coordinator::{Config, oidc::OidcArgs};
use roost_devcluster::{Launch, Process, free_port, loopback_client};
use serde_json::{Value, json};

use crate::api::{
    harness::{Api, SOON, api_that, write_private},
    portal::browser::{Browser, Page},
};

const CLIENT: &str = "roost-portal";
const SECRET: &str = "a-secret/of the provider+and=us";

/// A coordinator, and who says for it who somebody is.
pub struct World {
    pub api: Api,
    launch: Launch,
    process: Option<Process>,
    port: u16,
    _dir: tempfile::TempDir,
}

pub async fn world() -> World {
    let mut world = world_without_provider().await;
    world.provider_starts().await;
    world
}

/// One whose provider is away yet.
pub async fn world_without_provider() -> World {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oidc/provider.mjs");
    let installed = script.with_file_name("node_modules").join("oidc-provider");
    assert!(installed.exists(), "install the provider with deploy/deps.sh --test");
    let (dir, port) = (tempfile::tempdir().expect("a directory"), free_port().expect("a port"));
    let launch = Launch::new("oidc-provider", "node", dir.path().join("provider.log")).args([
        script.into_os_string(),
        port.to_string().into(),
        CLIENT.into(),
        SECRET.into(),
    ]);
    let secret = dir.path().join("secret");
    write_private(&secret, &format!("{SECRET}\n"));
    let oidc = OidcArgs {
        oidc_issuer: Some(format!("http://127.0.0.1:{port}")),
        oidc_client_id: Some(CLIENT.into()),
        oidc_client_secret_file: Some(secret),
        oidc_ca_file: None,
    };
    let api = api_that(|config| Config { oidc, ..config }).await;
    World { api, launch, process: None, port, _dir: dir }
}

impl World {
    pub async fn provider_starts(&mut self) {
        let mut process = self.launch.spawn().expect("a provider");
        let client = loopback_client(SOON).expect("a client");
        let url = format!("{}/.well-known/openid-configuration", self.issuer());
        let ready = || async { client.get(&url).send().await.map(drop).map_err(|error| error.to_string()) };
        process.ready_when(SOON, ready).await.expect("a provider");
        self.process = Some(process);
        let redirect = format!("{}/sign-in/oidc/callback", self.portal());
        self.told(json!({ "redirects": [redirect] })).await;
    }

    pub async fn provider_stops(&mut self) {
        let mut process = self.process.take().expect("a provider");
        process.kill().await.expect("its end");
    }

    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn portal(&self) -> String {
        format!("http://{}", self.api.coordinator.http_addr().expect("an address"))
    }

    /// What the provider is to do from now on.
    pub async fn told(&self, what: Value) {
        let client = loopback_client(SOON).expect("a client");
        let answer = client.post(format!("{}/control", self.issuer())).json(&what).send().await;
        answer.and_then(reqwest::Response::error_for_status).expect("a provider that listens");
    }

    /// As whom the next one is signed in there.
    pub async fn is(&self, subject: &str) {
        self.told(json!({ "subject": subject })).await;
    }

    /// Goes to the provider by a link of a page, signs in there, and is told where to go back to.
    pub async fn sent_back(&self, browser: &mut Browser, link: &str) -> String {
        let sent = browser.click(link).await;
        assert_eq!(sent.status, 303, "{sent:?}");
        self.at_provider(sent.location().expect("a place to go to")).await
    }

    /// The whole way there and back.
    pub async fn through(&self, browser: &mut Browser, link: &str) -> Page {
        let back = self.sent_back(browser, link).await;
        browser.get(&back).await
    }

    async fn at_provider(&self, url: &str) -> String {
        let client =
            reqwest::Client::builder().no_proxy().timeout(SOON).redirect(reqwest::redirect::Policy::none());
        let client = client.build().expect("a client");
        let mut cookies = BTreeMap::new();
        let mut url = url.to_owned();
        for _ in 0..10 {
            if url.starts_with(&self.portal()) {
                return url;
            }
            let kept: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = client.get(&url).header("cookie", kept.join("; ")).send().await.expect("an answer");
            for set in answer.headers().get_all("set-cookie") {
                let pair = set.to_str().expect("text").split(';').next().unwrap_or_default();
                let (name, value) = pair.split_once('=').expect("a pair");
                cookies.insert(name.to_owned(), value.to_owned());
            }
            let (status, next) = (answer.status(), answer.headers().get("location").cloned());
            let Some(next) = next else {
                panic!("{status} of {url}: {}", answer.text().await.unwrap_or_default())
            };
            let next = next.to_str().expect("text");
            url = if next.starts_with('/') { format!("{}{next}", self.issuer()) } else { next.to_owned() };
        }
        panic!("the provider sends nobody back: {url}")
    }

    pub async fn database(&self) -> sqlx::PgPool {
        sqlx::PgPool::connect(&self.api.database_url).await.expect("a database")
    }
}

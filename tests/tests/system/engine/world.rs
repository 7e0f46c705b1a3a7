//! What the tests stand on: one tenant, one simulator, one object store, and profiles on as many nodes as a test names.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use roost_devcluster::loopback_client;
use roost_engine::{
    BrowserObserver,
    run_as::RunAs,
    web::{HoldLimits, Identity, Launcher, WaJs, WebConfig, WebEngine},
};
use roost_model::ids::TenantId;
use roost_node::session::{LockedProfile, Profiles, SnapshotKeys, SnapshotStore};
use roost_simulator::{Config, Hardness, Simulator, Timing};
use serde_json::{Value, json};
use uuid::Uuid;

pub const PHONE: &str = "254700000001";
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
pub const FRIEND: &str = "255700000007";

/// One tenant, one simulator, one object store.
pub struct World {
    dir: tempfile::TempDir,
    simulator: Simulator,
    pub engine: WebEngine,
    pub snapshots: SnapshotStore,
    run_as: RunAs,
    pub tenant: TenantId,
    uid: Uuid,
}

struct Unwatched;

impl BrowserObserver for Unwatched {
    fn started(&self, _pid: u32) {}
    fn gone(&self, _pid: u32) {}
}

impl World {
    pub fn start() -> Result<Self> {
        Self::showing(None)
    }

    /// The same, with browsers that show another page than the simulator's.
    pub fn showing(page_url: Option<&str>) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let any = "127.0.0.1:0".parse()?;
        let simulator = Simulator::start(&Config {
            http: any,
            tls: any,
            timing: Timing::default(),
            hardness: Hardness::default(),
        })?;
        // As a node of this user would run them.
        let run_as = RunAs::for_browsers("nobody")?;
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711))?;
        let engine = WebEngine::new(WebConfig {
            launcher: Launcher::new(roost_devcluster::product("roost-node")?, run_as),
            sandbox: true,
            browser: roost_devcluster::browser()?,
            page_url: page_url.unwrap_or(&simulator.http_url()).parse()?,
            page_hosts: Vec::new(),
            wa_js: WaJs::read(&roost_devcluster::bridge()?)?,
            hold_limits: HoldLimits::default(),
            identity: Identity::default(),
            groups: None,
            observer: Arc::new(Unwatched),
        });
        let objects = dir.path().join("objects");
        let snapshots = SnapshotStore::open(path_text(&objects)?, SnapshotKeys::from_hex(&"5e".repeat(32))?)?;
        let tenant = TenantId::new("acme")?;
        Ok(Self { dir, simulator, engine, snapshots, run_as, tenant, uid: Uuid::now_v7() })
    }

    pub fn profile(&self, node: &str) -> Result<Arc<LockedProfile>> {
        Ok(Arc::new(self.profiles(node)?.of(&self.tenant, self.uid).lock()?))
    }

    pub fn profiles(&self, node: &str) -> Result<Profiles> {
        Ok(Profiles::open(&self.dir.path().join(node), self.run_as)?)
    }

    /// How many there have been.
    pub async fn connections(&self) -> Result<usize> {
        let seen: Value = self.asked("connections").await?;
        Ok(seen["connections"].as_array().map_or(0, Vec::len))
    }

    /// How often pages have asked whether a number exists.
    pub async fn queries(&self) -> Result<u64> {
        let seen: Value = self.asked("connections").await?;
        let of = |connection: &Value| connection["queries"].as_u64();
        Ok(seen["connections"].as_array().into_iter().flatten().filter_map(of).sum())
    }

    pub async fn control(&self, verb: &str, body: Value) -> Result<()> {
        let url = format!("{}/control/{verb}", self.simulator.http_url());
        let answer = loopback_client(ANSWER_WITHIN)?.post(url).json(&body).send().await?;
        ensure!(answer.status().is_success(), "{verb} was refused: {}", answer.text().await?);
        Ok(())
    }

    async fn asked<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        let url = format!("{}/control/{path}", self.simulator.http_url());
        Ok(loopback_client(ANSWER_WITHIN)?.get(url).send().await?.json().await?)
    }

    pub async fn deliver(&self, body: &str) -> Result<()> {
        self.control("message", json!({ "phone": PHONE, "from": FRIEND, "body": body })).await
    }

    pub async fn sent(&self) -> Result<Vec<Value>> {
        self.asked(&format!("sent?phone={PHONE}")).await
    }

    /// I1: never two live connections of one session.
    pub async fn judge(self) -> Result<()> {
        let seen: Value = self.asked("connections").await?;
        ensure!(seen["overlaps"].as_array().is_some_and(Vec::is_empty), "connections overlapped: {seen}");
        let regressed = |connection: &&Value| connection["regressed_by"].as_i64().is_some_and(|by| by > 0);
        let behind: Vec<_> = seen["connections"].as_array().into_iter().flatten().filter(regressed).collect();
        ensure!(behind.is_empty(), "a session came back older than it was: {behind:?}");
        self.simulator.stop().await;
        Ok(())
    }
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().context("the path is text")
}

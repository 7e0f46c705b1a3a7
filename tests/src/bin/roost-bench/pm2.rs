//! The bots of the baseline under PM2, unmodified, as fleets of them are run: one process manager, and one Node.js process with
//! one browser for each tenant.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use roost_devcluster::{Launch, Process, Signal, TenantRecord, descendants, tail, wait_until};
use roost_engine::run_as::RunAs;
use roost_tests::bots::{becoming, owned_dir};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::memory::pss_mib;

const READY_WITHIN: Duration = Duration::from_secs(300);
/// Longer than PM2 gives each of them.
const STOP_WITHIN: Duration = Duration::from_secs(60);
const KILL_TIMEOUT_MS: u64 = 20_000;

/// What the bots run with.
pub struct BotBrowser {
    pub program: PathBuf,
    /// In the place of puppeteer's own.
    pub flags: Option<Vec<String>>,
}

pub struct Pm2 {
    process: Option<Process>,
    launch: Launch,
    logs: Vec<PathBuf>,
    // Last: the profiles go when the bots are dead.
    _dir: TempDir,
}

impl Pm2 {
    /// Every phone has scanned its code, and every bot has been stopped since.
    pub async fn linked(
        tenants: &[TenantRecord],
        browser: &BotBrowser,
        simulator_url: &str,
        simulator_tls: &str,
    ) -> Result<Self> {
        let dir = TempDir::with_prefix("roost-pm2-")?;
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711))?;
        let run_as = RunAs::for_browsers("nobody")?;
        let home = owned_dir(dir.path().join("pm2"), run_as)?;
        let site = json!({ "SIMULATOR_URL": simulator_url, "SIMULATOR_TLS": simulator_tls });
        let mut apps = Vec::new();
        for tenant in tenants {
            let data = owned_dir(dir.path().join(&tenant.id), run_as)?;
            apps.push(app(tenant, &data, browser, site.clone()));
        }
        let ecosystem = dir.path().join("ecosystem.json");
        fs::write(&ecosystem, serde_json::to_vec(&json!({ "apps": apps }))?)?;
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("pm2/node_modules/.bin/pm2-runtime");
        // All of them in a namespace of processes, which dies with its first one: PM2's children would outlive it.
        let launch = Launch::new("pm2", "unshare", dir.path().join("pm2.log"))
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(namespace_of_users())
            .args(becoming(run_as))
            .args(["env".into(), program.into_os_string(), "start".into(), ecosystem.into_os_string()])
            .env("HOME", &home)
            .env("PM2_HOME", &home)
            .env("PM2_DISABLE_VERSION_CHECK", "true");
        let logs = tenants.iter().map(|tenant| dir.path().join(&tenant.id).join("out.log")).collect();
        let mut pm2 = Self { process: None, launch, logs, _dir: dir };
        pm2.start().await?;
        pm2.stop().await?;
        Ok(pm2)
    }

    /// How long it takes until every one is ready.
    pub async fn start(&mut self) -> Result<Duration> {
        for log in self.logs.iter().filter(|log| log.exists()) {
            fs::remove_file(log)?;
        }
        let began = Instant::now();
        self.process = Some(self.launch.spawn().context("starting PM2; `make bench` installs it")?);
        let logs = &self.logs;
        let are_ready =
            || async move { logs.iter().all(|log| log.exists() && tail(log).contains("\"ready\":true")) };
        wait_until("every bot is ready", READY_WITHIN, are_ready)
            .await
            .with_context(|| tail(self.launch.log()))?;
        Ok(began.elapsed())
    }

    /// Of the process manager and all below it.
    pub fn pss_mib(&self) -> Result<f64> {
        pss_mib(self.process.as_ref().context("PM2 runs")?.pid())
    }

    /// Each closes its browser in order.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(process) = &mut self.process else { return Ok(()) };
        // `unshare` itself waits for the first process of its namespace and takes no signal meanwhile.
        let manager = descendants(process.pid()).into_iter().next().context("PM2 runs")?;
        manager.identity.signal(Signal::TERM)?;
        let has_ended = tokio::time::timeout(STOP_WITHIN, process.wait()).await;
        has_ended.map(drop).with_context(|| format!("PM2 does not end: {}", tail(self.launch.log())))
    }
}

/// As PM2 has it by default, but for a longer time to stop in, as its documentation advises for what has to close a browser.
fn app(tenant: &TenantRecord, data: &Path, browser: &BotBrowser, mut env: Value) -> Value {
    env["PHONE"] = json!(tenant.phone);
    env["DATA_PATH"] = json!(data);
    env["HOME"] = json!(data);
    env["BROWSER"] = json!(browser.program);
    if let Some(flags) = &browser.flags {
        env["BROWSER_FLAGS"] = json!(json!(flags).to_string());
    }
    json!({
        "name": tenant.id,
        "script": Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/conformance/echo-bot.js"),
        "cwd": data,
        "out_file": data.join("out.log"),
        "error_file": data.join("errors.log"),
        "pid_file": data.join("pid"),
        "kill_timeout": KILL_TIMEOUT_MS,
        "treekill": false,
        "vizion": false,
        "env": env,
    })
}

/// Who is not root needs one to make the others in.
fn namespace_of_users() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() { &[] } else { &["--user", "--map-current-user"] }
}

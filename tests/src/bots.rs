//! whatsapp-web.js as its documentation runs it, unmodified: one Node.js process and one browser per tenant, on the same simulator.
//! What Roost is measured against, and where tenants come over from. Like Roost's, its browsers have their sandbox, for which root
//! makes them run as somebody else.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use roost_devcluster::{Launch, Process, TenantRecord, tail, wait_until};
use roost_engine::run_as::RunAs;
use tempfile::TempDir;

const READY_WITHIN: Duration = Duration::from_secs(120);

pub struct Bots {
    pub bots: Vec<Process>,
    pub tenants: Vec<TenantRecord>,
    // Last: their profiles go when they are dead.
    dir: TempDir,
}

impl Bots {
    /// One for each, ready: each phone has scanned its code.
    pub async fn start(
        tenants: Vec<TenantRecord>,
        browser: &Path,
        simulator_url: &str,
        simulator_tls: &str,
    ) -> Result<Self> {
        let dir = TempDir::with_prefix("roost-bots-")?;
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711))?;
        let run_as = RunAs::for_browsers("nobody")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/conformance/echo-bot.js");
        let mut bots = Vec::new();
        for tenant in &tenants {
            let data = owned_dir(dir.path().join(&tenant.id), run_as)?;
            let log = dir.path().join(format!("{}.log", tenant.id));
            let launch = Launch::new(&tenant.id, "env", &log)
                .args(becoming(run_as))
                .args(["node".into(), script.clone().into_os_string()])
                .env("HOME", &data)
                .env("SIMULATOR_URL", simulator_url)
                .env("SIMULATOR_TLS", simulator_tls)
                .env("PHONE", &tenant.phone)
                .env("BROWSER", browser)
                .env("DATA_PATH", &data);
            let bot = launch.spawn().context("starting a bot; `make bench` installs what it needs")?;
            let ready = || async { tail(&log).contains("\"ready\":true") };
            wait_until(&format!("the bot {} is ready", tenant.id), READY_WITHIN, ready)
                .await
                .with_context(|| tail(&log))?;
            bots.push(bot);
        }
        Ok(Self { bots, tenants, dir })
    }

    /// The `dataPath` of each is in here, by its tenant's id.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Each closes its browser in order.
    pub async fn stop(&mut self) -> Result<()> {
        for bot in &mut self.bots {
            bot.stop(roost_devcluster::Signal::TERM, Duration::from_secs(10)).await?;
        }
        Ok(())
    }
}

/// A new one, of whom the browsers run as.
pub fn owned_dir(path: PathBuf, owner: RunAs) -> Result<PathBuf> {
    fs::create_dir(&path)?;
    if let Some(user) = owner.owner() {
        chown(&path, Some(user.uid), Some(user.gid))?;
    }
    Ok(path)
}

/// Words that become the rest of a command line as that user.
pub fn becoming(run_as: RunAs) -> Vec<OsString> {
    let Some(user) = run_as.owner() else { return Vec::new() };
    let ids = [format!("--reuid={}", user.uid), format!("--regid={}", user.gid)];
    // A change of user clears the tie to this process, so it is made again.
    let words = ["setpriv".to_owned()].into_iter().chain(ids);
    words
        .chain(["--clear-groups", "--pdeathsig", "KILL", "--"].map(String::from))
        .map(OsString::from)
        .collect()
}

//! What each of the browser's flags saves: five tenants with all of them, then five without one, for each in turn. Only when it is
//! asked for: what it says is written down in the engine.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use roost_devcluster::descendants;
use roost_tests::{Scenario, processor_time::processor_time};
use tempfile::TempDir;

use crate::{memory::pss_mib, report::Report, site::Site};

const TENANTS: usize = 5;
const WITHIN: Duration = Duration::from_secs(120);
/// Until what a start leaves behind is done.
const SETTLE: Duration = Duration::from_secs(8);
const IDLE: Duration = Duration::from_secs(10);
/// Without these there is no such browser: how it is spoken with, where its profile is, whom it may reach, as what it appears.
const NEEDED: &[&str] = &[
    "--headless",
    "--remote-debugging-pipe",
    "--user-data-dir",
    "--host-resolver-rules",
    "--ignore-certificate-errors",
    "--user-agent",
    "--lang",
    "--accept-lang",
    "--no-sandbox",
    "--no-zygote",
];

/// Of one tenant.
#[derive(Debug, Clone, Copy)]
struct Cost {
    mib: f64,
    /// Processor time from the launch to now.
    start_s: f64,
    /// Of one processor.
    idle: f64,
}

pub async fn measure(site: &Site, report: &mut Report) -> Result<()> {
    let site = Site { spare_browsers: 0, ..site.clone() };
    let (all, flags) = cost(&site, None).await?;
    for flag in flags.iter().filter(|flag| !NEEDED.iter().any(|needed| flag.starts_with(needed))) {
        let (without, _) = cost(&site, Some(flag)).await?;
        tell(report, &format!("without `{flag}`"), without, all);
    }
    let (again, _) = cost(&site, None).await?;
    tell(report, "with all of them once more, which is how far to trust this", again, all);
    Ok(())
}

fn tell(report: &mut Report, what: &str, cost: Cost, all: Cost) {
    let told =
        |cost: Cost| format!("{:.1} MiB, {:.2} s to start, {:.4} idle", cost.mib, cost.start_s, cost.idle);
    report.row(what, told(cost), told(all), "none", true);
}

/// And the flags of one of the browsers.
async fn cost(site: &Site, without: Option<&str>) -> Result<(Cost, Vec<String>)> {
    // The browsers' user has to pass.
    let dir = TempDir::with_prefix("roost-flags-")?;
    fs::set_permissions(dir.path(), Permissions::from_mode(0o711))?;
    let browser = without.map(|flag| browser_without(dir.path(), flag)).transpose()?;
    let mut scenario = Scenario::starting(|options| {
        (options.nodes, options.tenants) = (1, TENANTS);
        site.apply(options);
        options.browsers = browser.map(|browser| ("node-1".to_owned(), browser)).into_iter().collect();
    })
    .await?;
    scenario.cluster.connected(WITHIN).await?;
    tokio::time::sleep(SETTLE).await;
    let guard = scenario.cluster.node("node-1")?.pid().context("the node runs")?;
    let browsers: Vec<u32> = descendants(guard)
        .into_iter()
        .filter(|process| process.command.contains("--user-data-dir=") || process.command.contains("--type="))
        .map(|process| process.identity.pid)
        .collect();
    let per_tenant = 1.0 / TENANTS as f64;
    let start = processor_time(browsers.clone())?;
    tokio::time::sleep(IDLE).await;
    let idle = processor_time(browsers)? - start;
    let cost = Cost {
        mib: pss_mib(guard)? * per_tenant,
        start_s: start.as_secs_f64() * per_tenant,
        idle: idle.as_secs_f64() / IDLE.as_secs_f64() * per_tenant,
    };
    let flags = browser_flags(guard)?;
    scenario.finish().await?;
    Ok((cost, flags))
}

/// Becomes the browser, with all that it is given but this.
fn browser_without(dir: &Path, flag: &str) -> Result<PathBuf> {
    let command = dir.join("browser");
    let browser = roost_devcluster::browser()?;
    let script = format!(
        "#!/bin/sh\nfor word; do\n  shift\n  [ \"$word\" = '{flag}' ] || set -- \"$@\" \"$word\"\ndone\nexec '{}' \"$@\"\n",
        browser.display()
    );
    fs::write(&command, script)?;
    fs::set_permissions(&command, Permissions::from_mode(0o755))?;
    Ok(command)
}

/// Of one of the node's browsers.
pub fn browser_flags(node: u32) -> Result<Vec<String>> {
    let browser = descendants(node)
        .into_iter()
        .find(|process| process.command.contains("--user-data-dir=") && !process.command.contains("--type="));
    let pid = browser.context("the node has a browser")?.identity.pid;
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline"))?;
    Ok(command.split('\0').filter(|word| word.starts_with("--")).map(str::to_owned).collect())
}

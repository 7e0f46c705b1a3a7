//! What `describe` says of who holds a browser to its limits, and whether it is so.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use roost_devcluster::is_connected;
use roost_proto::v1::Tenant;

use crate::site::{SOON, Site, UNIT, said_by};

/// Under the unit as it is shipped.
pub async fn holds(site: &Site) -> Result<String> {
    let limits = Tenant {
        memory_limit_bytes: Some(400 << 20),
        cpu_limit_millicores: Some(500),
        process_limit: Some(20),
        ..Tenant::default()
    };
    site.limit(limits).await?;
    let group = site.group(site.offender()).await?;
    let bounds = ["memory.high", "memory.max", "cpu.max", "pids.max", "memory.oom.group"];
    let expected = ["524288000", "629145600", "50000 100000", "640", "1"];
    site.until("the group has its bounds", SOON, async |_: &Site| {
        Ok(bounds.map(|file| group.text(file).unwrap_or_default()) == expected)
    })
    .await
    .with_context(|| format!("{:?}", bounds.map(|file| group.text(file))))?;
    let told = limits_line(site)?;
    let group = group.dir().display().to_string();
    ensure!(told.contains("the control group ") && told.contains(&group), "{told:?} is not about {group}");
    // All of a browser is in it, and nothing else.
    let browser = site.browser(site.offender()).await?;
    let members = fs::read_to_string(format!("{group}/cgroup.procs"))?.lines().count();
    ensure!(
        members == usize::try_from(browser.processes)?,
        "{members} in the group, {} of the browser",
        browser.processes
    );
    Ok(format!("describe says {told:?}; {members} processes in it"))
}

/// Under the unit with a drop-in that takes the delegation away.
pub async fn holds_not(site: &Site) -> Result<String> {
    let drop_in = format!("/run/systemd/system/{UNIT}.service.d");
    fs::create_dir_all(&drop_in)?;
    fs::write(format!("{drop_in}/not-delegated.conf"), "[Service]\nDelegate=no\n")?;
    said_by(Command::new("systemctl").arg("daemon-reload"))?;
    said_by(Command::new("systemctl").args(["restart", UNIT]))?;
    site.until("its browsers are looked at alone", SOON, async |site: &Site| {
        Ok(is_connected(&site.worker(site.offender()).await?)
            && site.browser(site.offender()).await?.limits_held_by.contains("looks at it alone"))
    })
    .await?;
    let told = limits_line(site)?;
    ensure!(told.contains("is not given to this node to divide"), "{told:?}");
    Ok(format!("describe says {told:?}"))
}

fn limits_line(site: &Site) -> Result<String> {
    let described = site.described(site.offender())?;
    let line = described.lines().find(|line| line.trim_start().to_lowercase().starts_with("limits"));
    Ok(line.with_context(|| format!("no limits in {described}"))?.trim().to_owned())
}

//! The kernel ends a browser for its memory: because its group is over its limit, and because the machine has none left. The tenant's
//! worker starts it anew and says why; nobody else is touched.

use std::fs;

use anyhow::{Context, Result, ensure};
use roost_proto::v1::Tenant;
use serde_json::json;

use crate::{
    beside,
    group::Group,
    site::{SOON, Site, in_a_unit},
};

/// The kernel slows a page down from a quarter above its limit on, so much that it comes to the end of its group only beside one
/// that looks away. That bound is lifted here, to see what lies behind it.
pub async fn over_its_limit(site: &Site) -> Result<String> {
    site.limit(Tenant { memory_limit_bytes: Some(256 << 20), ..Tenant::default() }).await?;
    let group = site.group(site.offender()).await?;
    site.until("the group has its bounds", SOON, async |_: &Site| {
        Ok(group.number("memory.max").is_ok_and(|bytes| bytes == 384 << 20))
    })
    .await?;
    group.set("memory.high", "max")?;
    let leaks = async { site.harm(json!({ "leak_mib_per_s": 400 })).await };
    let told = killed(site, &group, leaks).await?;
    ensure!(told.contains("killed by the kernel: out of memory, over its limit of 384 MiB"), "{told}");
    Ok(told)
}

/// Somebody else takes all of the machine's memory, and may not be ended for it; the browser that has most is.
pub async fn machine_out_of_memory(site: &Site) -> Result<String> {
    let group = site.group(site.offender()).await?;
    site.harm(json!({ "leak_mib_per_s": 100 })).await?;
    site.until("it has grown", SOON, async |_: &Site| Ok(group.number("memory.current")? > 350 << 20))
        .await?;
    site.harm(json!({ "leak_mib_per_s": 0 })).await?;
    let hog = async {
        // One read of so much, for which dd has to have the memory.
        let size = format!("bs={}M", available_mib()? + 100);
        let take = ["dd", "if=/dev/zero", "of=/dev/null", "count=1", &size];
        in_a_unit(&["--property=OOMScoreAdjust=-1000"], &take)
    };
    let told = killed(site, &group, hog).await?;
    ensure!(told.contains("killed by the kernel: its machine"), "{told}");
    Ok(told)
}

/// Why the worker says that its browser ended.
async fn killed(site: &Site, group: &Group, by: impl Future<Output = Result<()>>) -> Result<String> {
    let standing = site.standing().await?;
    let ended = async {
        by.await?;
        let told = site.reason_with("killed by the kernel").await?;
        site.harm(json!({ "leak_mib_per_s": 0 })).await?;
        ensure!(!group.exists(), "its group is there yet");
        Ok(told)
    };
    let (told, round_trips) = beside::during(site, ended).await?;
    site.recovered().await?;
    standing.is_kept(site).await?;
    Ok(format!("{told:?}; neighbours {}", round_trips.told()))
}

fn available_mib() -> Result<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:")).context("MemAvailable")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib >> 10)
}

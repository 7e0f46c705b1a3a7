//! A page that leaks: its browser is restarted, and its neighbours go on answering.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use roost_proto::v1::{EventKind, Tenant};
use serde_json::json;

use crate::{
    beside,
    site::{SOON, Site},
};

const LIMIT_MIB: i64 = 256;

/// Slow enough for a look to see it between its limit and what the kernel slows down.
pub async fn slow(site: &Site) -> Result<String> {
    restarted(site, 8).await
}

/// It is where the kernel slows it down before anybody has looked.
pub async fn fast(site: &Site) -> Result<String> {
    restarted(site, 200).await
}

async fn restarted(site: &Site, leak_mib_per_s: u64) -> Result<String> {
    site.limit(Tenant { memory_limit_bytes: Some(LIMIT_MIB << 20), ..Tenant::default() }).await?;
    let standing = site.standing().await?;
    let after = site.last_event().await?;
    let group = site.group(site.offender()).await?;
    let began = Instant::now();
    site.harm(json!({ "leak_mib_per_s": leak_mib_per_s })).await?;
    let (mut most, mut held) = (0, 0);
    let restart = async {
        while group.exists() {
            ensure!(began.elapsed() < SOON, "it was not restarted within {} s", SOON.as_secs());
            most = most.max(group.number("memory.current").unwrap_or(0));
            held = group.counter("memory.events", "high").unwrap_or(held);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        site.harm(json!({ "leak_mib_per_s": 0 })).await?;
        Ok(began.elapsed())
    };
    let (took, round_trips) = beside::during(site, restart).await?;
    let (_, told) =
        site.event(EventKind::RestartedOverLimit, after).await?.context("the history does not have it")?;
    site.recovered().await?;
    standing.is_kept(site).await?;
    Ok(format!(
        "{leak_mib_per_s} MiB/s, restarted after {:.0} s, at most {} MiB in its group, held back by the kernel {held} times; {told:?}; \
         neighbours {}",
        took.as_secs_f64(),
        most >> 20,
        round_trips.told()
    ))
}

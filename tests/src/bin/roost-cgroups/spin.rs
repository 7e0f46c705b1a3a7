//! A page that spins, in more threads than the machine has processors: it has its share, and its neighbours have theirs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use roost_proto::v1::Tenant;
use serde_json::json;

use crate::{
    beside::{self, RoundTrips},
    site::Site,
};

const SHARE: f64 = 0.5;
const THREADS: usize = 4;
/// Quiet ones and others take turns, so that what else is done on the machine meets both.
const TURNS: usize = 6;
/// The share is an average: a period's quota may be used at once.
const TOLERANCE: f64 = 1.1;

pub async fn is_held(site: &Site) -> Result<String> {
    let millicores = (SHARE * 1_000.0) as i32;
    site.limit(Tenant { cpu_limit_millicores: Some(millicores), ..Tenant::default() }).await?;
    let standing = site.standing().await?;
    let group = site.group(site.offender()).await?;
    let (mut quiet, mut spun) = (RoundTrips::default(), RoundTrips::default());
    let (mut used, mut lasted) = (0, Duration::ZERO);
    // Chats are made and code is compiled; neither is what is measured.
    beside::round(site).await?;
    for _ in 0..TURNS {
        quiet.add(beside::round(site).await?);
        site.harm(json!({ "spin_threads": THREADS })).await?;
        let (began, before) = (Instant::now(), group.counter("cpu.stat", "usage_usec")?);
        spun.add(beside::round(site).await?);
        used += group.counter("cpu.stat", "usage_usec")? - before;
        lasted += began.elapsed();
        site.harm(json!({ "spin_threads": 0 })).await?;
    }
    let share = used as f64 / lasted.as_micros() as f64;
    let throttled = group.counter("cpu.stat", "nr_throttled")?;
    let figures = format!(
        "{share:.2} cores of {SHARE}, slowed down {throttled} times; neighbours {}, and {} without it: p99 {:+.0} %",
        spun.told(),
        quiet.told(),
        (spun.percentile(99) / quiet.percentile(99) - 1.0) * 100.0
    );
    ensure!(share > SHARE / 2.0, "it did not spin: {figures}");
    ensure!(share <= SHARE * TOLERANCE && throttled > 0, "its share was not held: {figures}");
    standing.is_kept(site).await?;
    Ok(figures)
}

//! Proportional set size: what a process holds, with shared pages divided among those who share them.

use std::fs;

use anyhow::{Context, Result};
use roost_devcluster::descendants;

/// Of a process and all below it, in MiB.
pub fn pss_mib(pid: u32) -> Result<f64> {
    let below = descendants(pid).into_iter().map(|process| process.identity.pid);
    std::iter::once(pid).chain(below).map(of_process).sum()
}

fn of_process(pid: u32) -> Result<f64> {
    // One that ended in between holds nothing any more.
    let Ok(rollup) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { return Ok(0.0) };
    // A zombie has an empty one.
    let Some(line) = rollup.lines().find(|line| line.starts_with("Pss:")) else { return Ok(0.0) };
    let kib: f64 = line.split_whitespace().nth(1).context("a Pss line without a number")?.parse()?;
    Ok(kib / 1024.0)
}

//! What etcd counts itself, and what a process has held at most.

use std::{fmt, fs, ops::Sub, time::Duration};

use anyhow::{Context, Result};
use roost_devcluster::loopback_client;

/// Writes since etcd's start, or between two moments.
#[derive(Debug, Clone, Copy)]
pub struct Writes {
    pub puts: u64,
    pub deletes: u64,
    /// Entries of the Raft log: leases that are granted or revoked, and elections, are among them.
    pub proposals: u64,
}

impl Sub for Writes {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        Self {
            puts: self.puts - earlier.puts,
            deletes: self.deletes - earlier.deletes,
            proposals: self.proposals - earlier.proposals,
        }
    }
}

impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} puts, {} deletes, {} proposals", self.puts, self.deletes, self.proposals)
    }
}

pub async fn etcd(endpoint: &str) -> Result<Writes> {
    let http = loopback_client(Duration::from_secs(10))?;
    let text = http.get(format!("{endpoint}/metrics")).send().await?.error_for_status()?.text().await?;
    // The first two have lost "debugging" from their names in later versions.
    let read = |names: &[&str]| -> Result<u64> {
        let line = text
            .lines()
            .find_map(|line| names.iter().find_map(|name| line.strip_prefix(name)?.strip_prefix(' ')));
        let number: f64 = line.with_context(|| format!("etcd does not count {names:?}"))?.parse()?;
        Ok(number as u64)
    };
    Ok(Writes {
        puts: read(&["etcd_mvcc_put_total", "etcd_debugging_mvcc_put_total"])?,
        deletes: read(&["etcd_mvcc_delete_total", "etcd_debugging_mvcc_delete_total"])?,
        proposals: read(&["etcd_server_proposals_committed_total"])?,
    })
}

pub fn peak_memory_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = line.split_whitespace().next().context("an empty VmHWM")?.parse()?;
    Ok(kib / 1024.0)
}

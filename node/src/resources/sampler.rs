//! A look at all browsers at once.
//!
//! The share of memory (PSS) is measured of as many browsers as a time allows, those whose last measurement is oldest first. Until
//! its turn comes again a browser's share is taken to have grown, or shrunk, by what it has for itself since: that is exact where
//! a page grows, for what it shares with others is files.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use roost_model::ResourceUsage;

use super::proc;

/// Of the looks' time, what measuring shares may take.
pub(super) const SHARES_WITHIN: Duration = Duration::from_millis(15);

/// What is remembered from look to look.
#[derive(Debug)]
pub(super) struct Sampler {
    proc: PathBuf,
    shares_within: Duration,
    looked: Option<Instant>,
    /// The browsers that were there at the last look, and each of their processes.
    known: HashSet<i32>,
    cpu: HashMap<i32, Duration>,
    /// Of each browser, by its process group.
    shares: HashMap<i32, Share>,
    looks: u64,
}

/// A browser's share of memory as it was measured last.
#[derive(Debug, Clone, Copy)]
struct Share {
    at_look: u64,
    bytes: u64,
    /// What it had for itself then.
    private_bytes: u64,
}

/// The processes of one browser.
#[derive(Debug, Default)]
struct Tree {
    pids: Vec<i32>,
    cpu: Duration,
    private_bytes: u64,
}

impl Sampler {
    pub fn new(proc: &Path, shares_within: Duration) -> Self {
        let (known, cpu, shares) = (HashSet::new(), HashMap::new(), HashMap::new());
        Self { proc: proc.to_owned(), shares_within, looked: None, known, cpu, shares, looks: 0 }
    }

    /// What the browsers of these process groups use; one that is gone is left out. At the first look at a browser its
    /// processor time is none: what it took to start was not taken since the last look.
    pub fn look(&mut self, groups: &HashSet<i32>, now: Instant) -> io::Result<HashMap<i32, ResourceUsage>> {
        let trees = self.trees(groups)?;
        self.looks += 1;
        self.measure_shares(&trees);
        let since = self.looked.replace(now).map(|last| now.saturating_duration_since(last));
        let usage = trees.iter().map(|(group, tree)| {
            let usage = ResourceUsage {
                memory_bytes: self.memory_bytes(*group, tree),
                cpu_millicores: millicores(tree.cpu, since.unwrap_or_default()),
                processes: u32::try_from(tree.pids.len()).unwrap_or(u32::MAX),
            };
            (*group, usage)
        });
        Ok(usage.collect())
    }

    fn trees(&mut self, groups: &HashSet<i32>) -> io::Result<HashMap<i32, Tree>> {
        let mut trees: HashMap<i32, Tree> = HashMap::new();
        let mut cpu = HashMap::new();
        for process in proc::processes(&self.proc)?.into_iter().filter(|one| groups.contains(&one.group)) {
            // One that has ended meanwhile has nothing.
            let Some(private_bytes) = proc::private_bytes(&self.proc, process.pid) else { continue };
            let tree = trees.entry(process.group).or_default();
            tree.pids.push(process.pid);
            if self.known.contains(&process.group) {
                let before = self.cpu.get(&process.pid).copied().unwrap_or_default();
                tree.cpu += process.cpu.saturating_sub(before);
            }
            tree.private_bytes += private_bytes;
            cpu.insert(process.pid, process.cpu);
        }
        self.cpu = cpu;
        self.known = trees.keys().copied().collect();
        self.shares.retain(|group, _| trees.contains_key(group));
        Ok(trees)
    }

    /// One at least, so that each has its turn however slow the machine is.
    fn measure_shares(&mut self, trees: &HashMap<i32, Tree>) {
        let began = Instant::now();
        let mut due: Vec<_> = trees.iter().collect();
        due.sort_by_key(|(group, _)| (self.shares.get(*group).map(|share| share.at_look), **group));
        for (group, tree) in due {
            let share = Share {
                at_look: self.looks,
                bytes: tree.pids.iter().map(|pid| self.share_of(*pid)).sum(),
                private_bytes: tree.private_bytes,
            };
            self.shares.insert(*group, share);
            if began.elapsed() >= self.shares_within {
                return;
            }
        }
    }

    fn share_of(&self, pid: i32) -> u64 {
        let share = proc::share_bytes(&self.proc, pid);
        share.or_else(|| proc::private_bytes(&self.proc, pid)).unwrap_or_default()
    }

    fn memory_bytes(&self, group: i32, tree: &Tree) -> u64 {
        match self.shares.get(&group) {
            Some(share) => (share.bytes + tree.private_bytes).saturating_sub(share.private_bytes),
            None => tree.private_bytes,
        }
    }
}

fn millicores(cpu: Duration, over: Duration) -> u32 {
    let millicores = cpu.as_millis().saturating_mul(1_000).checked_div(over.as_millis()).unwrap_or_default();
    u32::try_from(millicores).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

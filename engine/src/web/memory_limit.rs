//! A limit on the memory of a browser, kept by looking: one task of an engine looks at all its browsers at once, now and then,
//! and ends those that are over it. What may be over for some seconds is bounded by what a browser can take in that time; it is
//! a guard against pages that grow, not against one that means to fill the machine at once.
//!
//! What counts is what a process alone has: anonymous pages, in memory or swapped out, and pages of shared memory. These last
//! count once for each process that has them. Files, of which the program itself is most, do not. So it is read from
//! `/proc/PID/status`, which everybody may read; the share of each process (PSS) is closed to a node that is not root, since
//! Chromium's own processes are, and costs a walk through all their pages.

use std::{
    collections::{HashMap, HashSet},
    fs,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;

use super::process::ProcessTree;
use crate::vitals::{members, own_bytes};

/// Between two looks. One reads a small file for each process of the machine and another for each of a browser's: some
/// milliseconds for a thousand.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const MIB: u64 = 1024 * 1024;

/// The browsers that are looked at.
pub(super) struct MemoryLimit {
    bytes: u64,
    browsers: Mutex<Vec<ProcessTree>>,
}

impl MemoryLimit {
    pub(super) fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self { bytes, browsers: Mutex::default() })
    }

    /// Looks at this browser until it is gone.
    pub(super) fn watch(self: &Arc<Self>, browser: ProcessTree) {
        let mut browsers = self.browsers.lock();
        let is_first = browsers.is_empty();
        browsers.push(browser);
        if is_first {
            tokio::spawn(look(Arc::downgrade(self)));
        }
    }

    /// The browsers that are over the limit, each with what it has. `false` for the second when there is nothing to look at
    /// any more.
    fn over(&self) -> (Vec<(ProcessTree, u64)>, bool) {
        let browsers = {
            let mut browsers = self.browsers.lock();
            browsers.retain(|browser| !browser.is_gone());
            browsers.clone()
        };
        let goes_on = !browsers.is_empty();
        let used = used_by(&browsers.iter().map(ProcessTree::group).collect());
        let with_use = browsers.into_iter().map(|browser| {
            let bytes = used.get(&browser.group()).copied().unwrap_or_default();
            (browser, bytes)
        });
        (with_use.filter(|(_, bytes)| *bytes > self.bytes).collect(), goes_on)
    }
}

/// Ends with the engine, or when there is no browser; the next one begins anew.
async fn look(limit: Weak<MemoryLimit>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(limit) = limit.upgrade() else { return };
        let bytes = limit.bytes;
        let Ok((over, goes_on)) = tokio::task::spawn_blocking(move || limit.over()).await else { return };
        for (browser, used) in over {
            let cause = format!(
                "the browser is ended: it used {} MiB of memory and may use {}",
                used / MIB,
                bytes / MIB
            );
            tracing::warn!(pid = browser.group(), cause, "a browser is over its limit");
            tokio::spawn(async move { browser.end_for(cause).await });
        }
        if !goes_on {
            return;
        }
    }
}

/// What each of these process groups uses.
fn used_by(groups: &HashSet<i32>) -> HashMap<i32, u64> {
    let mut used = HashMap::new();
    for (pid, group) in members(groups) {
        // One that has ended meanwhile has nothing.
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        *used.entry(group).or_default() += own_bytes(&status);
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_group_uses_is_counted() {
        let own = rustix::process::getpgrp().as_raw_pid();
        let used = used_by(&HashSet::from([own, i32::MAX]));
        assert!(used.len() == 1 && used[&own] > 0, "{used:?}");
    }
}

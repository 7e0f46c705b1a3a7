//! A control group (v2) for each browser: what it may use is bounded by the kernel, whatever it starts, and all of it is ended by one
//! write.
//!
//! A group is made before its browser, and joined by the launcher before that is anything else: memory stays charged to the group
//! that it was taken in. Where groups may be made, and what a group's bounds are, is whoever has this engine to say; without any,
//! browsers stay in the group of this process.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use roost_model::causes;
use tokio::time::{Instant, sleep};

/// What the name of a browser's group begins with.
pub const PREFIX: &str = "browser-";
/// A group is empty once its processes are reaped, by init for those that the browser has left behind.
const EMPTY_WITHIN: Duration = Duration::from_secs(2);
const MIB: u64 = 1 << 20;
const OUT_OF_MEMORY: &str =
    "it was killed by the kernel: its machine, or what its node may use of it, was out of memory";

/// Where browsers' groups are made.
#[derive(Debug, Clone)]
pub struct ControlGroups {
    dir: PathBuf,
    made: Arc<AtomicU64>,
}

impl ControlGroups {
    pub fn beneath(dir: PathBuf) -> Self {
        Self { dir, made: Arc::default() }
    }

    /// An empty one, which the kernel ends as a whole when it is over its memory: half a browser is of no use.
    pub(crate) fn make(&self) -> io::Result<BrowserGroup> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let dir = self.dir.join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&dir)?;
        let group = BrowserGroup { dir };
        fs::write(group.dir.join("memory.oom.group"), "1")?;
        Ok(group)
    }
}

/// That the kernel has ended a browser for want of memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MemoryKill {
    pub reason: String,
    /// It had more than it may have. Else others had, and it was the one to go.
    pub is_over_limit: bool,
}

/// The group of one browser. To be removed when that is gone; dropped, it is removed if it is empty.
#[derive(Debug)]
pub(crate) struct BrowserGroup {
    dir: PathBuf,
}

impl BrowserGroup {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Why the kernel has ended a browser for want of memory; none of one that it has not.
    pub(crate) fn memory_kill(&self) -> Option<MemoryKill> {
        let events = fs::read_to_string(self.dir.join("memory.events")).ok()?;
        let count = |name| -> Option<u64> {
            events.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
        };
        if count("oom_kill ")? == 0 {
            return None;
        }
        // It counts what this group was out of, and not what the machine or a group around it was.
        let is_over_limit = count("oom ")? > 0;
        let reason = if is_over_limit { self.over_limit() } else { OUT_OF_MEMORY.to_owned() };
        Some(MemoryKill { reason, is_over_limit })
    }

    fn over_limit(&self) -> String {
        let limit = fs::read_to_string(self.dir.join("memory.max")).ok();
        let limit = limit.and_then(|limit| limit.trim().parse::<u64>().ok());
        let of = limit.map(|bytes| format!(" of {} MiB", bytes / MIB)).unwrap_or_default();
        format!("it was killed by the kernel: out of memory, over its limit{of}")
    }

    /// Ends whatever is left in it, and removes it.
    pub(crate) async fn remove(self) {
        let began = Instant::now();
        loop {
            // A kernel before 5.14 has no such file; its browsers are ended by their process group alone.
            let _nothing_left = fs::write(self.dir.join("cgroup.kill"), "1");
            match fs::remove_dir(&self.dir) {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return,
                Err(error) if began.elapsed() >= EMPTY_WITHIN => {
                    let group = self.dir.display();
                    tracing::warn!(error = %causes(&error), %group, "a browser's control group could not be removed");
                    return;
                }
                Err(_busy) => sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for BrowserGroup {
    fn drop(&mut self) {
        let _removed_or_in_use = fs::remove_dir(&self.dir);
    }
}

/// Moves this process, and what it starts from now on, into the group.
pub fn join(dir: &Path) -> io::Result<()> {
    fs::write(dir.join("cgroup.procs"), "0")
}

/// Removes what stands for the kernel's files once a group is to be removed: those go with their directory.
#[cfg(test)]
pub(crate) async fn let_it_be_removed(group: &Path) {
    while group.exists() {
        if group.join("cgroup.kill").exists() {
            let _written_meanwhile = fs::remove_dir_all(group);
        }
        sleep(Duration::from_millis(5)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_browser_has_a_group_of_its_own_that_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let groups = ControlGroups::beneath(root.path().to_owned());
        let (one, other) = (groups.make().unwrap(), groups.clone().make().unwrap());
        assert_ne!(one.dir(), other.dir());
        assert_eq!(fs::read_to_string(one.dir().join("memory.oom.group")).unwrap(), "1");
        let dir = one.dir().to_owned();
        tokio::join!(one.remove(), let_it_be_removed(&dir));
        assert!(!dir.exists());
        let nowhere = ControlGroups::beneath(root.path().join("nowhere"));
        assert_eq!(nowhere.make().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    fn told_of(group: &BrowserGroup) -> Option<(String, bool)> {
        group.memory_kill().map(|kill| (kill.reason, kill.is_over_limit))
    }

    #[test]
    fn one_that_the_kernel_has_ended_for_its_memory_is_told_with_its_limit() {
        let root = tempfile::tempdir().unwrap();
        let group = ControlGroups::beneath(root.path().to_owned()).make().unwrap();
        assert_eq!(told_of(&group), None, "where nothing is known");
        let events = |kills| format!("low 0\nhigh 7\nmax 3\noom 1\noom_kill {kills}\noom_group_kill 1\n");
        fs::write(group.dir().join("memory.events"), events(0)).unwrap();
        fs::write(group.dir().join("memory.max"), "805306368\n").unwrap();
        assert_eq!(told_of(&group), None);
        fs::write(group.dir().join("memory.events"), events(4)).unwrap();
        let told = "it was killed by the kernel: out of memory, over its limit of 768 MiB";
        assert_eq!(told_of(&group), Some((told.to_owned(), true)));
        fs::write(group.dir().join("memory.max"), "max\n").unwrap();
        assert!(told_of(&group).unwrap().0.ends_with("over its limit"));
    }

    #[test]
    fn one_that_the_kernel_has_ended_because_the_machine_was_out_of_memory_was_not_over_its_limit() {
        let root = tempfile::tempdir().unwrap();
        let group = ControlGroups::beneath(root.path().to_owned()).make().unwrap();
        fs::write(group.dir().join("memory.events"), "high 0\nmax 0\noom 0\noom_kill 5\noom_group_kill 1\n")
            .unwrap();
        fs::write(group.dir().join("memory.max"), "805306368\n").unwrap();
        assert_eq!(told_of(&group), Some((OUT_OF_MEMORY.to_owned(), false)));
    }
}

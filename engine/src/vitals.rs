//! What runs a page, for people who look at one: nothing is decided by it.

use std::{
    collections::{HashMap, HashSet},
    fs,
    time::{Duration, Instant},
};

/// The browser of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vitals {
    /// When it was started; of one that was warm, when its session was opened.
    pub since: Instant,
    /// The root of its process tree and the id of its process group; `None` for an engine without processes.
    pub pid: Option<u32>,
    /// What it says its version is; empty where it was not asked.
    pub browser_version: String,
    /// Of the script in the page.
    pub bridge_version: &'static str,
    /// Of the library that the script works with.
    pub library_version: &'static str,
}

/// What the processes of a group take of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupUsage {
    pub processes: u32,
    /// Shared memory divided among those that share it. `None` if the kernel keeps that of any of them from this process:
    /// Chromium's own are closed to all but root.
    pub pss_bytes: Option<u64>,
    /// What each has alone, in memory or swapped out, and shared memory once for each of them.
    pub own_bytes: u64,
    /// Of those that live.
    pub cpu_time: Duration,
}

impl GroupUsage {
    /// Of the living members of a process group. One walk through /proc, and for each member a walk of the kernel's through
    /// its pages: some milliseconds. Blocking.
    pub fn of(group: u32) -> Self {
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
        let mut usage = Self { pss_bytes: Some(0), ..Self::default() };
        let group = group.cast_signed();
        for (pid, _) in members(&HashSet::from([group])) {
            let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
            // One that has ended meanwhile has nothing.
            let (Some(stat), Some(status)) = (read("stat"), read("status")) else { continue };
            usage.processes += 1;
            usage.own_bytes += own_bytes(&status);
            let pss = read("smaps_rollup").and_then(|rollup| kib_of(&rollup, "Pss:"));
            usage.pss_bytes = usage.pss_bytes.zip(pss).map(|(sum, kib)| sum + kib * 1024);
            usage.cpu_time += Duration::from_secs_f64(cpu_ticks(&stat) as f64 / ticks_per_second as f64);
        }
        if usage.processes == 0 {
            usage.pss_bytes = None;
        }
        usage
    }
}

/// The living members of these process groups, each with its group.
pub(crate) fn members(groups: &HashSet<i32>) -> HashMap<i32, i32> {
    let pids = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let group_of = |pid: i32| member_of(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
    pids.filter_map(|pid| Some((pid, group_of(pid).filter(|group| groups.contains(group))?))).collect()
}

/// The group that this process is a living member of. `pid (name) state ppid pgrp ...`; the name may hold parentheses, so the
/// last one ends it.
pub(crate) fn member_of(stat: &str) -> Option<i32> {
    let mut fields = stat.rsplit_once(") ")?.1.split_ascii_whitespace();
    let (state, _parent, group) = (fields.next()?, fields.next()?, fields.next()?);
    if matches!(state, "Z" | "X") { None } else { group.parse().ok() }
}

/// From `/proc/PID/status`, which everybody may read: anonymous pages, in memory or swapped out, and pages of shared memory. Files,
/// of which the program itself is most, do not count.
pub(crate) fn own_bytes(status: &str) -> u64 {
    ["RssAnon:", "RssShmem:", "VmSwap:"].into_iter().filter_map(|name| kib_of(status, name)).sum::<u64>()
        * 1024
}

/// Of a line `name: number kB`.
fn kib_of(lines: &str, name: &str) -> Option<u64> {
    let number = lines.lines().find_map(|line| line.strip_prefix(name))?;
    number.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// utime and stime, the 14th and 15th fields of a stat line.
fn cpu_ticks(stat: &str) -> u64 {
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after_name.split_ascii_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_alone_has_is_counted() {
        let status = "Name:\tx\nVmRSS:\t  900 kB\nRssAnon:\t  100 kB\nRssFile:\t  790 kB\nRssShmem:\t   10 kB\nVmSwap:\t    1 kB\n";
        assert_eq!(own_bytes(status), 111 * 1024);
    }

    #[test]
    fn membership_and_processor_time_are_read_from_a_stat_line() {
        assert_eq!(member_of("9 (a) b) S 3 7 8 0"), Some(7));
        assert_eq!(member_of("9 (a) Z 3 7 7 0"), None);
        assert_eq!(member_of("9 a S 3"), None);
        assert_eq!(cpu_ticks("9 (a) b) S 1 2 3 4 5 6 7 8 9 10 70 8 99"), 78);
    }

    #[test]
    fn a_group_is_measured_and_one_that_is_not_there_has_nothing() {
        let own = rustix::process::getpgrp().as_raw_pid().cast_unsigned();
        let usage = GroupUsage::of(own);
        assert!(usage.processes > 0 && usage.own_bytes > 0, "{usage:?}");
        assert!(usage.pss_bytes.is_none_or(|bytes| bytes > 0), "{usage:?}");
        assert_eq!(GroupUsage::of(i32::MAX.cast_unsigned()), GroupUsage::default());
    }
}

//! What the kernel says of processes, in `/proc`.

use std::{fs, io, path::Path, time::Duration};

/// In which the kernel counts processor time for `/proc`: the same on every architecture that browsers run on.
const TICKS_PER_SECOND: u64 = 100;

/// A process that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    /// The process group, by which the processes of a browser are known.
    pub group: i32,
    /// Its processor time since it began.
    pub cpu: Duration,
}

/// All that live now. One that ends meanwhile is left out.
pub fn processes(proc: &Path) -> io::Result<Vec<Process>> {
    let pids = fs::read_dir(proc)?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    Ok(pids.filter_map(|pid| process(pid, &read(proc, pid, "stat")?)).collect())
}

/// What it has for itself in bytes: anonymous pages and shared memory, swapped out or not. Everybody may ask, and the kernel
/// answers from its counters.
pub fn private_bytes(proc: &Path, pid: i32) -> Option<u64> {
    Some(sum_of_kib(&read(proc, pid, "status")?, &["RssAnon:", "RssShmem:", "VmSwap:"]))
}

/// Its share of all that it has mapped, with what is swapped out. `None` where the kernel does not tell: it is told to root, and
/// of a process that has not closed itself to its own user, as Chromium's renderers have.
pub fn share_bytes(proc: &Path, pid: i32) -> Option<u64> {
    Some(sum_of_kib(&read(proc, pid, "smaps_rollup")?, &["Pss:", "SwapPss:"]))
}

/// What the processes of a group take of the machine at one moment, for people who look at one; the sampler's figures of all are
/// older and cheaper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupUsage {
    pub processes: u32,
    /// `None` if the kernel does not tell it of any of them.
    pub share_bytes: Option<u64>,
    pub private_bytes: u64,
    /// Of those that live.
    pub cpu: Duration,
}

impl GroupUsage {
    /// One walk through /proc, and for each member a walk of the kernel's through its pages: some milliseconds. Blocking.
    pub fn of(group: u32) -> io::Result<Self> {
        let proc = Path::new("/proc");
        let mut usage = Self { share_bytes: Some(0), ..Self::default() };
        let group = group.cast_signed();
        for process in processes(proc)?.into_iter().filter(|process| process.group == group) {
            // One that has ended meanwhile has nothing.
            let Some(private) = private_bytes(proc, process.pid) else { continue };
            usage.processes += 1;
            usage.private_bytes += private;
            usage.cpu += process.cpu;
            let share = share_bytes(proc, process.pid);
            usage.share_bytes = usage.share_bytes.zip(share).map(|(sum, share)| sum + share);
        }
        if usage.processes == 0 {
            usage.share_bytes = None;
        }
        Ok(usage)
    }
}

fn read(proc: &Path, pid: i32, file: &str) -> Option<String> {
    fs::read_to_string(proc.join(pid.to_string()).join(file)).ok()
}

/// `pid (name) state ppid pgrp ... utime stime ...`; the name may hold parentheses, so the last one ends it.
fn process(pid: i32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
    let is_dead = matches!(*fields.first()?, "Z" | "X");
    let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
    let cpu = Duration::from_millis((ticks(11)? + ticks(12)?) * 1_000 / TICKS_PER_SECOND);
    (!is_dead).then_some(Process { pid, group: fields.get(2)?.parse().ok()?, cpu })
}

/// Lines of `name: number kB`.
fn sum_of_kib(text: &str, names: &[&str]) -> u64 {
    let kib = text.lines().filter_map(|line| {
        let number = names.iter().find_map(|name| line.strip_prefix(name))?;
        number.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    kib.sum::<u64>() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_from_its_line_whatever_its_name_and_a_dead_one_is_none() {
        let line = |state: &str| format!("9 (a) b) {state} 3 7 8 0 -1 4194304 1 2 3 4 250 50 9 9 20 0 1 0 5");
        let lives = Process { pid: 9, group: 7, cpu: Duration::from_secs(3) };
        assert_eq!(process(9, &line("S")), Some(lives));
        assert_eq!((process(9, &line("Z")), process(9, "9 a S 3")), (None, None));
    }

    #[test]
    fn a_group_is_measured_and_one_that_is_not_there_has_nothing() {
        let own = rustix::process::getpgrp().as_raw_pid().cast_unsigned();
        let usage = GroupUsage::of(own).unwrap();
        assert!(usage.processes > 0 && usage.private_bytes > 0, "{usage:?}");
        assert!(usage.share_bytes.is_none_or(|bytes| bytes > 0), "{usage:?}");
        assert_eq!(GroupUsage::of(i32::MAX.cast_unsigned()).unwrap(), GroupUsage::default());
    }

    #[test]
    fn of_memory_only_what_is_asked_for_is_counted() {
        let status = "Name:\tx\nVmRSS:\t  900 kB\nRssAnon:\t  100 kB\nRssFile:\t  790 kB\nRssShmem:\t   10 kB\nVmSwap:\t    1 kB\n";
        assert_eq!(sum_of_kib(status, &["RssAnon:", "RssShmem:", "VmSwap:"]), 111 * 1024);
        let rollup = "00400000-7ffd---p 00000000 00:00 0 [rollup]\nRss: 900 kB\nPss: 50 kB\nPss_Anon: 40 kB\nSwapPss: 2 kB\n";
        assert_eq!(sum_of_kib(rollup, &["Pss:", "SwapPss:"]), 52 * 1024);
    }
}

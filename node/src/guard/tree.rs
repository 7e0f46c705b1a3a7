//! Finding and killing what descends from the guard.
//!
//! The guard is a child subreaper: whatever its child starts stays below it in the process tree, whichever parents die
//! in between. So "every browser" is "everything below the guard but the processes that it started itself", and /proc
//! is enough to know it; nobody has to have announced anything.

use std::{
    collections::HashMap,
    fs, io,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, pidfd_open},
};

/// One line of /proc: who, whose child, and whether it is only a zombie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    dead: bool,
}

/// Living processes below `root`, except those in `spared` (what is below a spared one is not spared).
pub(super) fn descendants(root: Pid, spared: &[Pid]) -> io::Result<Vec<Pid>> {
    let processes = processes()?;
    let parents: HashMap<i32, i32> = processes.iter().map(|process| (process.pid, process.parent)).collect();
    Ok(processes
        .iter()
        .filter(|process| !process.dead && is_below(process.pid, root.as_raw_pid(), &parents))
        .filter_map(|process| Pid::from_raw(process.pid))
        .filter(|pid| !spared.contains(pid))
        .collect())
}

/// Ends what `look` finds, until two looks in a row find nothing. One proves nothing: /proc is not read in one instant, and
/// a process that forks and ends while it is read can be missed together with its child.
pub(super) fn end_all(
    mut look: impl FnMut() -> io::Result<Vec<Pid>>,
    mut end: impl FnMut(&[Pid]) -> io::Result<()>,
) -> io::Result<()> {
    let mut was_empty = false;
    loop {
        let left = look()?;
        if left.is_empty() && was_empty {
            return Ok(());
        }
        was_empty = left.is_empty();
        if !was_empty {
            end(&left)?;
        }
    }
}

/// SIGKILL; one that is gone already is fine.
pub(super) fn kill(pid: Pid) -> io::Result<()> {
    match rustix::process::kill_process(pid, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// SIGKILL to all of them; returns when all are dead, or after `patience`. What was not seen to die is found again by the
/// next look at the tree.
pub(super) fn kill_and_wait(processes: &[Pid], patience: Duration) -> io::Result<()> {
    let mut dying = Vec::with_capacity(processes.len());
    for &pid in processes {
        // Without a descriptor, for want of them or because it is gone: not waited for.
        dying.extend(pidfd_open(pid, PidfdFlags::empty()));
        kill(pid)?;
    }
    let until = Instant::now() + patience;
    while !dying.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = left.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut ready: Vec<_> = dying.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        match poll(&mut ready, Some(&timeout)) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut dead = ready.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<_>>().into_iter();
        dying.retain(|_| !dead.next().unwrap_or_default());
    }
    Ok(())
}

/// Collects every dead child and orphan, and returns how `watched` ended if it is among them.
pub(super) fn reap(watched: Pid) -> io::Result<Option<WaitStatus>> {
    let mut ended = None;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == watched => ended = Some(status),
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) | Err(rustix::io::Errno::CHILD) => return Ok(ended),
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_below(pid: i32, root: i32, parents: &HashMap<i32, i32>) -> bool {
    let mut at = pid;
    // /proc is not read in one instant, so the picture may hold a cycle; no chain is longer than the picture.
    for _ in 0..parents.len() {
        match parents.get(&at) {
            Some(&parent) if parent == root => return true,
            Some(&parent) => at = parent,
            None => return false,
        }
    }
    false
}

fn processes() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // A process that ends between the listing and the reading is not there any more.
        let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else { continue };
        found.extend(parse_stat(pid, &stat));
    }
    Ok(found)
}

/// `pid (name) state ppid ...`; the name may hold anything, parentheses and newlines too, so the last ')' ends it.
fn parse_stat(pid: i32, stat: &[u8]) -> Option<Process> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let mut fields = std::str::from_utf8(&stat[name_end + 1..]).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    Some(Process { pid, parent, dead: matches!(state, "Z" | "X") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_process_calls_itself() {
        let read = |line: &str| parse_stat(7, line.as_bytes());
        assert_eq!(read("7 (sh) S 3 7 7"), Some(Process { pid: 7, parent: 3, dead: false }));
        assert_eq!(read("7 (a) R 9 (b) Z 4 7"), Some(Process { pid: 7, parent: 4, dead: true }));
        assert_eq!(read("7 sh S 3"), None);
    }

    #[test]
    fn one_that_a_look_has_missed_is_found_by_the_next() {
        let me = rustix::process::getpid();
        let mut looks = [vec![me], vec![], vec![me], vec![], vec![]].into_iter();
        let mut ended = Vec::new();
        let end = |left: &[Pid]| {
            ended.extend_from_slice(left);
            Ok(())
        };
        end_all(|| Ok(looks.next().unwrap()), end).unwrap();
        assert_eq!((ended, looks.next()), (vec![me, me], None));
    }

    #[test]
    fn ancestry_is_followed_to_the_root_and_a_cycle_ends() {
        let parents = HashMap::from([(2, 1), (3, 2), (4, 3), (8, 9), (9, 8)]);
        assert!(is_below(4, 2, &parents));
        assert!(!is_below(2, 3, &parents));
        assert!(!is_below(8, 2, &parents));
    }

    #[test]
    fn this_process_is_below_its_parent() {
        let parent = rustix::process::getppid().unwrap();
        let me = rustix::process::getpid();
        assert!(descendants(parent, &[]).unwrap().contains(&me));
        assert!(!descendants(parent, &[me]).unwrap().contains(&me));
    }
}

//! Which process is meant: pids are used again, start times are not.

use std::{fs, io};

use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

/// A pid that cannot be mistaken for a later process with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: u32,
    /// Clock ticks after boot at which it started, from /proc/PID/stat.
    pub started: u64,
}

impl Identity {
    /// Of a process that runs now; `None` when there is none, or only its zombie.
    pub fn of(pid: u32) -> Option<Self> {
        let (state, started) = stat(pid)?;
        (!matches!(state, 'Z' | 'X')).then_some(Self { pid, started })
    }

    /// Whether this very process still runs.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Signals it if it is still this very process; false when it is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(false) };
        // The pidfd pins the process: what is checked after opening it is what the signal reaches.
        let pinned = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            other => other?,
        };
        if !self.is_alive() {
            return Ok(false);
        }
        match rustix::process::pidfd_send_signal(&pinned, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(false),
            other => other.map(|()| true).map_err(Into::into),
        }
    }
}

/// State and start time from /proc/PID/stat; the command's name before them may hold spaces and parentheses.
pub(super) fn stat(pid: u32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.get(stat.rfind(')')? + 2..)?.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// Ended, but not yet reaped by its parent: signals still find it.
pub(super) fn is_zombie(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state == 'Z')
}

/// A process below another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descendant {
    pub identity: Identity,
    pub parent: u32,
    /// Its arguments, joined by spaces.
    pub command: String,
}

/// The living descendants of a process, parents before children.
pub fn descendants(pid: u32) -> Vec<Descendant> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let all: Vec<Descendant> = pids.filter_map(read_descendant).collect();
    let mut found: Vec<Descendant> = vec![];
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for child in all.iter().filter(|process| process.parent == parent) {
            parents.push(child.identity.pid);
            found.push(child.clone());
        }
    }
    found
}

fn read_descendant(pid: u32) -> Option<Descendant> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let parent = stat.get(stat.rfind(')')? + 2..)?.split(' ').nth(1)?.parse().ok()?;
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&arguments).replace('\0', " ").trim_end().to_owned();
    Some(Descendant { identity: Identity::of(pid)?, parent, command })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_with_the_same_pid_is_not_signalled() {
        let mut identity = Identity::of(std::process::id()).unwrap();
        assert!(identity.is_alive());
        identity.started -= 1;
        assert!(!identity.is_alive());
        assert!(!identity.signal(Signal::KILL).unwrap());
    }
}

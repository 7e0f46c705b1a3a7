//! A guard under test, seen by the traces that its processes leave.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::figures::{LEASE, PATIENCE, REIGN};

/// A guard that runs, and a directory in which its processes leave their traces.
pub(super) struct Stage {
    dir: TempDir,
    pub guard: Child,
}

/// The processes of one life of the child.
pub(super) struct GuardedChild {
    pub child: Pid,
    pub browser: Pid,
    /// Started by the browser, in a session of its own.
    pub stray: Pid,
}

impl Stage {
    pub fn set(behaviour: &str, max_restarts: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let guard = Command::new(env::current_exe().unwrap())
            .args([
                OsString::from("play-guard"),
                dir.path().into(),
                format!("{behaviour}:{max_restarts}").into(),
            ])
            .spawn()
            .unwrap();
        Self { dir, guard }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn pid(&self, name: &str) -> Pid {
        until(name, || read_pid(&self.path(name)).is_some());
        read_pid(&self.path(name)).unwrap()
    }

    pub fn life(&self, number: u32) -> GuardedChild {
        GuardedChild {
            child: self.pid(&format!("child.{number}")),
            browser: self.pid(&format!("browser.{number}")),
            stray: self.pid(&format!("stray.{number}")),
        }
    }

    pub fn revoked(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("revoked")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// The deadline that this life told, once and for all.
    pub fn deadline(&self, life: u32) -> Duration {
        let path = self.path(&format!("deadline-{life}"));
        Duration::from_nanos(fs::read_to_string(path).unwrap().parse().unwrap())
    }

    /// Both leases of the child that are still its own, and only once nothing of it is alive.
    pub fn wait_until_revoked(&self) {
        until("the leases are revoked", || !self.revoked().is_empty());
        assert_eq!(self.revoked(), [format!("{LEASE} {REIGN} beside 0")]);
    }

    pub fn stop_guard(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.guard), Signal::TERM).unwrap();
        self.guard_status()
    }

    pub fn guard_status(&mut self) -> ExitStatus {
        until("the guard has ended", || self.guard.try_wait().unwrap().is_some());
        self.guard.wait().unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Whatever a failed test has left; one that is gone already is fine.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        for entry in fs::read_dir(self.dir.path()).into_iter().flatten().flatten() {
            if let Some(pid) = read_pid(&entry.path()).filter(|&pid| is_alive(pid)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

impl GuardedChild {
    pub fn kill_child(&self, signal: Signal) {
        kill_process(self.child, signal).unwrap();
    }

    pub fn wait_until_dead(&self) {
        let all = [self.child, self.browser, self.stray];
        until("child and browser are dead, with their strays", || !all.into_iter().any(is_alive));
    }
}

pub(super) fn until(what: &str, mut is_met: impl FnMut() -> bool) {
    let over = Instant::now() + PATIENCE;
    while !is_met() {
        assert!(Instant::now() < over, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The pid in a trace `<who>.<life>`, once it is written whole.
pub(super) fn read_pid(path: &Path) -> Option<Pid> {
    let is_trace = path
        .extension()
        .is_some_and(|number| number.to_str().is_some_and(|text| text.parse::<u32>().is_ok()));
    let text = fs::read_to_string(path).ok().filter(|text| is_trace && text.ends_with('\n'))?;
    Pid::from_raw(text.trim().parse().ok()?)
}

pub(super) fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
    stat.is_ok_and(|stat| !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

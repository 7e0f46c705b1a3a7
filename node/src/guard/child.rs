//! One life of the child: start it, watch it, and leave nothing of it behind.

use std::{
    collections::{BTreeSet, HashMap},
    io::{self, Read},
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, WaitStatus, getpid, pidfd_open, pidfd_send_signal},
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};

use super::{
    config::{GuardError, Program},
    protocol::{GarbledMessage, GuardMessage, Lines},
    signals::Signals,
    tree,
};

/// How long the guard waits for what it killed before it looks again what is left.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Without it glibc gives nearly every thread that blocks on a file an arena of its own and keeps them all: a node's memory
/// grows with the number of its threads. Browsers are given none of the child's environment.
const MALLOC_ARENAS: (&str, &str) = ("MALLOC_ARENA_MAX", "2");

/// Why a life ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChildEnd {
    #[error("it exited with code {0}")]
    Exited(i32),
    #[error("signal {0} ended it")]
    Signalled(i32),
    #[error("its deadline passed and it had not stood down: it hangs or was frozen")]
    DeadlinePassed,
    #[error("it was asked to stop and took too long")]
    StopOverdue,
    #[error("it cannot be guarded")]
    Garbled(#[source] GarbledMessage),
}

/// A running child and what it has told.
#[derive(Debug)]
pub(super) struct GuardedChild {
    child: Pid,
    child_fd: OwnedFd,
    /// None once the child has closed its end, as dying does.
    link: Option<std::fs::File>,
    lines: Lines,
    timer: OwnedFd,
    /// When every browser must be dead, by CLOCK_BOOTTIME.
    deadline: Option<Duration>,
    /// When a child that was asked to stop must be gone.
    stop_by: Option<Duration>,
    leases: BTreeSet<i64>,
    /// A pidfd each, so that a number that is used again never means another process.
    browsers: HashMap<u32, OwnedFd>,
}

impl GuardedChild {
    /// Starts the child with its standard output as the link, in a process group of its own: Ctrl-C in a terminal must
    /// reach the browsers by way of a graceful stop, not directly.
    pub(super) fn begin(program: &Program) -> Result<Self, GuardError> {
        let (link, theirs) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        rustix::io::ioctl_fionbio(&link, true).map_err(io::Error::from)?;
        let started = Command::new(&program.path)
            .args(&program.args)
            .env(MALLOC_ARENAS.0, MALLOC_ARENAS.1)
            .stdin(Stdio::null())
            .stdout(theirs)
            .process_group(0)
            .spawn()
            .map_err(|source| GuardError::Spawn { program: program.path.clone(), source })?;
        // Its end is collected by `tree::reap` with all the others.
        let child = Pid::from_child(&started);
        Ok(Self {
            child,
            child_fd: pidfd_open(child, PidfdFlags::empty()).map_err(io::Error::from)?,
            link: Some(link.into()),
            lines: Lines::default(),
            timer: timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)
                .map_err(io::Error::from)?,
            deadline: None,
            stop_by: None,
            leases: BTreeSet::new(),
            browsers: HashMap::new(),
        })
    }

    /// Asks the child to stop, and gives it until then.
    pub(super) fn ask_to_stop(&mut self, grace: Duration) -> Result<(), GuardError> {
        if self.stop_by.is_none() {
            self.stop_by = Some(roost_cluster::clock::boottime() + grace);
            match pidfd_send_signal(&self.child_fd, Signal::TERM) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        Ok(())
    }

    /// Returns when the child is dead or has to die. Writes no log: a full log pipe must not hold up a deadline.
    pub(super) fn watch(&mut self, signals: &Signals, grace: Duration) -> Result<ChildEnd, GuardError> {
        loop {
            self.sleep_until_something_happens(signals)?;
            // The link first: what the child said before it died counts.
            if let Err(garbled) = self.listen()? {
                return Ok(ChildEnd::Garbled(garbled));
            }
            if let Some(status) = tree::reap(self.child)? {
                return Ok(ending_of(status));
            }
            let now = roost_cluster::clock::boottime();
            if self.deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(ChildEnd::DeadlinePassed);
            }
            if self.stop_by.is_some_and(|by| now >= by) {
                return Ok(ChildEnd::StopOverdue);
            }
            if signals.taken() {
                self.ask_to_stop(grace)?;
            }
        }
    }

    /// Kills every browser, then the child, and returns once nothing of them is left. `helper` is not theirs.
    pub(super) fn end(&mut self, helper: Option<Pid>) -> Result<(), GuardError> {
        for browser in self.browsers.values() {
            // One that is gone already is what we want; one that cannot be signalled is met again below.
            let _ = pidfd_send_signal(browser, Signal::KILL);
        }
        let spared: Vec<Pid> = helper.into_iter().collect();
        let last: Vec<Pid> = helper.into_iter().chain([self.child]).collect();
        for process in tree::descendants(getpid(), &last)? {
            tree::kill(process)?;
        }
        let _ = pidfd_send_signal(&self.child_fd, Signal::KILL);
        let look = || {
            tree::reap(self.child)?;
            tree::descendants(getpid(), &spared)
        };
        Ok(tree::end_all(look, |left| tree::kill_and_wait(left, LOOK_AGAIN))?)
    }

    pub(super) fn was_asked_to_stop(&self) -> bool {
        self.stop_by.is_some()
    }

    /// The leases that the child held when it was last heard.
    pub(super) fn leases(&self) -> &BTreeSet<i64> {
        &self.leases
    }

    fn sleep_until_something_happens(&self, signals: &Signals) -> Result<(), GuardError> {
        // A timer of CLOCK_BOOTTIME, not a timeout of poll: after a suspended machine wakes it fires at once.
        let alarm = [self.deadline, self.stop_by].into_iter().flatten().min();
        let expires = alarm.map_or(Timespec { tv_sec: 0, tv_nsec: 0 }, at_least_a_nanosecond);
        let never_again = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(
            &self.timer,
            TimerfdTimerFlags::ABSTIME,
            &Itimerspec { it_interval: never_again, it_value: expires },
        )
        .map_err(io::Error::from)?;
        let mut ready = vec![
            PollFd::new(&self.child_fd, PollFlags::IN),
            PollFd::new(&self.timer, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        ready.extend(self.link.iter().map(|link| PollFd::new(link, PollFlags::IN)));
        match poll(&mut ready, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// Takes in everything that is in the pipe.
    fn listen(&mut self) -> Result<Result<(), GarbledMessage>, GuardError> {
        let mut read = [0; 4096];
        while let Some(link) = &mut self.link {
            let count = match link.read(&mut read) {
                Ok(0) => {
                    self.link = None;
                    break;
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            match self.lines.push(&read[..count]) {
                Ok(messages) => messages.into_iter().for_each(|message| self.take(message)),
                Err(garbled) => return Ok(Err(garbled)),
            }
        }
        Ok(Ok(()))
    }

    fn take(&mut self, message: GuardMessage) {
        match message {
            GuardMessage::Deadline(at) => self.deadline = Some(at),
            GuardMessage::Lease(id) => drop(self.leases.insert(id)),
            GuardMessage::Unlease(id) => drop(self.leases.remove(&id)),
            GuardMessage::StoodDown => self.deadline = None,
            GuardMessage::Started(pid) => {
                // One that is dead already needs no watching, and one that cannot be held is found in /proc.
                let fd = i32::try_from(pid).ok().and_then(Pid::from_raw);
                if let Some(Ok(fd)) = fd.map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
                    self.browsers.insert(pid, fd);
                }
            }
            GuardMessage::Gone(pid) => {
                self.browsers.remove(&pid);
            }
        }
    }
}

fn ending_of(status: WaitStatus) -> ChildEnd {
    match status.exit_status() {
        Some(code) => ChildEnd::Exited(code),
        None => ChildEnd::Signalled(status.terminating_signal().unwrap_or_default()),
    }
}

/// Zero would disarm the timer.
fn at_least_a_nanosecond(at: Duration) -> Timespec {
    let at = at.max(Duration::from_nanos(1));
    Timespec {
        tv_sec: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(at.subsec_nanos()),
    }
}

//! The child's end of the pipe to its guard.
//!
//! The guard gives it as the child's standard output, for that is the one way to hand a descriptor on that needs no
//! unsafe code, and nothing in this program prints. [`GuardLink::take_stdout`] moves it to a descriptor that no browser
//! inherits and puts standard error in its place, so that a stray print can harm nobody.

use std::{
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use roost_model::causes;

use super::{dead_mans_timer::DeadMansTimer, protocol::GuardMessage};

/// Tells the guard what it must know. Never blocks.
#[derive(Debug)]
pub struct GuardLink {
    pipe: std::fs::File,
    timer: Option<DeadMansTimer>,
}

impl GuardLink {
    /// Takes the standard output of this process for its own. Call it once, before anything is spawned.
    pub fn take_stdout() -> io::Result<Self> {
        let pipe = io::stdout().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdout(io::stderr().as_fd())?;
        Self::new(pipe)
    }

    /// Speaks into this pipe.
    pub fn new(pipe: OwnedFd) -> io::Result<Self> {
        // A guard that does not read must not stop the node; see `protocol` for why a lost line is safe.
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self { pipe: pipe.into(), timer: None })
    }

    /// From now on each deadline is this process's own as well.
    pub fn with_timer(self, timer: DeadMansTimer) -> Self {
        Self { timer: Some(timer), ..self }
    }

    /// Every browser must be dead at this time of CLOCK_BOOTTIME.
    pub fn deadline(&self, at: Duration) {
        self.set_timer(Some(at));
        self.tell(GuardMessage::Deadline(at));
    }

    /// This lease is to end with this process.
    pub fn lease(&self, id: i64) {
        self.tell(GuardMessage::Lease(id));
    }

    /// It has ended.
    pub fn unlease(&self, id: i64) {
        self.tell(GuardMessage::Unlease(id));
    }

    /// A browser has this root process.
    pub fn browser_started(&self, pid: u32) {
        self.tell(GuardMessage::Started(pid));
    }

    /// That browser is dead, with all of its tree.
    pub fn browser_gone(&self, pid: u32) {
        self.tell(GuardMessage::Gone(pid));
    }

    /// No browser is alive and none will be launched until the next deadline is told.
    pub fn stood_down(&self) {
        self.set_timer(None);
        self.tell(GuardMessage::StoodDown);
    }

    fn set_timer(&self, at: Option<Duration>) {
        let Some(timer) = &self.timer else { return };
        if let Err(error) = timer.set(at) {
            tracing::error!(error = %causes(&error), "the dead man's timer cannot be set; this process ends, for nothing would end it");
            std::process::abort();
        }
    }

    fn tell(&self, message: GuardMessage) {
        // One write of less than PIPE_BUF bytes is whole or not at all, whichever threads write.
        if let Err(error) = (&self.pipe).write_all(format!("{message}\n").as_bytes()) {
            tracing::error!(error = %causes(&error), %message, "the guard does not take what it is told");
        }
    }
}

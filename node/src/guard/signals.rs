//! SIGTERM, SIGINT and SIGHUP as something to poll, and the wait that they end early.

use std::{
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    low_level::pipe,
};

/// All of them mean the same here: stop gracefully. SIGHUP is a terminal that was closed.
#[derive(Debug)]
pub(super) struct Signals {
    received: UnixStream,
}

impl Signals {
    pub(super) fn register() -> io::Result<Self> {
        let (received, raised) = UnixStream::pair()?;
        received.set_nonblocking(true)?;
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            pipe::register(signal, raised.try_clone()?)?;
        }
        Ok(Self { received })
    }

    /// Whether one has come since the last call.
    pub(super) fn taken(&self) -> bool {
        let mut bytes = [0; 64];
        matches!((&self.received).read(&mut bytes), Ok(count) if count > 0)
    }

    /// Waits; true when a signal came first.
    pub(super) fn wait(&self, patience: Duration) -> io::Result<bool> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.taken() {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
            let timeout = left.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
            match poll(&mut [PollFd::new(&self.received, PollFlags::IN)], Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.received.as_fd()
    }
}

//! The clock that deadlines are kept on.
//!
//! CLOCK_BOOTTIME goes on while the machine is suspended and is never set: a node that wakes from a suspend finds its
//! deadline passed. CLOCK_MONOTONIC (and so [`std::time::Instant`]) would stand still meanwhile, and the wall clock
//! may be set by anyone. Nothing in Roost decides by the wall clock.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since the machine was started, suspends included.
pub fn boottime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    // Neither is ever negative: the clock begins at zero.
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

/// What a loop reads the time from, so that a simulation can own it.
pub trait Clock: Send + Sync + 'static {
    /// Time since some fixed moment; never goes back.
    fn now(&self) -> Duration;

    /// The wall clock: nothing is decided by what it says, only by a jump of it. One that has none never jumps.
    fn wall(&self) -> Duration {
        self.now()
    }
}

/// [`boottime`].
#[derive(Debug, Clone, Copy, Default)]
pub struct BootClock;

impl Clock for BootClock {
    fn now(&self) -> Duration {
        boottime()
    }

    fn wall(&self) -> Duration {
        let now = clock_gettime(ClockId::Realtime);
        Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), now.tv_nsec.unsigned_abs() as u32)
    }
}

/// The runtime's clock: stands still and jumps with tokio's paused time.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub struct RuntimeClock {
    origin: tokio::time::Instant,
}

#[cfg(test)]
impl RuntimeClock {
    /// Begins at zero.
    pub fn start() -> Self {
        Self { origin: tokio::time::Instant::now() }
    }
}

#[cfg(test)]
impl Clock for RuntimeClock {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boottime_never_goes_back() {
        let earlier = boottime();
        assert!(earlier > Duration::ZERO);
        assert!(boottime() >= earlier);
    }
}

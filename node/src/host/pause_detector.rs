//! Whether this machine has just stood still: a paused virtual machine, a frozen process, a core that was given to others.
//!
//! CLOCK_BOOTTIME, which the lease is kept on, does not count every pause of a virtual machine. Then the wall clock is set
//! ahead some time after it wakes, and the difference between the two shows how long it stood. Either sign says no more
//! than that time may have passed unseen: what is begun must wait for a renewal, and nothing is killed, for a
//! correction of the wall clock must not end the browsers of a fleet.

use std::time::Duration;

use roost_cluster::clock::Clock;

/// Looked at regularly. Pure.
#[derive(Debug, Clone, Copy)]
pub struct PauseDetector {
    tolerance: Duration,
    boot: Duration,
    wall: Duration,
}

impl PauseDetector {
    /// Begins now.
    pub fn new(tolerance: Duration, clock: &dyn Clock) -> Self {
        Self { tolerance, boot: clock.now(), wall: clock.wall() }
    }

    /// Whether more time than is tolerated has passed since the last look, by either clock. A wall clock that was set
    /// back says nothing.
    pub fn paused(&mut self, boot: Duration, wall: Duration) -> bool {
        let (by_boot, by_wall) = (boot.saturating_sub(self.boot), wall.saturating_sub(self.wall));
        (self.boot, self.wall) = (boot, wall);
        by_boot.max(by_wall) > self.tolerance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_gap_of_either_clock_is_a_pause_and_a_clock_set_back_is_none() {
        let mut detector = PauseDetector { tolerance: secs(2), boot: secs(100), wall: secs(5_000) };
        assert!(!detector.paused(secs(101), secs(5_001)));
        assert!(detector.paused(secs(104), secs(5_004)), "nobody looked for three seconds");
        assert!(!detector.paused(secs(105), secs(5_005)), "once");
        assert!(detector.paused(secs(106), secs(5_066)), "the wall clock was set a minute ahead");
        assert!(!detector.paused(secs(107), secs(1_000)), "or back");
        assert!(!detector.paused(secs(108), secs(1_001)));
    }
}

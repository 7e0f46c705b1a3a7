//! Clocks that run fast or slow, within what the fence allows for.

use std::time::Duration;

use roost_cluster::clock::Clock;
use tokio::time::Instant;

use super::dice::Dice;

/// A machine's CLOCK_BOOTTIME.
#[derive(Debug, Clone, Copy)]
pub struct MachineClock {
    origin: Instant,
    /// At the origin.
    shown: Duration,
    /// Seconds shown per second passed, in thousandths.
    rate: u32,
}

impl MachineClock {
    /// Up to a twentieth fast or slow, and often just that.
    pub fn draw(dice: Dice) -> Self {
        let rate = match dice.of("kind").below(4) {
            0 => 950,
            1 => 1_050,
            2 => 1_000,
            _ => 950 + dice.of("rate").below(101) as u32,
        };
        let shown = dice.of("shown").between(Duration::ZERO, Duration::from_secs(100_000));
        Self { origin: Instant::now(), shown, rate }
    }

    /// How long until it shows that time.
    pub fn until(&self, shown: Duration) -> Duration {
        shown.saturating_sub(self.now()) * 1_000 / self.rate
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Duration {
        self.shown + self.origin.elapsed() * self.rate / 1_000
    }
}

/// Stands still, so that no deadline ever passes on it.
#[derive(Debug, Clone, Copy)]
pub struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Duration {
        Duration::from_secs(1)
    }
}

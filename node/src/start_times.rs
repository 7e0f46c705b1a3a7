//! How long pages have lately taken to start on this machine. How long the next one may take follows from it: a page that is
//! given up as hung while it only computes is started anew, and all that it had done is done once more.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;

/// So many count.
const KEPT: usize = 8;
/// No page may take longer, whatever others took.
const AT_MOST: Duration = Duration::from_secs(300);

/// One of a process.
#[derive(Debug, Default)]
pub struct StartTimes {
    last: Mutex<VecDeque<Duration>>,
}

impl StartTimes {
    /// A page was busy for so long until it was there, or until it was given up.
    pub fn record(&self, took: Duration) {
        let mut last = self.last.lock();
        last.truncate(KEPT - 1);
        last.push_front(took);
    }

    /// Of the last few.
    pub fn slowest(&self) -> Duration {
        self.last.lock().iter().max().copied().unwrap_or_default()
    }
}

/// How long a page may take: as long as usual, or twice what the slowest of late has taken.
pub fn allowance(usual: Duration, slowest: Duration) -> Duration {
    usual.max(slowest * 2).min(AT_MOST.max(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_secs(30);

    #[test]
    fn the_slowest_of_the_last_few_counts_and_then_no_more() {
        let times = StartTimes::default();
        assert_eq!(allowance(USUAL, times.slowest()), USUAL);
        times.record(Duration::from_secs(40));
        for _ in 1..KEPT {
            times.record(Duration::from_secs(1));
            assert_eq!(allowance(USUAL, times.slowest()), Duration::from_secs(80));
        }
        times.record(Duration::from_secs(1));
        assert_eq!(allowance(USUAL, times.slowest()), USUAL);
    }

    #[test]
    fn starts_that_fail_for_slowness_are_given_more_and_more_to_five_minutes() {
        let times = StartTimes::default();
        let mut given = Vec::new();
        for _ in 0..6 {
            let limit = allowance(USUAL, times.slowest());
            given.push(limit.as_secs());
            times.record(limit);
        }
        assert_eq!(given, [30, 60, 120, 240, 300, 300]);
    }
}

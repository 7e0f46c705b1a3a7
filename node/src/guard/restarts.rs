//! When to start the child again, and when not to any more. Pure: `now` is an argument.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::retry::Backoff;

const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(30) };

/// How many restarts are borne within which time.
#[derive(Debug, Clone, Copy)]
pub struct RestartPolicy {
    pub max: u32,
    pub window: Duration,
}

/// The restarts of the last window.
#[derive(Debug)]
pub(super) struct Restarts {
    policy: RestartPolicy,
    recent: VecDeque<Instant>,
}

impl Restarts {
    pub(super) fn new(policy: RestartPolicy) -> Self {
        Self { policy, recent: VecDeque::new() }
    }

    /// How long to wait before the next start: 1 s, doubled with each restart still in the window, at most 30 s.
    /// None when the window has had its fill.
    pub(super) fn next(&mut self, now: Instant) -> Option<Duration> {
        while self.recent.front().is_some_and(|&at| now.duration_since(at) > self.policy.window) {
            self.recent.pop_front();
        }
        let before = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        if before >= self.policy.max {
            return None;
        }
        self.recent.push_back(now);
        Some(BACKOFF.exact(before + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_the_longest_then_it_gives_up_and_an_old_crash_is_forgotten() {
        let mut restarts = Restarts::new(RestartPolicy { max: 7, window: Duration::from_secs(300) });
        let start = Instant::now();
        let delays: Vec<_> = (0..8).map(|_| restarts.next(start).map(|delay| delay.as_secs())).collect();
        assert_eq!(delays, [Some(1), Some(2), Some(4), Some(8), Some(16), Some(30), Some(30), None]);
        assert_eq!(restarts.next(start + Duration::from_secs(301)), Some(BACKOFF.first));
    }

    #[test]
    fn with_no_restarts_allowed_the_first_crash_is_the_last() {
        let mut restarts = Restarts::new(RestartPolicy { max: 0, window: Duration::from_secs(300) });
        assert_eq!(restarts.next(Instant::now()), None);
    }
}

//! What a tenant settles of its worker's life beside the messages: how often its page is asked, when a deaf one is healed, how often and how
//! soon it is tried again, and when its worker is given up. What it does not set is what its node says of all; the bounds are here
//! for both.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

pub const PROBE_EVERY: RangeInclusive<Duration> = secs(1)..=secs(60);
pub const STALE_AFTER: RangeInclusive<Duration> = secs(20)..=secs(3_600);
pub const START_DEADLINE: RangeInclusive<Duration> = secs(5)..=secs(600);
pub const RECONNECT_ATTEMPTS: RangeInclusive<u32> = 1..=1_000;
pub const RECONNECT_DELAY: RangeInclusive<Duration> = Duration::from_millis(100)..=secs(600);
pub const RECONNECT_DELAY_MAX: RangeInclusive<Duration> = Duration::from_millis(100)..=secs(3_600);
pub const STABLE_AFTER: RangeInclusive<Duration> = secs(1)..=secs(3_600);
/// With the last save and what else a stop does it stays below the minute after which the controller complains.
pub const STOP_GRACE: RangeInclusive<Duration> = Duration::ZERO..=secs(10);
/// 0: a worker is never given up for it.
pub const MAX_CRASHES: RangeInclusive<u32> = 0..=1_000;
pub const CRASH_WINDOW: RangeInclusive<Duration> = secs(10)..=secs(24 * 3_600);

/// A page that hears nothing is asked so often before it counts as deaf ...
pub const DEAF_AFTER_FAILURES: u32 = 2;
/// ... and takes so long at most to say nothing.
pub const PROBE_LIMIT: Duration = secs(8);
/// The shortest that a page may have heard nothing before WhatsApp is asked.
const HEARD_WITHIN_LEAST: Duration = secs(1);

/// As operators set them of one tenant. `None` is the node's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimingOverrides {
    /// How often its page has to prove that it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_every: Option<Duration>,
    /// A page that has been deaf for so long is healed by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Duration>,
    /// How long a loaded page may take to show a session or a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_deadline: Option<Duration>,
    /// Attempts that may fail by its own fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnect_attempts: Option<u32>,
    /// What is waited for before the first of them, doubled with each ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnect_delay: Option<Duration>,
    /// ... up to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnect_delay_max: Option<Duration>,
    /// A connection that held this long was good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_after: Option<Duration>,
    /// How long a stop waits for the messages under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_grace: Option<Duration>,
    /// So many crashes of its browser or page ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_crashes: Option<u32>,
    /// ... within this are a crash loop, and its worker is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash_window: Option<Duration>,
}

/// A setting's name, what it is set to, and what it may be.
pub type TimingSetting<T> = (&'static str, Option<T>, RangeInclusive<T>);

/// What is wrong with one of them, whose name comes first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    #[error("{} is not allowed: {} to {}", span(.given), span(.least), span(.most))]
    Span { field: &'static str, given: Duration, least: Duration, most: Duration },
    #[error("{given} is not allowed: {least} to {most}")]
    Count { field: &'static str, given: u32, least: u32, most: u32 },
    #[error("{} is too short for a page that is asked every {}: give {} or more, or have it asked more often", span(.stale_after), span(.probe_every), span(.least))]
    Stale { stale_after: Duration, probe_every: Duration, least: Duration },
    #[error("{} is below reconnect_delay ({}), and the delay only grows; give more, or lower that", span(.most), span(.first))]
    Delay { first: Duration, most: Duration },
}

impl TimingError {
    pub fn field(&self) -> &'static str {
        match self {
            Self::Span { field, .. } | Self::Count { field, .. } => field,
            Self::Stale { .. } => "stale_after",
            Self::Delay { .. } => "reconnect_delay_max",
        }
    }
}

impl TimingOverrides {
    /// Those that are spans of time: each one's name, what it is set to, and what it may be.
    pub fn spans(&self) -> [TimingSetting<Duration>; 8] {
        [
            ("probe_every", self.probe_every, PROBE_EVERY),
            ("stale_after", self.stale_after, STALE_AFTER),
            ("start_deadline", self.start_deadline, START_DEADLINE),
            ("reconnect_delay", self.reconnect_delay, RECONNECT_DELAY),
            ("reconnect_delay_max", self.reconnect_delay_max, RECONNECT_DELAY_MAX),
            ("stable_after", self.stable_after, STABLE_AFTER),
            ("stop_grace", self.stop_grace, STOP_GRACE),
            ("crash_window", self.crash_window, CRASH_WINDOW),
        ]
    }

    /// Likewise those that are numbers.
    pub fn counts(&self) -> [TimingSetting<u32>; 2] {
        [
            ("reconnect_attempts", self.reconnect_attempts, RECONNECT_ATTEMPTS),
            ("max_crashes", self.max_crashes, MAX_CRASHES),
        ]
    }

    /// All that is wrong: each that is out of its bounds, and where none is, those that do not fit together.
    pub fn check(&self) -> Vec<TimingError> {
        let spans = self.spans().into_iter().filter_map(|(field, given, allowed)| {
            let given = given.filter(|given| !allowed.contains(given))?;
            let (least, most) = allowed.into_inner();
            Some(TimingError::Span { field, given, least, most })
        });
        let counts = self.counts().into_iter().filter_map(|(field, given, allowed)| {
            let given = given.filter(|given| !allowed.contains(given))?;
            let (least, most) = allowed.into_inner();
            Some(TimingError::Count { field, given, least, most })
        });
        let wrong: Vec<_> = spans.chain(counts).collect();
        if wrong.is_empty() { self.misfits() } else { wrong }
    }

    fn misfits(&self) -> Vec<TimingError> {
        let stale = self.stale_after.zip(self.probe_every).and_then(|(stale_after, probe_every)| {
            let least = deaf_for(HEARD_WITHIN_LEAST, probe_every);
            (stale_after < least).then_some(TimingError::Stale { stale_after, probe_every, least })
        });
        let delay = self.reconnect_delay.zip(self.reconnect_delay_max);
        let delay = delay.filter(|(first, most)| most < first);
        let delay = delay.map(|(first, most)| TimingError::Delay { first, most });
        stale.into_iter().chain(delay).collect()
    }
}

/// After how long at most a deaf page is healed, of which WhatsApp is asked when it has heard nothing for `heard_within`.
pub fn deaf_for(heard_within: Duration, probe_every: Duration) -> Duration {
    heard_within + (probe_every + PROBE_LIMIT) * DEAF_AFTER_FAILURES
}

/// The other way round. Where the interval leaves nothing the page is asked with every probe.
pub fn heard_within(stale_after: Duration, probe_every: Duration) -> Duration {
    stale_after.saturating_sub(deaf_for(Duration::ZERO, probe_every)).max(HEARD_WITHIN_LEAST)
}

fn span(span: &Duration) -> String {
    if span.subsec_nanos() == 0 { format!("{}s", span.as_secs()) } else { format!("{span:?}") }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(overrides: TimingOverrides) -> Vec<String> {
        overrides.check().iter().map(|error| format!("{}: {error}", error.field())).collect()
    }

    #[test]
    fn what_is_not_set_is_in_order_and_so_is_either_bound() {
        assert_eq!(told(TimingOverrides::default()), [""; 0]);
        let least = TimingOverrides {
            probe_every: Some(secs(1)),
            stale_after: Some(secs(20)),
            reconnect_attempts: Some(1),
            reconnect_delay: Some(Duration::from_millis(100)),
            reconnect_delay_max: Some(Duration::from_millis(100)),
            stable_after: Some(secs(1)),
            stop_grace: Some(secs(0)),
            start_deadline: Some(secs(5)),
            max_crashes: Some(0),
            crash_window: Some(secs(10)),
        };
        assert_eq!(told(least), [""; 0]);
    }

    #[test]
    fn each_that_is_out_of_its_bounds_is_named_with_them() {
        let wrong = TimingOverrides {
            probe_every: Some(secs(61)),
            stale_after: Some(secs(19)),
            reconnect_attempts: Some(0),
            reconnect_delay: Some(Duration::from_millis(99)),
            reconnect_delay_max: Some(secs(3_601)),
            stable_after: Some(secs(0)),
            stop_grace: Some(secs(11)),
            start_deadline: Some(secs(4)),
            max_crashes: Some(1_001),
            crash_window: Some(secs(9)),
        };
        assert_eq!(
            told(wrong),
            [
                "probe_every: 61s is not allowed: 1s to 60s",
                "stale_after: 19s is not allowed: 20s to 3600s",
                "start_deadline: 4s is not allowed: 5s to 600s",
                "reconnect_delay: 99ms is not allowed: 100ms to 600s",
                "reconnect_delay_max: 3601s is not allowed: 100ms to 3600s",
                "stable_after: 0s is not allowed: 1s to 3600s",
                "stop_grace: 11s is not allowed: 0s to 10s",
                "crash_window: 9s is not allowed: 10s to 86400s",
                "reconnect_attempts: 0 is not allowed: 1 to 1000",
                "max_crashes: 1001 is not allowed: 0 to 1000",
            ]
        );
    }

    #[test]
    fn a_page_is_stale_later_than_it_is_asked_twice_and_a_delay_only_grows() {
        let with = |stale, probe| TimingOverrides {
            stale_after: Some(secs(stale)),
            probe_every: Some(secs(probe)),
            ..TimingOverrides::default()
        };
        assert_eq!(told(with(77, 30)), [""; 0]);
        assert_eq!(
            told(with(76, 30)),
            [
                "stale_after: 76s is too short for a page that is asked every 30s: give 77s or more, or have it asked more often"
            ]
        );
        let delays = |first, most| TimingOverrides {
            reconnect_delay: Some(secs(first)),
            reconnect_delay_max: Some(secs(most)),
            ..TimingOverrides::default()
        };
        assert_eq!(told(delays(5, 5)), [""; 0]);
        assert_eq!(
            told(delays(5, 4)),
            [
                "reconnect_delay_max: 4s is below reconnect_delay (5s), and the delay only grows; give more, or lower that"
            ]
        );
    }

    #[test]
    fn what_a_page_may_be_silent_for_leaves_the_time_to_find_it_deaf() {
        assert_eq!(heard_within(secs(120), secs(3)), secs(98));
        assert_eq!(deaf_for(secs(98), secs(3)), secs(120));
        assert_eq!(heard_within(secs(20), secs(60)), secs(1), "it is asked with every probe");
    }
}

//! A worker's intervals, as far as a node's operator may choose them.

use std::{ops::RangeInclusive, time::Duration};

use clap::{Args, builder::RangedI64ValueParser};
use roost_model::worker_timing as bounds;

use super::WorkerTiming;
use crate::retry::Backoff;

#[derive(Debug, Clone, Args)]
pub struct WorkerTimingArgs {
    /// How often a page has to prove that it works; 1s to 1m
    #[arg(long, env = "ROOST_NODE_PROBE_EVERY", default_value = "3s", value_parser = probing)]
    pub probe_every: Duration,
    /// How long a page may have heard nothing of WhatsApp before WhatsApp is asked; 1s to 1h
    #[arg(long, env = "ROOST_NODE_HEARD_WITHIN", default_value = "60s", value_parser = a_silence)]
    pub heard_within: Duration,
    /// How long a loaded page may take to show a session or a QR code; 5s to 10m, and longer where the node's starts take longer
    #[arg(long, env = "ROOST_NODE_START_DEADLINE", default_value = "30s", value_parser = a_start)]
    pub start_deadline: Duration,
    /// Attempts to reconnect that may fail by a tenant's own fault before its worker gives up; 1 to 1000
    #[arg(long, env = "ROOST_NODE_RECONNECT_ATTEMPTS", default_value_t = 10, value_parser = attempts())]
    pub reconnect_attempts: u32,
    /// What is waited for before the first of them; it doubles with each. 100ms to 10m
    #[arg(long, env = "ROOST_NODE_RECONNECT_DELAY", default_value = "1s", value_parser = a_delay)]
    pub reconnect_delay: Duration,
    /// What is waited for at most; 100ms to 1h
    #[arg(long, env = "ROOST_NODE_RECONNECT_DELAY_MAX", default_value = "60s", value_parser = a_longest_delay)]
    pub reconnect_delay_max: Duration,
    /// A connection that has held this long was good, and the count of attempts begins anew; 1s to 1h
    #[arg(long, env = "ROOST_NODE_STABLE_AFTER", default_value = "60s", value_parser = a_good_connection)]
    pub stable_after: Duration,
    /// How long a stop waits for the messages under way before the browser is asked to close; 0s to 10s
    #[arg(long, env = "ROOST_NODE_STOP_GRACE", default_value = "5s", value_parser = a_grace)]
    pub stop_grace: Duration,
    /// Crashes of a tenant's browser or page within the crash window that are a crash loop, after which its worker is given up; 0
    /// gives none up. Up to 1000
    #[arg(long, env = "ROOST_NODE_MAX_CRASHES", default_value_t = 20, value_parser = crashes())]
    pub max_crashes: u32,
    /// The crash window; 10s to 1day
    #[arg(long, env = "ROOST_NODE_CRASH_WINDOW", default_value = "1h", value_parser = a_window)]
    pub crash_window: Duration,
    /// QR codes that a tenant's page shows in a row without a scan before its browser is closed, unless the tenant says otherwise;
    /// 0 shows them without an end
    #[arg(long, env = "ROOST_NODE_QR_ROTATIONS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub qr_rotations: u32,
}

impl WorkerTimingArgs {
    pub fn timing(&self) -> WorkerTiming {
        WorkerTiming {
            probe_every: self.probe_every,
            heard_within: self.heard_within,
            connect_within: self.start_deadline,
            attempts: self.reconnect_attempts,
            // A longest wait below the first one is the first one.
            reconnect: Backoff {
                first: self.reconnect_delay,
                cap: self.reconnect_delay_max.max(self.reconnect_delay),
            },
            stable_after: self.stable_after,
            drain_within: self.stop_grace,
            max_crashes: self.max_crashes,
            crash_window: self.crash_window,
            qr_rotations: self.qr_rotations,
            ..WorkerTiming::default()
        }
    }
}

fn probing(given: &str) -> Result<Duration, String> {
    within(given, bounds::PROBE_EVERY)
}

fn a_silence(given: &str) -> Result<Duration, String> {
    within(given, Duration::from_secs(1)..=Duration::from_secs(3_600))
}

fn a_start(given: &str) -> Result<Duration, String> {
    within(given, bounds::START_DEADLINE)
}

fn a_delay(given: &str) -> Result<Duration, String> {
    within(given, bounds::RECONNECT_DELAY)
}

fn a_longest_delay(given: &str) -> Result<Duration, String> {
    within(given, bounds::RECONNECT_DELAY_MAX)
}

fn a_good_connection(given: &str) -> Result<Duration, String> {
    within(given, bounds::STABLE_AFTER)
}

fn a_grace(given: &str) -> Result<Duration, String> {
    within(given, bounds::STOP_GRACE)
}

fn a_window(given: &str) -> Result<Duration, String> {
    within(given, bounds::CRASH_WINDOW)
}

fn attempts() -> RangedI64ValueParser<u32> {
    numbers(bounds::RECONNECT_ATTEMPTS)
}

fn crashes() -> RangedI64ValueParser<u32> {
    numbers(bounds::MAX_CRASHES)
}

fn numbers(allowed: RangeInclusive<u32>) -> RangedI64ValueParser<u32> {
    RangedI64ValueParser::new().range(i64::from(*allowed.start())..=i64::from(*allowed.end()))
}

fn within(given: &str, allowed: RangeInclusive<Duration>) -> Result<Duration, String> {
    let span = humantime::parse_duration(given).map_err(|error| error.to_string())?;
    if allowed.contains(&span) {
        return Ok(span);
    }
    let [least, most] = [allowed.start(), allowed.end()].map(|bound| humantime::format_duration(*bound));
    Err(format!("it has to be from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Given {
        #[command(flatten)]
        timing: WorkerTimingArgs,
    }

    fn timing(args: &[&str]) -> Result<WorkerTiming, String> {
        let given = Given::try_parse_from([&["x"], args].concat()).map_err(|error| error.to_string())?;
        Ok(given.timing.timing())
    }

    #[test]
    fn what_is_not_given_is_what_a_worker_does_by_itself() {
        assert_eq!(timing(&[]).unwrap(), WorkerTiming::default());
    }

    #[test]
    fn each_has_its_place_and_its_bounds() {
        let chosen =
            timing(&["--reconnect-delay", "5s", "--reconnect-delay-max", "2s", "--stop-grace", "0s"])
                .unwrap();
        let five = Duration::from_secs(5);
        assert_eq!(chosen.reconnect, Backoff { first: five, cap: five });
        assert_eq!(chosen.drain_within, Duration::ZERO);
        let one =
            timing(&["--probe-every", "1s", "--start-deadline", "7s", "--reconnect-attempts", "3"]).unwrap();
        assert_eq!(
            (one.probe_every, one.connect_within, one.attempts),
            (Duration::from_secs(1), Duration::from_secs(7), 3)
        );
        let two = timing(&["--max-crashes", "0", "--crash-window", "10s"]).unwrap();
        assert_eq!((two.max_crashes, two.crash_window), (0, Duration::from_secs(10)));
        assert_eq!(timing(&["--stable-after", "9s"]).unwrap().stable_after, Duration::from_secs(9));
        for (option, wrong, bounds) in [
            ("--stop-grace", "11s", "0s to 10s"),
            ("--probe-every", "61s", "1s to 1m"),
            ("--start-deadline", "1s", "5s to 10m"),
            ("--reconnect-delay", "50ms", "100ms to 10m"),
            ("--crash-window", "9s", "10s to 1day"),
        ] {
            let refused = timing(&[option, wrong]).unwrap_err();
            assert!(refused.contains(&format!("it has to be from {bounds}")), "{refused}");
        }
    }

    #[test]
    fn a_stop_with_the_longest_grace_ends_before_the_controller_complains_of_it() {
        let longest = timing(&["--stop-grace", "10s"]).unwrap();
        assert!(longest.stops_within() < Duration::from_secs(60));
    }
}

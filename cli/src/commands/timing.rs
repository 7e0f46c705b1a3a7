//! The options that say what of its worker's life is a tenant's own.

use std::time::Duration;

use roost_proto::v1::WorkerTiming;

/// As it is given: a value, or `default` for the node's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given<T> {
    Default,
    To(T),
}

#[derive(Debug, clap::Args)]
pub struct TimingArgs {
    /// How often its page has to prove that it works, such as 5s; 'default' is the node's own.
    #[arg(long, value_name = "TIME", value_parser = span)]
    probe_every: Option<Given<Duration>>,
    /// A page to which WhatsApp says nothing is healed by then, such as 2m; 'default' is the node's own.
    #[arg(long, value_name = "TIME", value_parser = span)]
    stale_after: Option<Given<Duration>>,
    /// How long a loaded page may take to show a session or a code, such as 1m; 'default' is the node's own.
    #[arg(long, value_name = "TIME", value_parser = span)]
    start_deadline: Option<Given<Duration>>,
    /// Attempts to reconnect that may fail by its own fault before its worker gives up; 'default' is the node's own.
    #[arg(long, value_name = "N", value_parser = number)]
    reconnect_attempts: Option<Given<i32>>,
    /// What is waited for before the first of them, doubled with each; 'default' is the node's own.
    #[arg(long, value_name = "TIME", value_parser = span)]
    reconnect_delay: Option<Given<Duration>>,
    /// What is waited for at most; 'default' is the node's own.
    #[arg(long, value_name = "TIME", value_parser = span)]
    reconnect_delay_max: Option<Given<Duration>>,
    /// A connection that has held this long was good; 'default' is the node's own.
    #[arg(long, value_name = "TIME", value_parser = span)]
    stable_after: Option<Given<Duration>>,
    /// How long a stop waits for the messages under way, up to 10s; 'default' is the node's own.
    #[arg(long, value_name = "TIME", value_parser = span)]
    stop_grace: Option<Given<Duration>>,
    /// So many crashes of its browser or page within --crash-window, and its worker is given up; 0 never gives it up, 'default' is
    /// the node's own.
    #[arg(long, value_name = "N", value_parser = number)]
    max_crashes: Option<Given<i32>>,
    /// See --max-crashes; such as 1h. 'default' is the node's own.
    #[arg(long, value_name = "TIME", value_parser = span)]
    crash_window: Option<Given<Duration>>,
}

impl TimingArgs {
    /// As an update of many names them, and whether each is given.
    pub fn paths(&self) -> [(&'static str, bool); 10] {
        [
            ("timing.probe_every", self.probe_every.is_some()),
            ("timing.stale_after", self.stale_after.is_some()),
            ("timing.start_deadline", self.start_deadline.is_some()),
            ("timing.reconnect_attempts", self.reconnect_attempts.is_some()),
            ("timing.reconnect_delay", self.reconnect_delay.is_some()),
            ("timing.reconnect_delay_max", self.reconnect_delay_max.is_some()),
            ("timing.stable_after", self.stable_after.is_some()),
            ("timing.stop_grace", self.stop_grace.is_some()),
            ("timing.max_crashes", self.max_crashes.is_some()),
            ("timing.crash_window", self.crash_window.is_some()),
        ]
    }

    /// What is given over what there is.
    pub fn over(self, present: Option<WorkerTiming>) -> Option<WorkerTiming> {
        let present = present.unwrap_or_default();
        let timing = WorkerTiming {
            probe_every: span_over(self.probe_every, present.probe_every),
            stale_after: span_over(self.stale_after, present.stale_after),
            start_deadline: span_over(self.start_deadline, present.start_deadline),
            reconnect_attempts: number_over(self.reconnect_attempts, present.reconnect_attempts),
            reconnect_delay: span_over(self.reconnect_delay, present.reconnect_delay),
            reconnect_delay_max: span_over(self.reconnect_delay_max, present.reconnect_delay_max),
            stable_after: span_over(self.stable_after, present.stable_after),
            stop_grace: span_over(self.stop_grace, present.stop_grace),
            max_crashes: number_over(self.max_crashes, present.max_crashes),
            crash_window: span_over(self.crash_window, present.crash_window),
        };
        Some(timing).filter(|timing| *timing != WorkerTiming::default())
    }
}

fn span_over(
    given: Option<Given<Duration>>,
    present: Option<prost_types::Duration>,
) -> Option<prost_types::Duration> {
    match given {
        Some(Given::To(span)) => span.try_into().ok(),
        Some(Given::Default) => None,
        None => present,
    }
}

fn number_over(given: Option<Given<i32>>, present: Option<i32>) -> Option<i32> {
    match given {
        Some(Given::To(number)) => Some(number),
        Some(Given::Default) => None,
        None => present,
    }
}

/// Its bounds are the coordinator's to say.
fn span(given: &str) -> Result<Given<Duration>, String> {
    if given == "default" {
        return Ok(Given::Default);
    }
    let span = humantime::parse_duration(given).ok().filter(|span| span.as_secs() < u64::from(u32::MAX));
    span.map(Given::To).ok_or_else(|| "give a time such as 30s or 2m, or default".to_owned())
}

fn number(given: &str) -> Result<Given<i32>, String> {
    match given {
        "default" => Ok(Given::Default),
        _ => given.parse().map(Given::To).map_err(|_| "give a number, or default".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        timing: TimingArgs,
    }

    fn args(given: &[&str]) -> TimingArgs {
        Line::try_parse_from([&["x"], given].concat()).unwrap().timing
    }

    #[test]
    fn what_is_not_given_stays_and_default_takes_it_back() {
        let given = |args: &TimingArgs| -> Vec<&str> {
            args.paths().into_iter().filter_map(|(path, is_given)| is_given.then_some(path)).collect()
        };
        assert_eq!(given(&args(&[])), [""; 0]);
        let set = args(&["--stale-after", "2m", "--max-crashes", "0"]);
        assert_eq!(given(&set), ["timing.stale_after", "timing.max_crashes"]);
        let set = set.over(None).unwrap();
        assert_eq!((set.stale_after.map(|span| span.seconds), set.max_crashes), (Some(120), Some(0)));
        let less = args(&["--stale-after", "default"]).over(Some(set)).unwrap();
        assert_eq!(less, WorkerTiming { max_crashes: Some(0), ..WorkerTiming::default() });
        assert_eq!(args(&["--max-crashes", "default"]).over(Some(less)), None, "nothing is left");
    }

    #[test]
    fn what_is_neither_a_value_nor_default_is_refused() {
        assert!(["", "2", "none", "-1s", "1e9y"].iter().all(|wrong| span(wrong).is_err()));
        assert!(["", "2s", "none"].iter().all(|wrong| number(wrong).is_err()));
    }
}

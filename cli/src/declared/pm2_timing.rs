//! What PM2 and the first system say of a worker's life, as a tenant's timing.

use std::time::Duration;

use super::{span::Span, timing::TimingForm};

/// Keys of an app.
pub const KEYS: [&str; 6] = [
    "max_restarts",
    "min_uptime",
    "restart_delay",
    "exp_backoff_restart_delay",
    "kill_timeout",
    "listen_timeout",
];
/// Variables of its environment.
pub const VARIABLES: [&str; 2] = ["HEARTBEAT_INTERVAL_MS", "STALE_THRESHOLD_MINUTES"];

/// Sets what the key means, whose value is given as text. Bounds are the coordinator's to say.
pub fn set(timing: &mut TimingForm, key: &str, given: &str) -> Result<(), String> {
    match key {
        "max_restarts" => timing.reconnect_attempts = Some(number(given)?),
        "min_uptime" => timing.stable_after = Some(span(given)?),
        // Either is what the first wait is; the second one, which PM2 lets grow as we do, wins there too. 0 is PM2's for none given.
        "restart_delay" if timing.reconnect_delay.is_none() => timing.reconnect_delay = delay(given)?,
        "exp_backoff_restart_delay" => timing.reconnect_delay = delay(given)?.or(timing.reconnect_delay),
        "kill_timeout" => timing.stop_grace = Some(span(given)?),
        "listen_timeout" => timing.start_deadline = Some(span(given)?),
        "HEARTBEAT_INTERVAL_MS" => timing.probe_every = Some(span(given)?),
        "STALE_THRESHOLD_MINUTES" => timing.stale_after = Some(minutes(given)?),
        _ => {}
    }
    Ok(())
}

fn number(given: &str) -> Result<i32, String> {
    given.parse().map_err(|_| format!("{given:?} is no whole number"))
}

fn delay(given: &str) -> Result<Option<Span>, String> {
    Ok(Some(span(given)?).filter(|Span(span)| !span.is_zero()))
}

/// Milliseconds, or a time such as 10s.
fn span(given: &str) -> Result<Span, String> {
    let millis = given.parse().ok().map(Duration::from_millis);
    let span = millis.or_else(|| humantime::parse_duration(given).ok());
    span.map(Span).ok_or_else(|| format!("{given:?} is no number of milliseconds"))
}

fn minutes(given: &str) -> Result<Span, String> {
    let minutes: Option<f64> = given.parse().ok().filter(|minutes: &f64| (0.0..=1e6).contains(minutes));
    let span = minutes.map(|minutes| Duration::from_secs_f64((minutes * 60.0).round()));
    span.map(Span).ok_or_else(|| format!("{given:?} is no number of minutes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Option<Span> {
        Some(Span(Duration::from_secs(secs)))
    }

    fn set_all(given: &[(&str, &str)]) -> TimingForm {
        let mut timing = TimingForm::default();
        for (key, value) in given {
            set(&mut timing, key, value).unwrap();
        }
        timing
    }

    #[test]
    fn each_has_its_counterpart_in_milliseconds_minutes_or_as_a_time() {
        let timing = set_all(&[
            ("max_restarts", "15"),
            ("min_uptime", "10s"),
            ("exp_backoff_restart_delay", "500"),
            ("kill_timeout", "3000"),
            ("listen_timeout", "60000"),
            ("HEARTBEAT_INTERVAL_MS", "30000"),
            ("STALE_THRESHOLD_MINUTES", "2.5"),
        ]);
        let expected = TimingForm {
            reconnect_attempts: Some(15),
            stable_after: secs(10),
            reconnect_delay: Some(Span(Duration::from_millis(500))),
            stop_grace: secs(3),
            start_deadline: secs(60),
            probe_every: secs(30),
            stale_after: secs(150),
            ..TimingForm::default()
        };
        assert_eq!(timing, expected);
    }

    #[test]
    fn of_two_delays_the_one_that_grows_is_taken_and_zero_is_none() {
        let of = |given: [(&str, &str); 2]| set_all(&given).reconnect_delay;
        assert_eq!(of([("restart_delay", "4000"), ("exp_backoff_restart_delay", "1000")]), secs(1));
        assert_eq!(of([("exp_backoff_restart_delay", "1000"), ("restart_delay", "4000")]), secs(1));
        assert_eq!(of([("restart_delay", "4000"), ("exp_backoff_restart_delay", "0")]), secs(4));
        assert_eq!(of([("restart_delay", "0"), ("exp_backoff_restart_delay", "0")]), None);
    }

    #[test]
    fn what_is_no_time_is_said_to_be_none() {
        let refused = |key, given| set(&mut TimingForm::default(), key, given).unwrap_err();
        assert_eq!(refused("min_uptime", "soon"), "\"soon\" is no number of milliseconds");
        assert_eq!(refused("max_restarts", "many"), "\"many\" is no whole number");
        assert_eq!(refused("STALE_THRESHOLD_MINUTES", "-1"), "\"-1\" is no number of minutes");
    }
}

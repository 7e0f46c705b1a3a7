//! What a tenant settles of its worker's life, as it comes in: each field is named when it is wrong, or does not fit another.

use std::time::Duration;

use roost_model::TimingOverrides;
use roost_proto::v1;

use super::Checks;

pub(super) fn timing(checks: &mut Checks, given: Option<v1::WorkerTiming>) -> Option<TimingOverrides> {
    let given = given.unwrap_or_default();
    let before = checks.violations.len();
    let read = TimingOverrides {
        probe_every: span(checks, "probe_every", given.probe_every),
        stale_after: span(checks, "stale_after", given.stale_after),
        start_deadline: span(checks, "start_deadline", given.start_deadline),
        reconnect_attempts: count(checks, "reconnect_attempts", given.reconnect_attempts),
        reconnect_delay: span(checks, "reconnect_delay", given.reconnect_delay),
        reconnect_delay_max: span(checks, "reconnect_delay_max", given.reconnect_delay_max),
        stable_after: span(checks, "stable_after", given.stable_after),
        stop_grace: span(checks, "stop_grace", given.stop_grace),
        max_crashes: count(checks, "max_crashes", given.max_crashes),
        crash_window: span(checks, "crash_window", given.crash_window),
    };
    for error in read.check() {
        checks.take::<()>(&path(error.field()), Err(error.to_string()));
    }
    (checks.violations.len() == before).then_some(read)
}

fn path(field: &str) -> String {
    format!("tenant.timing.{field}")
}

/// What is negative is no span at all; its bounds are for [`TimingOverrides::check`].
fn span(checks: &mut Checks, field: &str, given: Option<prost_types::Duration>) -> Option<Duration> {
    let given = given?;
    let span = Duration::try_from(given).map_err(|_| format!("{given} is no span of time; give 0 s or more"));
    checks.take(&path(field), span)
}

fn count(checks: &mut Checks, field: &str, given: Option<i32>) -> Option<u32> {
    let given = given?;
    let count = u32::try_from(given).map_err(|_| format!("{given} is no number of times; give 0 or more"));
    checks.take(&path(field), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(given: v1::WorkerTiming) -> Vec<String> {
        let mut checks = Checks::default();
        assert_eq!(timing(&mut checks, Some(given)), None);
        let violations = checks.refusal().violations;
        violations.into_iter().map(|it| format!("{}: {}", it.field, it.description)).collect()
    }

    fn span(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    #[test]
    fn what_is_not_given_is_not_set_and_what_is_given_is() {
        let mut checks = Checks::default();
        assert_eq!(timing(&mut checks, None), Some(TimingOverrides::default()));
        let given = v1::WorkerTiming { stale_after: span(120), max_crashes: Some(0), ..Default::default() };
        let set = TimingOverrides {
            stale_after: Some(Duration::from_secs(120)),
            max_crashes: Some(0),
            ..TimingOverrides::default()
        };
        assert_eq!(timing(&mut checks, Some(given)), Some(set));
        assert!(checks.passed());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_bounds_or_with_what_it_does_not_fit() {
        let wrong = v1::WorkerTiming { stop_grace: span(11), max_crashes: Some(1_001), ..Default::default() };
        assert_eq!(
            told(wrong),
            [
                "tenant.timing.stop_grace: 11s is not allowed: 0s to 10s",
                "tenant.timing.max_crashes: 1001 is not allowed: 0 to 1000"
            ]
        );
        let misfit = v1::WorkerTiming { stale_after: span(30), probe_every: span(30), ..Default::default() };
        assert!(told(misfit)[0].starts_with("tenant.timing.stale_after: 30s is too short"));
        let negative =
            v1::WorkerTiming { stale_after: span(-1), reconnect_attempts: Some(-1), ..Default::default() };
        let told = told(negative);
        assert!(told[0].starts_with("tenant.timing.stale_after: -1s is no span of time"), "{told:?}");
        assert_eq!(told[1], "tenant.timing.reconnect_attempts: -1 is no number of times; give 0 or more");
    }
}

//! A tenant's restart schedule as it comes in: each of its fields is named when it is wrong.

use std::time::{Duration, SystemTime};

use roost_model::{
    RestartSchedule, ScheduleError,
    restart_schedule::{DEFAULT_JITTER, JITTER_AT_MOST},
};
use roost_proto::v1;

use super::{Checks, Text};

const CRON: Text = Text::line(1, 100);
const TIME_ZONE: Text = Text::line(1, 100);
const DEFAULT_TIME_ZONE: &str = "UTC";

/// One of which nothing is given is none.
pub(super) fn restart_schedule(
    checks: &mut Checks,
    given: Option<v1::RestartSchedule>,
) -> Option<Option<RestartSchedule>> {
    let given = given.unwrap_or_default();
    if given == v1::RestartSchedule::default() {
        return Some(None);
    }
    let time_zone = match given.time_zone.as_str() {
        "" => DEFAULT_TIME_ZONE.to_owned(),
        _ => given.time_zone,
    };
    let cron = checks.text(&path("cron"), &CRON, given.cron);
    let time_zone = checks.text(&path("time_zone"), &TIME_ZONE, time_zone);
    let jitter = jitter(checks, given.jitter);
    let schedule = RestartSchedule { cron: cron?, time_zone: time_zone?, jitter: jitter? };
    match schedule.check(SystemTime::now()) {
        Ok(()) => Some(Some(schedule)),
        Err(error) => checks.take(&path(field(&error)), Err(error.to_string())),
    }
}

fn path(field: &str) -> String {
    format!("tenant.restart_schedule.{field}")
}

fn field(error: &ScheduleError) -> &'static str {
    match error {
        ScheduleError::Cron { .. } | ScheduleError::TooOften | ScheduleError::Never => "cron",
        ScheduleError::TimeZone(_) => "time_zone",
        ScheduleError::Jitter => "jitter",
    }
}

/// What is negative is no span at all; the rest is for the schedule to say.
fn jitter(checks: &mut Checks, given: Option<prost_types::Duration>) -> Option<Duration> {
    let Some(given) = given else { return Some(DEFAULT_JITTER) };
    let span = Duration::try_from(given).ok().filter(|span| *span <= JITTER_AT_MOST);
    checks.take(&path("jitter"), span.ok_or_else(|| ScheduleError::Jitter.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(cron: &str, time_zone: &str, jitter_s: Option<i64>) -> Result<Option<RestartSchedule>, String> {
        let jitter = jitter_s.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
        let given = v1::RestartSchedule { cron: cron.into(), time_zone: time_zone.into(), jitter };
        let mut checks = Checks::default();
        restart_schedule(&mut checks, Some(given)).ok_or_else(|| checks.refusal().message)
    }

    #[test]
    fn a_schedule_is_in_utc_and_spread_over_ten_minutes_unless_it_says_otherwise() {
        let taken = take("0 4 * * *", "", None).unwrap().unwrap();
        assert_eq!((taken.time_zone.as_str(), taken.jitter), ("UTC", Duration::from_secs(600)));
        let taken = take("0 4 * * 7", "Africa/Nairobi", Some(0)).unwrap().unwrap();
        assert_eq!((taken.time_zone.as_str(), taken.jitter), ("Africa/Nairobi", Duration::ZERO));
    }

    #[test]
    fn one_of_which_nothing_is_given_is_none_and_one_without_its_expression_is_refused() {
        assert_eq!(take("", "", None), Ok(None));
        assert_eq!(restart_schedule(&mut Checks::default(), None), Some(None));
        for (zone, jitter) in [("Africa/Nairobi", None), ("", Some(60))] {
            let refused = take("", zone, jitter).unwrap_err();
            assert!(refused.contains("tenant.restart_schedule.cron: is required"), "{refused}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field() {
        for (cron, zone, jitter, said) in [
            ("0 4 * *", "UTC", None, "cron: is no cron expression of five fields"),
            ("* * * * *", "UTC", None, "cron: comes more than once an hour"),
            ("0 4 31 2 *", "UTC", None, "cron: never comes"),
            ("0 4 * * *", "Afrika/Nairobi", None, "time_zone: \"Afrika/Nairobi\" is no time zone"),
            ("0 4 * * *", "UTC", Some(86_401), "jitter: is not allowed; it takes whole seconds"),
            ("0 4 * * *", "UTC", Some(-1), "jitter: is not allowed; it takes whole seconds"),
        ] {
            let refused = take(cron, zone, jitter).unwrap_err();
            assert!(refused.contains(&format!("tenant.restart_schedule.{said}")), "{refused}");
        }
        assert!(take(&"0".repeat(101), "UTC", None).unwrap_err().contains("101 characters"));
    }
}

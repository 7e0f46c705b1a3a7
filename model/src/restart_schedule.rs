//! When a tenant's browser is to be restarted, for pages that leak: a cron expression in a time zone, and a shift by which
//! tenants of one expression are spread.
//!
//! The next time is one function, [`Timetable::next_after`], of the node that restarts and of the coordinator that shows it.
//! A time that the clocks leave out comes at the end of the gap, one that they repeat comes once, the first time. (An
//! expression that means every hour comes in both hours.) The zones' rules are the program's own: all nodes of a cluster have
//! the same, whatever is installed on their machines.

use std::time::{Duration, SystemTime};

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::mix;

/// The longest spread.
pub const JITTER_AT_MOST: Duration = Duration::from_secs(24 * 3_600);
/// Where none is given: those of one expression do not go together.
pub const DEFAULT_JITTER: Duration = Duration::from_secs(600);

/// As it was given. Whoever takes one from outside checks it; what is stored may have been checked by another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartSchedule {
    /// Five fields, minute first.
    pub cron: String,
    /// A name of the IANA database, such as Africa/Nairobi.
    pub time_zone: String,
    /// Each tenant has a shift of its own between none and this.
    pub jitter: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    #[error("is no cron expression of five fields, such as 0 4 * * *: {reason}")]
    Cron { reason: String },
    #[error("comes more than once an hour; give one minute, such as 0 4 * * *")]
    TooOften,
    #[error("never comes")]
    Never,
    #[error("{0:?} is no time zone; give a name such as Africa/Nairobi or UTC")]
    TimeZone(String),
    #[error("is not allowed; it takes whole seconds from 0s to 24h")]
    Jitter,
}

impl RestartSchedule {
    /// Whether it can be kept, and comes after `now`.
    pub fn check(&self, now: SystemTime) -> Result<(), ScheduleError> {
        if self.jitter > JITTER_AT_MOST || self.jitter.subsec_nanos() != 0 {
            return Err(ScheduleError::Jitter);
        }
        self.timetable(0)?.next_after(now).map(drop).ok_or(ScheduleError::Never)
    }

    /// The times of the tenant with this uid.
    pub fn timetable(&self, uid: u128) -> Result<Timetable, ScheduleError> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(&self.cron);
        let cron = cron.map_err(|error| ScheduleError::Cron { reason: error.to_string() })?;
        if cron.pattern.minutes.values().len() > 1 {
            return Err(ScheduleError::TooOften);
        }
        let zone = TimeZone::get(&self.time_zone);
        let zone = zone.map_err(|_unknown| ScheduleError::TimeZone(self.time_zone.clone()))?;
        Ok(Timetable { cron, zone, shift: shift(uid, self.jitter) })
    }
}

/// The times at which one tenant's browser is to be restarted.
#[derive(Debug, Clone)]
pub struct Timetable {
    cron: Cron,
    zone: TimeZone,
    shift: Duration,
}

impl Timetable {
    /// The first one that is later than `at`; none when it never comes.
    pub fn next_after(&self, at: SystemTime) -> Option<SystemTime> {
        let unshifted = Timestamp::try_from(at.checked_sub(self.shift)?).ok()?;
        let next = self.cron.find_next_occurrence(&unshifted.to_zoned(self.zone.clone()), false).ok()?;
        SystemTime::from(next.timestamp()).checked_add(self.shift)
    }
}

/// From 0 to `jitter` in milliseconds, the same for a tenant wherever it is asked for.
fn shift(uid: u128, jitter: Duration) -> Duration {
    let mixed = mix((uid >> 64) as u64 ^ uid as u64);
    let share = (u128::from(mixed) * (jitter.as_millis() + 1)) >> 64;
    Duration::from_millis(u64::try_from(share).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str, time_zone: &str) -> RestartSchedule {
        RestartSchedule { cron: cron.into(), time_zone: time_zone.into(), jitter: Duration::ZERO }
    }

    fn at(time: &str) -> SystemTime {
        time.parse::<Timestamp>().unwrap().into()
    }

    /// The times after `from`, in UTC.
    fn times(cron: &str, time_zone: &str, from: &str, count: usize) -> Vec<String> {
        let timetable = schedule(cron, time_zone).timetable(0).unwrap();
        let mut next = at(from);
        let each = std::iter::repeat_with(|| {
            next = timetable.next_after(next).unwrap();
            Timestamp::try_from(next).unwrap().to_string()
        });
        each.take(count).collect()
    }

    #[test]
    fn the_time_is_that_of_the_zone() {
        assert_eq!(
            times("0 4 * * *", "Africa/Nairobi", "2026-11-29T00:59:59.5Z", 2),
            ["2026-11-29T01:00:00Z", "2026-11-30T01:00:00Z"]
        );
        assert_eq!(times("0 4 * * *", "UTC", "2026-11-29T04:00:00Z", 1), ["2026-11-30T04:00:00Z"], "later");
        assert_eq!(
            times("30 3 * * SUN", "Asia/Kolkata", "2026-11-29T00:00:00Z", 1),
            ["2026-12-05T22:00:00Z"]
        );
    }

    #[test]
    fn a_time_that_the_clocks_leave_out_comes_at_the_end_of_the_gap() {
        let night = times("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
        assert_eq!(night, ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
        let before = times("30 1 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
        assert_eq!(before, ["2026-03-29T00:30:00Z", "2026-03-29T23:30:00Z"], "not again after it");
    }

    #[test]
    fn a_time_that_the_clocks_repeat_comes_once() {
        let night = times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(night, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    }

    #[test]
    fn a_tenant_has_one_shift_within_the_jitter_and_tenants_are_spread() {
        let jitter = Duration::from_secs(1_800);
        let shifts: Vec<_> = (0..1_000_u128).map(|uid| shift(uid << 80, jitter)).collect();
        assert!(shifts.iter().all(|shift| *shift <= jitter));
        for part in 0..6_u32 {
            let here = |shift: &&Duration| **shift >= jitter * part / 6 && **shift < jitter * (part + 1) / 6;
            let count = shifts.iter().filter(here).count();
            assert!((100..=240).contains(&count), "{count} of 1,000 in the {part}th sixth");
        }
        assert_eq!(shift(7, jitter), shift(7, jitter));
        assert_eq!(shift(7, Duration::ZERO), Duration::ZERO);
        let spread = RestartSchedule { jitter, ..schedule("0 4 * * *", "UTC") };
        let next = spread.timetable(7).unwrap().next_after(at("2026-11-29T04:00:00Z")).unwrap();
        let shifted = at("2026-11-29T04:00:00Z") + shift(7, jitter);
        assert_eq!(next, shifted, "that of 4 h is still to come");
        let after = spread.timetable(7).unwrap().next_after(next).unwrap();
        assert_eq!(after, shifted + Duration::from_secs(24 * 3_600), "each time once");
    }

    #[test]
    fn what_cannot_be_kept_is_refused_with_the_reason() {
        let now = at("2026-11-29T00:00:00Z");
        let why = |schedule: RestartSchedule| schedule.check(now).unwrap_err().to_string();
        for cron in
            ["", "4", "0 4 * *", "0 0 4 * * *", "61 4 * * *", "0 24 * * *", "x y * * *", "0 4 * * * 2027"]
        {
            let said = why(schedule(cron, "UTC"));
            assert!(said.starts_with("is no cron expression of five fields"), "{cron}: {said}");
        }
        for cron in ["* * * * *", "0,30 4 * * *", "*/5 4 * * *"] {
            assert!(why(schedule(cron, "UTC")).contains("more than once an hour"), "{cron}");
        }
        assert_eq!(why(schedule("0 4 30 2 *", "UTC")), "never comes");
        for zone in ["", "Nairobi", "Africa/Nairobbi", "UTC+3", "../../etc/passwd"] {
            assert!(why(schedule("0 4 * * *", zone)).contains("is no time zone"), "{zone}");
        }
        for jitter in [Duration::from_secs(24 * 3_600 + 1), Duration::from_millis(1_500)] {
            let said = why(RestartSchedule { jitter, ..schedule("0 4 * * *", "UTC") });
            assert!(said.contains("whole seconds"), "{said}");
        }
        for cron in ["0 4 * * *", "7 * * * *", "@daily", "30 3 L * *", "0 4 29 2 *", "0 2,14 * * 1-5"] {
            assert!(schedule(cron, "Africa/Dar_es_Salaam").check(now).is_ok(), "{cron}");
        }
    }
}

//! How much is written in a tenant's log.

use std::time::Duration;

use roost_model::LogLevel;
use roost_proto::v1;

use super::Checks;
use crate::grpc::wire::log_level_of;

/// Of a level for a time, unless it is said.
const USUAL_SPAN: Duration = Duration::from_secs(600);

/// A tenant's own; none as its node logs.
pub(super) fn own_log_level(
    checks: &mut Checks,
    given: Option<v1::TenantLogLevel>,
) -> Option<Option<LogLevel>> {
    let given = given.unwrap_or_default();
    if given.temporary_level != 0 || given.until_time.is_some() {
        let why = "is output only: a level for a time is set by SetWorkerLogLevel; give level alone";
        return checks.take("tenant.log_level.temporary_level", Err(why.to_owned()));
    }
    let level = checks.optional_enum("tenant.log_level.level", given.level)?;
    Some(level.and_then(log_level_of))
}

impl Checks {
    /// Which level holds for how long; none for the tenant's own again.
    pub fn temporary_log_level(
        &mut self,
        level: i32,
        span: Option<prost_types::Duration>,
    ) -> Option<Option<(LogLevel, Duration)>> {
        let level = self.optional_enum("level", level).map(|level| level.and_then(log_level_of));
        let span = self.optional_span("duration", span);
        match (level?, span?) {
            (Some(level), span) => Some(Some((level, span.unwrap_or(USUAL_SPAN)))),
            (None, None) => Some(None),
            (None, Some(_)) => {
                let why = "has no meaning without a level, which ends the one that holds; leave it out";
                self.take("duration", Err(why.to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary(level: v1::LogLevel, seconds: Option<i64>) -> Option<Option<(LogLevel, Duration)>> {
        let span = seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
        Checks::default().temporary_log_level(level.into(), span)
    }

    #[test]
    fn a_level_holds_for_ten_minutes_unless_it_is_said_and_a_day_at_most() {
        let debug = v1::LogLevel::Debug;
        assert_eq!(temporary(debug, None), Some(Some((LogLevel::Debug, USUAL_SPAN))));
        let day = Duration::from_secs(86_400);
        assert_eq!(temporary(debug, Some(86_400)), Some(Some((LogLevel::Debug, day))));
        for wrong in [0, -1, 86_401] {
            assert_eq!(temporary(debug, Some(wrong)), None, "{wrong} s");
        }
        assert_eq!(temporary(v1::LogLevel::Unspecified, None), Some(None));
        assert_eq!(temporary(v1::LogLevel::Unspecified, Some(60)), None);
        assert_eq!(Checks::default().temporary_log_level(9, None), None);
    }

    #[test]
    fn a_tenants_own_level_is_given_alone_and_none_is_its_nodes() {
        let own = |given| own_log_level(&mut Checks::default(), given);
        let level = |level: v1::LogLevel| v1::TenantLogLevel { level: level.into(), ..Default::default() };
        assert_eq!(own(None), Some(None));
        assert_eq!(own(Some(level(v1::LogLevel::Unspecified))), Some(None));
        assert_eq!(own(Some(level(v1::LogLevel::Warn))), Some(Some(LogLevel::Warn)));
        let with_temporary = v1::TenantLogLevel { temporary_level: 2, ..level(v1::LogLevel::Warn) };
        assert_eq!(own(Some(with_temporary)), None);
    }
}

//! The options that say when a tenant's browser is restarted by itself.

use std::time::Duration;

use roost_proto::v1::RestartSchedule;

#[derive(Debug, clap::Args)]
pub struct RestartArgs {
    /// When its browser is restarted, for a page that leaks: a cron expression of five fields, such as '0 4 * * *'; '' takes it off.
    #[arg(long, value_name = "CRON")]
    restart_schedule: Option<String>,
    /// The time zone of the schedule, such as Africa/Nairobi; UTC unless it is given.
    #[arg(long, value_name = "ZONE")]
    restart_time_zone: Option<String>,
    /// Each tenant is later by a time of its own up to this, such as 30m; 10m unless it is given, 24h at most.
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    restart_jitter: Option<Duration>,
}

impl RestartArgs {
    pub fn is_given(&self) -> bool {
        self.restart_schedule.is_some() || self.restart_time_zone.is_some() || self.restart_jitter.is_some()
    }

    /// What is given over what there is; none where nothing is left, or an empty expression is given alone.
    pub fn over(self, present: Option<RestartSchedule>) -> Option<RestartSchedule> {
        let takes_off = self.restart_schedule.as_deref() == Some("");
        let present = present.filter(|_| !takes_off).unwrap_or_default();
        let schedule = RestartSchedule {
            cron: self.restart_schedule.unwrap_or(present.cron),
            time_zone: self.restart_time_zone.unwrap_or(present.time_zone),
            jitter: self.restart_jitter.and_then(|jitter| jitter.try_into().ok()).or(present.jitter),
        };
        Some(schedule).filter(|schedule| *schedule != RestartSchedule::default())
    }
}

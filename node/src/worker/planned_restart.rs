//! When a worker's browser is restarted for a page that leaks: because its tenant's schedule says so, or because it is over a limit
//! and can be waited for, or over its request on a node that is short of memory. All wait for a quiet moment. Pure.
//!
//! A time of the schedule is for the browsers that are older than it. Nothing has to be remembered for that, by whomever: what
//! was restarted for a time is younger than it, and so is what a failover or a crash has started since, so no time counts twice.
//! Clocks of nodes differ, hence a browser that began within a minute before the time counts as younger. And a time is over ten
//! minutes later, so that after an outage, or after a node that stood still, nothing is made up for all at once.

use std::time::SystemTime;

use roost_model::{RestartSchedule, Timetable, causes};
use roost_store::Tenant;
use tracing::warn;

use super::{state::WorkerTime, timing::RestartTiming};
use crate::resources::Excess;

/// What time it is, for the worker and for people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub now: WorkerTime,
    pub wall: SystemTime,
}

#[derive(Debug)]
pub(super) struct PlannedRestart {
    timing: RestartTiming,
    schedule: Option<RestartSchedule>,
    timetable: Option<Timetable>,
    /// When the browser that runs was launched; none before the first.
    launched: Option<SystemTime>,
    /// The time that is next for it, or is now; none while that is not known.
    next: Option<SystemTime>,
    /// What the browser is over, which does not wait for a time.
    excess: Option<Excess>,
    /// Since when nothing is under way; none while something is.
    quiet_since: Option<WorkerTime>,
    /// Since when it waits for a quiet moment.
    waiting_since: Option<WorkerTime>,
}

impl PlannedRestart {
    pub fn new(timing: RestartTiming, tenant: &Tenant) -> Self {
        let mut restart = Self {
            timing,
            schedule: None,
            timetable: None,
            launched: None,
            next: None,
            excess: None,
            quiet_since: None,
            waiting_since: None,
        };
        restart.change(tenant);
        restart
    }

    /// The tenant was changed, perhaps in this.
    pub fn change(&mut self, tenant: &Tenant) {
        let schedule = &tenant.settings.restart_schedule;
        if *schedule == self.schedule {
            return;
        }
        self.schedule.clone_from(schedule);
        (self.timetable, self.next) = (None, None);
        if self.excess.is_none() {
            self.waiting_since = None;
        }
        let Some(schedule) = schedule else { return };
        match schedule.timetable(tenant.uid.as_u128()) {
            Ok(timetable) => self.timetable = Some(timetable),
            Err(error) => {
                let cron = &schedule.cron;
                warn!(error = %causes(&error), cron, "a restart schedule cannot be kept by this version");
            }
        }
    }

    /// A browser begins.
    pub fn launched(&mut self, wall: SystemTime) {
        (self.launched, self.next, self.waiting_since) = (Some(wall), None, None);
        self.excess = None;
    }

    /// The browser uses too much, or does so no more.
    pub fn set_excess(&mut self, excess: Option<Excess>) {
        if excess.is_some() != self.excess.is_some() {
            self.waiting_since = None;
        }
        self.excess = excess;
    }

    /// What it is over, if that is why it is restarted next.
    pub fn excess(&self) -> Option<&Excess> {
        self.excess.as_ref()
    }

    /// A message was received or sent.
    pub fn moved(&mut self, now: WorkerTime) {
        self.quiet_since = self.quiet_since.map(|_| now);
    }

    /// Whether nothing is under way.
    pub fn set_idle(&mut self, is_idle: bool, now: WorkerTime) {
        self.quiet_since = is_idle.then(|| self.quiet_since.unwrap_or(now));
    }

    /// The browser may not be restarted as things are. Once it may be again, it waits for a quiet moment anew.
    pub fn put_off(&mut self) {
        self.waiting_since = None;
    }

    /// The time for which it is restarted next, or now.
    pub fn time(&self) -> Option<SystemTime> {
        self.next
    }

    /// When to look next: a time comes, or the quiet moment for it or for what the browser is over.
    pub fn due(&mut self, clock: Clock) -> Option<WorkerTime> {
        if self.excess.is_none() {
            let next = self.next(clock.wall)?;
            if let Ok(left) = next.duration_since(clock.wall)
                && !left.is_zero()
            {
                return clock.now.checked_add(left);
            }
        }
        let since = *self.waiting_since.get_or_insert(clock.now);
        let at_most = since + self.timing.wait;
        let quiet = self.quiet_since.map(|since| since + self.timing.quiet);
        Some(quiet.map_or(at_most, |quiet| quiet.min(at_most)).max(clock.now))
    }

    /// Whether it is to be restarted now.
    pub fn is_now(&mut self, clock: Clock) -> bool {
        let due = self.due(clock);
        self.waiting_since.is_some() && due.is_some_and(|due| due <= clock.now)
    }

    /// The first time for which the browser is old enough, and which is not over.
    fn next(&mut self, wall: SystemTime) -> Option<SystemTime> {
        let RestartTiming { young, late, .. } = self.timing;
        let over = wall.checked_sub(late)?;
        if self.next.is_none_or(|next| next <= over) {
            self.waiting_since = None;
            let old_enough = self.launched?.checked_add(young)?;
            self.next = self.timetable.as_ref()?.next_after(old_enough.max(over));
        }
        self.next
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use roost_model::{TenantSettings, ids::TenantId};

    use super::*;
    use crate::{
        resources::{Over, Urgency},
        worker::{WorkerTiming, unserved},
    };

    const LAUNCHED: Duration = Duration::from_secs(1_795_996_800); // 2026-11-30T00:00:00Z
    const FOUR: Duration = Duration::from_secs(4 * 3_600);
    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn tenant(cron: &str) -> Tenant {
        let tenant = unserved::spec(&TenantId::new("acme").unwrap()).tenant;
        let (cron, time_zone) = (cron.to_owned(), "UTC".to_owned());
        let schedule = RestartSchedule { cron, time_zone, jitter: Duration::ZERO };
        let settings = TenantSettings::clone(&tenant.settings);
        Tenant {
            settings: Arc::new(TenantSettings { restart_schedule: Some(schedule), ..settings }),
            ..tenant
        }
    }

    fn excess(told: &str) -> Excess {
        Excess { over: Over::Limit, urgency: Urgency::WhenQuiet, told: told.to_owned() }
    }

    /// So long after midnight, at which the worker and its browser began.
    fn after(midnight: Duration) -> Clock {
        Clock { now: midnight, wall: SystemTime::UNIX_EPOCH + LAUNCHED + midnight }
    }

    /// At four, and quiet since it began.
    fn at_four() -> PlannedRestart {
        let timing = WorkerTiming::default().planned_restart;
        let mut restart = PlannedRestart::new(timing, &tenant("0 4 * * *"));
        restart.launched(after(Duration::ZERO).wall);
        restart.set_idle(true, Duration::ZERO);
        restart
    }

    #[test]
    fn it_comes_at_its_time_and_once() {
        let mut restart = at_four();
        assert_eq!(restart.due(after(secs(60))), Some(FOUR));
        assert!(!restart.is_now(after(FOUR - secs(1))));
        assert!(restart.is_now(after(FOUR)));
        restart.launched(after(FOUR + secs(3)).wall);
        assert_eq!(restart.due(after(FOUR + secs(4))), Some(FOUR + DAY));
    }

    #[test]
    fn it_waits_for_two_quiet_seconds() {
        let mut restart = at_four();
        restart.moved(FOUR - secs(1));
        assert!(!restart.is_now(after(FOUR)));
        assert_eq!(restart.due(after(FOUR)), Some(FOUR + secs(1)));
        restart.set_idle(false, FOUR);
        assert!(!restart.is_now(after(FOUR + secs(30))), "something is under way");
        restart.set_idle(true, FOUR + secs(31));
        restart.moved(FOUR + secs(32));
        assert!(!restart.is_now(after(FOUR + secs(33))));
        assert!(restart.is_now(after(FOUR + secs(34))));
    }

    #[test]
    fn where_it_never_becomes_quiet_it_waits_for_a_minute() {
        let mut restart = at_four();
        restart.set_idle(false, FOUR - secs(1));
        assert_eq!(restart.due(after(FOUR)), Some(FOUR + secs(60)));
        assert!(!restart.is_now(after(FOUR + secs(59))));
        restart.put_off();
        assert!(!restart.is_now(after(FOUR + secs(60))), "it could not be done meanwhile, and waits anew");
        assert!(restart.is_now(after(FOUR + secs(120))));
    }

    #[test]
    fn a_browser_that_is_younger_than_the_time_is_spared_also_where_clocks_differ() {
        let mut restart = at_four();
        for launched in [FOUR, FOUR + secs(30), FOUR - secs(59)] {
            restart.launched(after(launched).wall);
            assert_eq!(restart.due(after(FOUR + secs(31))), Some(FOUR + DAY));
        }
        restart.launched(after(FOUR - secs(61)).wall);
        assert!(restart.is_now(after(FOUR)));
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        let mut restart = at_four();
        let late = FOUR + DAY * 3 + secs(601);
        assert!(!restart.is_now(after(late)), "three days stood still, and one time just missed");
        assert_eq!(restart.due(after(late)), Some(FOUR + DAY * 4));
        let mut restart = at_four();
        assert!(restart.is_now(after(FOUR + DAY * 3 + secs(599))), "one that is not over is kept");
        assert_eq!(restart.time(), Some(after(FOUR + DAY * 3).wall), "and none before it");
        let mut waiting = at_four();
        waiting.set_idle(false, FOUR);
        assert!(!waiting.is_now(after(FOUR)));
        assert!(!waiting.is_now(after(FOUR + secs(601))), "nor what waited until it was over");
    }

    #[test]
    fn a_schedule_that_is_set_on_an_old_browser_begins_with_its_next_time() {
        let mut restart = at_four();
        restart.change(&tenant("0 2 * * *"));
        assert_eq!(restart.due(after(FOUR * 3)), Some(DAY + secs(7_200)));
        restart.change(&unserved::spec(&TenantId::new("acme").unwrap()).tenant);
        assert_eq!(restart.due(after(FOUR * 3)), None, "taken off");
        restart.change(&tenant("not kept by this version"));
        assert_eq!(restart.due(after(FOUR * 3)), None);
    }

    #[test]
    fn one_that_is_over_a_limit_waits_for_the_same_quiet_moment_and_for_no_time() {
        let mut restart = at_four();
        assert_eq!(restart.due(after(secs(50))), Some(FOUR));
        restart.moved(secs(99));
        restart.set_excess(Some(excess("too much")));
        assert_eq!(restart.due(after(secs(100))), Some(secs(101)));
        assert!(restart.is_now(after(secs(101))));
        restart.set_idle(false, secs(101));
        assert!(!restart.is_now(after(secs(159))), "something is under way");
        restart.set_excess(Some(excess("more")));
        assert!(restart.is_now(after(secs(160))), "a minute since it came to be over it");
        assert_eq!(restart.excess(), Some(&excess("more")));
        restart.set_excess(None);
        assert_eq!(restart.due(after(secs(200))), Some(FOUR), "it is so no more");
        restart.set_excess(Some(excess("too much")));
        assert!(!restart.is_now(after(secs(259))), "it waits anew");
        restart.launched(after(secs(260)).wall);
        assert_eq!(restart.excess(), None, "it was the browser before");
    }

    #[test]
    fn a_clock_that_is_set_moves_the_time_with_it() {
        let mut restart = at_four();
        assert_eq!(restart.due(after(secs(100))), Some(FOUR));
        let ahead = Clock { now: secs(200), ..after(secs(3_800)) };
        assert_eq!(restart.due(ahead), Some(FOUR - secs(3_600)), "an hour sooner for the worker");
    }
}

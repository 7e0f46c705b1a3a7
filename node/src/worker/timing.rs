//! The worker's intervals. They follow WhatsApp's page and the patience of people, not the lease, so none of them is
//! derived from the TTL; those live in `roost_cluster::timing`. Tests shorten them.

use std::time::Duration;

use roost_model::{
    TimingOverrides,
    worker_timing::{DEAF_AFTER_FAILURES, deaf_for, heard_within},
};

use crate::retry::Backoff;

/// Every interval and bound of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerTiming {
    /// How often a page has to prove that it works.
    pub probe_every: Duration,
    /// How long ago the page may have heard WhatsApp and still counts as one that hears; then WhatsApp is asked.
    pub heard_within: Duration,
    /// Probes that may fail in a row before the page counts as deaf.
    pub failure_threshold: u32,
    /// How long a loaded page may take to show a QR code or a session.
    pub connect_within: Duration,
    /// The waits before each attempt to reconnect.
    pub reconnect: Backoff,
    /// Attempts to reconnect that fail by the tenant's own fault before the worker gives up.
    pub attempts: u32,
    /// Of these, those that are left to a page that went offline: it reconnects by itself.
    pub offline_attempts: u32,
    /// A connection that held this long was good: the count of attempts starts anew.
    pub stable_after: Duration,
    /// So many crashes of the browser or its page within `crash_window` are a crash loop; 0: none are.
    pub max_crashes: u32,
    pub crash_window: Duration,
    /// The life of the first QR code and of those after it, where the page does not say.
    pub first_code: Duration,
    pub next_code: Duration,
    /// How long after a code's end the next one may be overdue before the page is reloaded.
    pub code_grace: Duration,
    /// Codes that are shown in a row without a scan, where the tenant has settled nothing; 0: without an end.
    pub qr_rotations: u32,
    /// Until ownership is asked for again, when the registry did not answer.
    pub ask_again: Duration,
    /// How long a graceful stop waits for the messages in flight.
    pub drain_within: Duration,
    /// How long it waits for its last snapshot at most, which may be of a large session ...
    pub last_save_within: Duration,
    /// ... and for how long nothing of it may get through to the object store: then it is away.
    pub last_save_stalls: Duration,
    /// A snapshot is taken once the session was quiet for this long ...
    pub snapshot_quiet: Duration,
    /// ... or this long after its first change, when it never is.
    pub snapshot_at_most: Duration,
    /// How often the session's files are looked at, for what changes them without a message.
    pub look_every: Duration,
    /// What is found so is saved, but not so soon after the last snapshot. Together with the former it stays below a minute.
    pub looked_apart: Duration,
    pub planned_restart: RestartTiming,
    /// Of restarts over a limit.
    pub over_limit: OverLimitTiming,
}

/// A setting as it holds for one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub name: &'static str,
    pub value: String,
    pub is_tenants_own: bool,
}

/// Of restarts on a schedule, and of those over a limit that wait for a quiet moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartTiming {
    /// A browser that has begun within this before a time is young enough to be spared: it may be the one that an owner
    /// before, whose clock is ahead, had just restarted for that time.
    pub young: Duration,
    /// What was not begun so long after its time is passed over, so that nothing is made up for at once after an outage.
    pub late: Duration,
    /// Nothing under way for so long is a quiet moment ...
    pub quiet: Duration,
    /// ... for which it waits this long at most.
    pub wait: Duration,
}

/// A browser that is over a limit soon after its start will be so after the next one: it is restarted more and more slowly, and
/// then not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverLimitTiming {
    /// One that lived for this long was not over it soon.
    pub soon: Duration,
    /// The waits before each start that follows one that was.
    pub backoff: Backoff,
    /// Of such starts in a row.
    pub starts: u32,
}

/// Of a graceful stop, beside the messages in flight and the last save: reading and closing the page, the history, the status.
const STOP_BESIDES: Duration = Duration::from_secs(15);

impl WorkerTiming {
    /// A graceful stop is over by then, or its browser is killed: whoever takes the tenant over waits for it. The controller
    /// complains of a tenant that is not let go of after a minute.
    pub fn stops_within(&self) -> Duration {
        self.drain_within + self.last_save_within + STOP_BESIDES
    }

    /// With what a tenant has settled itself.
    #[must_use]
    pub fn with(self, of_tenant: &TimingOverrides) -> Self {
        let probe_every = of_tenant.probe_every.unwrap_or(self.probe_every);
        let first = of_tenant.reconnect_delay.unwrap_or(self.reconnect.first);
        let cap = of_tenant.reconnect_delay_max.unwrap_or(self.reconnect.cap);
        let stale_after = of_tenant.stale_after.map(|stale_after| heard_within(stale_after, probe_every));
        Self {
            probe_every,
            heard_within: stale_after.unwrap_or(self.heard_within),
            connect_within: of_tenant.start_deadline.unwrap_or(self.connect_within),
            // A longest wait below the first one is the first one.
            reconnect: Backoff { first, cap: cap.max(first) },
            attempts: of_tenant.reconnect_attempts.unwrap_or(self.attempts),
            stable_after: of_tenant.stable_after.unwrap_or(self.stable_after),
            drain_within: of_tenant.stop_grace.unwrap_or(self.drain_within),
            max_crashes: of_tenant.max_crashes.unwrap_or(self.max_crashes),
            crash_window: of_tenant.crash_window.unwrap_or(self.crash_window),
            ..self
        }
    }

    /// What holds, by the names of the tenant's settings and for people, and whether it is the tenant's own.
    pub fn settings(self, of_tenant: &TimingOverrides) -> Vec<Setting> {
        let holds = self.with(of_tenant);
        let span = |span: Duration| humantime::format_duration(span).to_string();
        let (own_spans, own_counts) = (of_tenant.spans(), of_tenant.counts());
        let is_own = |name: &str| {
            own_spans.iter().any(|(own, span, _)| *own == name && span.is_some())
                || own_counts.iter().any(|(own, count, _)| *own == name && count.is_some())
        };
        let told = [
            ("probe_every", span(holds.probe_every)),
            ("stale_after", span(deaf_for(holds.heard_within, holds.probe_every))),
            ("start_deadline", span(holds.connect_within)),
            ("reconnect_attempts", holds.attempts.to_string()),
            ("reconnect_delay", span(holds.reconnect.first)),
            ("reconnect_delay_max", span(holds.reconnect.cap)),
            ("stable_after", span(holds.stable_after)),
            ("stop_grace", span(holds.drain_within)),
            ("max_crashes", holds.max_crashes.to_string()),
            ("crash_window", span(holds.crash_window)),
        ];
        told.map(|(name, value)| Setting { name, value, is_tenants_own: is_own(name) }).into()
    }
}

impl Default for WorkerTiming {
    fn default() -> Self {
        Self {
            probe_every: Duration::from_secs(3),
            heard_within: Duration::from_secs(60),
            failure_threshold: DEAF_AFTER_FAILURES,
            connect_within: Duration::from_secs(30),
            reconnect: Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(60) },
            attempts: 10,
            offline_attempts: 3,
            stable_after: Duration::from_secs(60),
            max_crashes: 20,
            crash_window: Duration::from_secs(3_600),
            first_code: Duration::from_secs(60),
            next_code: Duration::from_secs(20),
            code_grace: Duration::from_secs(10),
            qr_rotations: 20,
            ask_again: Duration::from_secs(1),
            drain_within: Duration::from_secs(5),
            last_save_within: Duration::from_secs(30),
            last_save_stalls: Duration::from_secs(5),
            snapshot_quiet: Duration::from_secs(1),
            // With a save, which takes some tenths of a second, below two seconds: see BENCHMARKS.md.
            snapshot_at_most: Duration::from_millis(1_500),
            look_every: Duration::from_secs(15),
            looked_apart: Duration::from_secs(30),
            planned_restart: RestartTiming {
                young: Duration::from_secs(60),
                late: Duration::from_secs(600),
                quiet: Duration::from_secs(2),
                wait: Duration::from_secs(60),
            },
            over_limit: OverLimitTiming {
                soon: Duration::from_secs(600),
                backoff: Backoff { first: Duration::from_secs(15), cap: Duration::from_secs(240) },
                starts: 5,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_hears_nothing_is_found_within_a_minute_and_a_half() {
        let timing = WorkerTiming::default();
        // The longest that an unanswered probe takes.
        let probe = Duration::from_secs(8);
        let failing = (timing.probe_every + probe) * timing.failure_threshold;
        assert!(timing.heard_within + failing <= Duration::from_secs(90));
        assert_eq!(deaf_for(timing.heard_within, timing.probe_every), timing.heard_within + failing);
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn of_tenant() -> TimingOverrides {
        TimingOverrides {
            probe_every: Some(SECOND),
            stale_after: Some(SECOND * 30),
            start_deadline: Some(SECOND * 7),
            reconnect_attempts: Some(3),
            reconnect_delay: Some(SECOND * 90),
            reconnect_delay_max: Some(SECOND * 120),
            stable_after: Some(SECOND * 9),
            stop_grace: Some(Duration::ZERO),
            max_crashes: Some(4),
            crash_window: Some(SECOND * 600),
        }
    }

    #[test]
    fn a_tenants_own_comes_before_the_nodes_and_what_it_lacks_is_the_nodes() {
        let node = WorkerTiming { probe_every: SECOND * 5, ..WorkerTiming::default() };
        assert_eq!(node.with(&TimingOverrides::default()), node);
        let expected = WorkerTiming {
            probe_every: SECOND,
            heard_within: SECOND * 12,
            connect_within: SECOND * 7,
            attempts: 3,
            reconnect: Backoff { first: SECOND * 90, cap: SECOND * 120 },
            stable_after: SECOND * 9,
            drain_within: Duration::ZERO,
            max_crashes: 4,
            crash_window: SECOND * 600,
            ..node
        };
        assert_eq!(node.with(&of_tenant()), expected);
        let late = TimingOverrides { reconnect_delay: Some(SECOND * 90), ..TimingOverrides::default() };
        assert_eq!(node.with(&late).reconnect.cap, SECOND * 90, "the node's longest is shorter");
        let longest = TimingOverrides { stop_grace: Some(SECOND * 10), ..TimingOverrides::default() };
        assert!(node.with(&longest).stops_within() < SECOND * 60, "before the controller complains");
    }

    #[test]
    fn what_holds_is_told_with_who_has_said_so() {
        let node = WorkerTiming::default();
        let told = |of_tenant: TimingOverrides| {
            let line = |it: Setting| format!("{} {} {}", it.name, it.value, it.is_tenants_own);
            node.settings(&of_tenant).into_iter().map(line).collect::<Vec<_>>()
        };
        let nodes = told(TimingOverrides::default());
        assert_eq!(nodes[..2], ["probe_every 3s false", "stale_after 1m 22s false"]);
        assert!(nodes.iter().all(|line| line.ends_with("false")));
        let own = told(of_tenant());
        assert!(own.iter().all(|line| line.ends_with("true")), "{own:?}");
        assert_eq!(own[1], "stale_after 30s true");
        assert_eq!(own[8..], ["max_crashes 4 true", "crash_window 10m true"]);
    }
}

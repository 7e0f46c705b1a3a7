//! The worker's intervals. They follow WhatsApp's page and the patience of people, not the lease, so none of them is
//! derived from the TTL; those live in `roost_cluster::timing`. Tests shorten them.

use std::time::Duration;

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
}

impl Default for WorkerTiming {
    fn default() -> Self {
        Self {
            probe_every: Duration::from_secs(3),
            heard_within: Duration::from_secs(60),
            failure_threshold: 2,
            connect_within: Duration::from_secs(30),
            reconnect: Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(60) },
            attempts: 10,
            offline_attempts: 3,
            stable_after: Duration::from_secs(60),
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
    }
}

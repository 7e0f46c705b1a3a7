//! Until when the holder of a lease may act.
//!
//! Why this is enough for I1: etcd starts to count a lease's time anew when a keepalive *arrives*, and the keepalive
//! was sent before that. So at `sent_at + ttl` on the holder's clock etcd cannot have ended the lease, provided that
//! the clocks' rates differ by less than the margin in [`Timing::deadline_after`]. The holder counts from `sent_at`,
//! never from when the answer came (that may be arbitrarily late), and only for a keepalive that was answered (one
//! that was not may never have arrived). At the deadline it kills; whoever has not by the guard's deadline is killed; and
//! [`Timing::kill_time`] after that, still before etcd lets go, nothing of it is alive. Whoever acts on the end of the
//! lease acts after that.
//!
//! Pure: time comes in as an argument, on the clock of [`crate::clock`].

use std::time::Duration;

use crate::timing::Timing;

/// What the holder of a lease may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Everything.
    Good,
    /// Begin nothing new: the lease may soon be lost.
    SoftStop,
    /// Nothing; what runs under the lease is to be killed.
    Expired,
}

/// The deadline of one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseDeadline {
    soft_stop_after: Duration,
    deadline_after: Duration,
    guard_deadline_after: Duration,
    /// When the last keepalive (or grant) that was answered had been sent.
    renewed_at: Option<Duration>,
    /// When time may have passed unseen.
    paused_at: Option<Duration>,
}

impl LeaseDeadline {
    /// Nothing is allowed until the first [`LeaseDeadline::renewed`].
    pub fn new(timing: &Timing) -> Self {
        Self {
            soft_stop_after: timing.soft_stop_after,
            deadline_after: timing.deadline_after,
            guard_deadline_after: timing.guard_deadline_after,
            renewed_at: None,
            paused_at: None,
        }
    }

    /// A grant or keepalive sent at `sent_at` has been answered. Answers out of order do not move the deadline back.
    pub fn renewed(&mut self, sent_at: Duration) {
        self.renewed_at = self.renewed_at.max(Some(sent_at));
    }

    /// The machine may have stood still until `now`, unseen by its clock. Until a renewal that is sent after this is answered
    /// nothing new is begun.
    pub fn paused(&mut self, now: Duration) {
        self.paused_at = Some(now);
    }

    /// Whether only a renewal tells how the lease stands.
    pub fn is_in_doubt(&self) -> bool {
        self.paused_at.is_some() && self.renewed_at < self.paused_at
    }

    /// The lease is known to be gone.
    pub fn lost(&mut self) {
        self.renewed_at = None;
    }

    pub fn standing(&self, now: Duration) -> Standing {
        if now >= self.deadline() {
            Standing::Expired
        } else if now >= self.soft_stop() || self.is_in_doubt() {
            Standing::SoftStop
        } else {
            Standing::Good
        }
    }

    /// From this moment on nothing may be alive that was started under the lease, but for [`Timing::kill_time`].
    pub fn deadline(&self) -> Duration {
        self.renewed_at.map_or(Duration::ZERO, |at| at + self.deadline_after)
    }

    /// At this moment the holder is killed with all that it runs, unless it has stood down.
    pub fn guard_deadline(&self) -> Duration {
        self.renewed_at.map_or(Duration::ZERO, |at| at + self.guard_deadline_after)
    }

    /// From this moment on nothing new is begun.
    pub fn soft_stop(&self) -> Duration {
        self.renewed_at.map_or(Duration::ZERO, |at| at + self.soft_stop_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Duration = Duration::from_secs(100);

    fn renewed_deadline() -> (LeaseDeadline, Timing) {
        let timing = Timing::default();
        let mut lease_deadline = LeaseDeadline::new(&timing);
        lease_deadline.renewed(SENT);
        (lease_deadline, timing)
    }

    #[test]
    fn a_deadline_that_was_never_renewed_allows_nothing() {
        let lease_deadline = LeaseDeadline::new(&Timing::default());
        assert_eq!(lease_deadline.standing(Duration::ZERO), Standing::Expired);
    }

    #[test]
    fn standing_sinks_with_the_time_since_the_last_renewal() {
        let (lease_deadline, timing) = renewed_deadline();
        let nearly = Duration::from_nanos(1);
        assert_eq!(lease_deadline.standing(SENT + timing.soft_stop_after - nearly), Standing::Good);
        assert_eq!(lease_deadline.standing(SENT + timing.soft_stop_after), Standing::SoftStop);
        assert_eq!(lease_deadline.standing(SENT + timing.deadline_after - nearly), Standing::SoftStop);
        assert_eq!(lease_deadline.standing(SENT + timing.deadline_after), Standing::Expired);
    }

    #[test]
    fn an_answer_that_was_overtaken_does_not_move_the_deadline_back() {
        let (mut lease_deadline, _) = renewed_deadline();
        let deadline = lease_deadline.deadline();
        lease_deadline.renewed(SENT - Duration::from_secs(1));
        assert_eq!(lease_deadline.deadline(), deadline);
    }

    #[test]
    fn after_a_pause_nothing_is_begun_before_a_renewal_that_was_sent_after_it() {
        let (mut lease_deadline, timing) = renewed_deadline();
        let at = |secs| SENT + Duration::from_secs(secs);
        lease_deadline.paused(at(1));
        assert_eq!(lease_deadline.standing(at(1)), Standing::SoftStop);
        assert_eq!(
            lease_deadline.standing(SENT + timing.deadline_after),
            Standing::Expired,
            "no later for that"
        );
        let nearly = Duration::from_nanos(1);
        lease_deadline.renewed(at(1) - nearly);
        assert_eq!(lease_deadline.standing(at(1)), Standing::SoftStop, "that one was sent before");
        lease_deadline.renewed(at(1));
        assert_eq!(lease_deadline.standing(at(1)), Standing::Good);
    }

    #[test]
    fn a_lost_lease_expires_at_once() {
        let (mut lease_deadline, _) = renewed_deadline();
        lease_deadline.lost();
        assert_eq!(lease_deadline.standing(SENT), Standing::Expired);
    }
}

//! Every interval of the system that follows from the lease's time to live, in one place.
//!
//! One number is chosen by the operator, the TTL; all processes of a cluster must be given the same. The rest is
//! derived here so that the relations that safety rests on can be read, and are asserted by the tests below:
//!
//! ```text
//! 0        keepalive_every     soft_stop_after  deadline_after  guard_deadline_after    ttl x 0.95     ttl
//! |--------------|--------------|------|---------------|----------------|--kill_time----------|-----------|
//! last keepalive sent     no new work ^     kill every browser ^   the guard kills ^   all are dead ^   etcd lets go
//! ```
//!
//! A healthy node kills its browsers itself; at `guard_deadline_after` its guard kills them with it, and so does the
//! kernel, for a node and a guard that are stopped together.

use std::time::Duration;

/// Shorter ones do not exist: etcd raises a lease to one and a half of its election timeout, 2 s as it is delivered.
pub const MIN_TTL: Duration = Duration::from_secs(2);

/// Why a time to live is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTtl {
    #[error("the lease TTL is {given:?}, and etcd grants none under {MIN_TTL:?}")]
    TooShort { given: Duration },
    /// etcd counts in whole seconds. Rounding up would let a lost node's tenants wait longer than the operator
    /// asked for, rounding down would end a lease before its holder expects it: so neither.
    #[error("the lease TTL is {given:?}, and etcd counts in whole seconds")]
    Fractional { given: Duration },
}

/// See the module's diagram. All of it is derived by [`Timing::from_ttl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long etcd keeps a lease that is not renewed.
    pub ttl: Duration,
    /// From one keepalive to the next.
    pub keepalive_every: Duration,
    /// From a keepalive that failed to the next attempt.
    pub keepalive_retry: Duration,
    /// The most that one request to etcd may take: a holder whose first keepalive is swallowed by a frozen member
    /// has time for another before it has to stop.
    pub request_timeout: Duration,
    /// The most that one call of the controller to the ledger may take.
    pub ledger_timeout: Duration,
    /// Without a renewal for this long the holder begins nothing new: no message is taken, none is sent.
    pub soft_stop_after: Duration,
    /// Without a renewal for this long every browser is killed.
    pub deadline_after: Duration,
    /// Without a renewal for this long, and not having stood down, the node is killed with its browsers.
    pub guard_deadline_after: Duration,
    /// From the decision to kill a node's browsers until the last of their processes is gone, at the worst.
    pub kill_time: Duration,
    /// From one look at the clocks to the next, while the lease is kept.
    pub look_every: Duration,
    /// A longer time between two looks is a pause of the machine: nothing new is begun until the lease is renewed.
    pub pause_tolerated: Duration,
    /// A live node that has not let go of a tenant for so long is named: until it does, the tenant runs nowhere else.
    pub release_patience: Duration,
    /// From one flush of the workers' `last_seen_at` to the next.
    pub heartbeat_every: Duration,
    /// From one pass of the controller to the next when nothing wakes it: the back-up of watches and notifications.
    pub reconcile_every: Duration,
    /// From a change that wakes the controller to its pass, so that changes that come together are one pass.
    pub coalesce: Duration,
    /// From a watch that ended to the next attempt to watch.
    pub watch_retry: Duration,
    /// A controller to which no pass succeeds for this long lets another one try.
    pub resign_after: Duration,
    /// A tenant that was placed and has not come up for this long holds up no others.
    pub start_patience: Duration,
    /// A node that is to take a tenant over is ready within this, or the tenant stays where it runs.
    pub prepare_within: Duration,
    /// From one look at the leader's key to the next when no watch event comes.
    pub candidate_retry: Duration,
    /// From one search for workers that are silent to the next.
    pub stale_check_every: Duration,
}

impl Timing {
    /// Whole seconds, at least [`MIN_TTL`].
    pub fn from_ttl(ttl: Duration) -> Result<Self, InvalidTtl> {
        if ttl < MIN_TTL {
            return Err(InvalidTtl::TooShort { given: ttl });
        }
        if ttl.subsec_nanos() != 0 {
            return Err(InvalidTtl::Fractional { given: ttl });
        }
        let kill_time = ttl / 10;
        Ok(Self {
            ttl,
            keepalive_every: ttl / 4,
            keepalive_retry: ttl / 20,
            request_timeout: ttl / 5,
            ledger_timeout: ttl,
            soft_stop_after: ttl * 2 / 3,
            deadline_after: ttl * 4 / 5,
            // A twentieth for clocks whose rates differ: five per cent is a hundred times what a sound one drifts.
            guard_deadline_after: ttl * 19 / 20 - kill_time,
            kill_time,
            look_every: ttl / 20,
            pause_tolerated: ttl / 4,
            heartbeat_every: ttl * 2,
            reconcile_every: ttl,
            coalesce: ttl / 1_000,
            watch_retry: ttl / 20,
            release_patience: (ttl * 12).max(Duration::from_secs(60)),
            start_patience: (ttl * 6).max(Duration::from_secs(30)),
            prepare_within: (ttl * 2).max(Duration::from_secs(10)),
            resign_after: (ttl * 6).max(Duration::from_secs(30)),
            candidate_retry: ttl / 2,
            stale_check_every: ttl,
        })
    }
}

impl Default for Timing {
    /// A TTL of 5 s.
    fn default() -> Self {
        match Self::from_ttl(Duration::from_secs(5)) {
            Ok(timing) => timing,
            Err(_) => unreachable!("five seconds are whole and enough"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_timing() -> impl Iterator<Item = Timing> {
        (2..=60).map(|secs| Timing::from_ttl(Duration::from_secs(secs)).unwrap())
    }

    #[test]
    fn browsers_are_dead_before_the_lease_ends_even_on_a_clock_that_is_slow_by_a_twentieth() {
        for timing in every_timing() {
            assert!(timing.deadline_after < timing.guard_deadline_after);
            assert!(timing.guard_deadline_after + timing.kill_time <= timing.ttl * 19 / 20);
        }
    }

    #[test]
    fn work_stops_before_the_kill_and_leaves_time_for_a_request_to_end() {
        for timing in every_timing() {
            assert!(timing.soft_stop_after < timing.deadline_after);
            assert!(timing.deadline_after - timing.soft_stop_after >= timing.ttl / 8);
        }
    }

    #[test]
    fn two_keepalives_may_time_out_before_work_stops() {
        for timing in every_timing() {
            let third_attempt =
                timing.keepalive_every + (timing.request_timeout + timing.keepalive_retry) * 2;
            assert!(
                timing.keepalive_every + timing.request_timeout + timing.keepalive_retry
                    < timing.soft_stop_after
            );
            assert!(third_attempt < timing.deadline_after);
        }
    }

    #[test]
    fn a_cluster_answers_a_loss_faster_than_it_can_notice_the_next() {
        for timing in every_timing() {
            assert!(timing.coalesce * 100 <= timing.ttl);
            assert!(timing.candidate_retry < timing.ttl);
        }
    }

    #[test]
    fn a_ttl_that_etcd_cannot_grant_is_refused() {
        let too_short = Duration::from_secs(1);
        assert_eq!(Timing::from_ttl(too_short), Err(InvalidTtl::TooShort { given: too_short }));
        let fractional = Duration::from_millis(2_500);
        assert_eq!(Timing::from_ttl(fractional), Err(InvalidTtl::Fractional { given: fractional }));
    }
}

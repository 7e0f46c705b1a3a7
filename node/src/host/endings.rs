//! Workers that ended by themselves: counted per tenant, and each next one waits longer, so that a tenant on which workers fail
//! takes little of what it shares with the others. Kept for as long as the process lives, since a run that is begun anew goes on
//! where the last one stood.
//!
//! A worker that panicked may do so again whoever assigned its tenant. One that ended because a write was refused or the lease
//! ran out was in order: that counts while the generation is the same, and the next one starts at once.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use roost_model::ids::{Generation, TenantId};
use roost_store::Fence;

use crate::{retry::Backoff, worker::WorkerEnd};

/// From one worker's end to the next one's beginning.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(60) };
/// A worker that lived so long was in order: the count begins anew.
const WELL_AFTER: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(super) struct Endings {
    tenants: Mutex<HashMap<TenantId, Ended>>,
}

#[derive(Debug)]
struct Ended {
    generation: Generation,
    by_panic: bool,
    count: u32,
    at: Instant,
}

/// What went before a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Failures {
    /// Workers that ended by themselves, one after the other.
    pub(super) count: u32,
    /// How long the next one has to wait still.
    pub(super) wait: Duration,
}

impl Endings {
    /// A worker that lived so long has ended by itself.
    pub(super) fn record(&self, fence: &Fence, end: &WorkerEnd, lived: Duration, now: Instant) -> Failures {
        let before = if lived < WELL_AFTER { self.failures(fence, now).count } else { 0 };
        let ended = Ended {
            generation: fence.generation,
            by_panic: matches!(end, WorkerEnd::Panicked { .. }),
            count: before + 1,
            at: now,
        };
        let mut tenants = self.tenants.lock();
        tenants.retain(|_, ended| ended.counts(now));
        tenants.insert(fence.tenant.clone(), ended);
        drop(tenants);
        self.failures(fence, now)
    }

    pub(super) fn failures(&self, fence: &Fence, now: Instant) -> Failures {
        let tenants = self.tenants.lock();
        let ended = tenants
            .get(&fence.tenant)
            .filter(|ended| ended.counts(now) && (ended.by_panic || ended.generation == fence.generation));
        ended.map_or_else(Failures::default, |ended| {
            let since = now.saturating_duration_since(ended.at);
            Failures { count: ended.count, wait: BACKOFF.exact(ended.count).saturating_sub(since) }
        })
    }
}

impl Ended {
    fn counts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < WELL_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::Ending;

    const BRIEFLY: Duration = Duration::from_millis(10);

    fn fence(tenant: &str, generation: i64) -> Fence {
        Fence { tenant: TenantId::new(tenant).unwrap(), generation: Generation(generation) }
    }

    fn panicked() -> WorkerEnd {
        WorkerEnd::Panicked { reason: "x".into() }
    }

    #[test]
    fn each_panic_in_a_row_doubles_the_wait_to_a_minute_and_a_good_life_ends_it() {
        let (endings, acme, mut now) = (Endings::default(), fence("acme", 1), Instant::now());
        for (count, seconds) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60)] {
            let wait = Duration::from_secs(seconds);
            assert_eq!(endings.record(&acme, &panicked(), BRIEFLY, now), Failures { count, wait });
            now += wait / 2;
            assert_eq!(endings.failures(&acme, now).wait, wait - wait / 2, "half of it is over");
            now += wait;
            assert_eq!(endings.failures(&acme, now), Failures { count, wait: Duration::ZERO });
        }
        assert_eq!(endings.failures(&fence("other", 1), now), Failures::default());
        let after_long = endings.record(&acme, &panicked(), WELL_AFTER, now);
        assert_eq!(after_long, Failures { count: 1, wait: Duration::from_secs(1) });
    }

    #[test]
    fn a_panic_is_remembered_across_assignments_and_an_end_in_order_is_not() {
        let (endings, now) = (Endings::default(), Instant::now());
        endings.record(&fence("acme", 1), &panicked(), BRIEFLY, now);
        assert_eq!(endings.failures(&fence("acme", 2), now).count, 1);
        endings.record(&fence("beta", 1), &WorkerEnd::Ended(Ending::NotOwner), BRIEFLY, now);
        assert_eq!(endings.failures(&fence("beta", 1), now).count, 1);
        assert_eq!(endings.failures(&fence("beta", 2), now), Failures::default());
    }

    #[test]
    fn what_is_long_over_is_forgotten() {
        let (endings, now) = (Endings::default(), Instant::now());
        endings.record(&fence("acme", 1), &panicked(), BRIEFLY, now);
        assert_eq!(endings.failures(&fence("acme", 1), now + WELL_AFTER), Failures::default());
        endings.record(&fence("beta", 1), &panicked(), BRIEFLY, now + WELL_AFTER);
        assert_eq!(endings.tenants.lock().len(), 1);
    }
}

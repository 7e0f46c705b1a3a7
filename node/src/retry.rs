//! Trying again. How long to wait before: doubling, capped, with jitter so that workers that failed together do not come back
//! together; the jitter comes from a seed, so that a run can be repeated. And the one call that is always made again: to a
//! Postgres that is unavailable.
//!
//! What follows etcd (assignments, acknowledgements, registration) tries again at the fixed intervals of
//! `roost_cluster::timing`, which are derived from the TTL.

use std::time::Duration;

use roost_model::{causes, mix};
use roost_store::StoreError;
use tokio::time::sleep;
use tracing::{info, warn};

/// Between two tries on an unavailable Postgres.
pub(crate) const UNAVAILABLE: Backoff =
    Backoff { first: Duration::from_millis(50), cap: Duration::from_secs(2) };

/// A doubling delay between `first` and `cap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub cap: Duration,
}

impl Backoff {
    /// The delay before `attempt` (counted from 1): `first` doubled for each attempt before it, never above `cap`.
    pub fn exact(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.cap)
    }

    /// The same, moved by up to a quarter either way.
    pub fn delay(&self, attempt: u32, seed: u64) -> Duration {
        let share = mix(seed ^ u64::from(attempt)) as f64 / u64::MAX as f64;
        self.exact(attempt).mul_f64(0.75 + share / 2.0).min(self.cap)
    }
}

/// Makes a call for as long as Postgres is unavailable. An earlier try may have been carried out although its answer was
/// lost.
pub(crate) async fn until_available<T, F>(step: &'static str, call: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut failures = 0;
    loop {
        match call().await {
            Err(error @ StoreError::Unavailable { .. }) => {
                if failures == 0 {
                    warn!(step, error = %causes(&error), "postgres is unavailable; messages wait");
                }
                failures += 1;
                sleep(UNAVAILABLE.exact(failures)).await;
            }
            Err(error) => return Err(error),
            Ok(value) => {
                if failures > 0 {
                    info!(step, "postgres is back");
                }
                return Ok(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(60) };

    #[test]
    fn the_delay_doubles_from_one_second_to_sixty() {
        for (attempt, whole) in
            [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 16.0), (6, 32.0), (7, 60.0), (10, 60.0)]
        {
            let delay = BACKOFF.delay(attempt, 7).as_secs_f64();
            assert!((whole * 0.75..=whole * 1.25).contains(&delay), "attempt {attempt} waits {delay} s");
        }
    }

    #[test]
    fn different_seeds_spread_the_attempts() {
        let delays: std::collections::BTreeSet<_> = (0..100).map(|seed| BACKOFF.delay(5, seed)).collect();
        assert!(delays.len() > 90);
    }

    proptest! {
        #[test]
        fn the_delay_is_never_above_the_cap_nor_below_its_share(attempt in 1u32.., seed: u64) {
            let delay = BACKOFF.delay(attempt, seed);
            prop_assert!(delay <= BACKOFF.cap);
            prop_assert!(delay >= Duration::from_millis(750));
            prop_assert_eq!(delay, BACKOFF.delay(attempt, seed));
        }
    }
}

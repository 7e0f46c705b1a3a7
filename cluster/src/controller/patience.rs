//! How long a leader tries in vain. The pauses between its attempts grow, so that what is ailing is not worn down by them;
//! and one to whom nothing succeeds gives way, for the fault may be its own: its network, its disk, its credentials.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use roost_model::causes;

use crate::{clock::Clock, timing::Timing};

use super::error::ControllerError;

pub(super) struct Patience {
    clock: Arc<dyn Clock>,
    timing: Timing,
    attempts: Mutex<Attempts>,
}

struct Attempts {
    /// The last success, or the beginning.
    since: Duration,
    failed: u32,
}

impl Patience {
    pub(super) fn new(clock: Arc<dyn Clock>, timing: Timing) -> Self {
        let since = clock.now();
        Self { clock, timing, attempts: Mutex::new(Attempts { since, failed: 0 }) }
    }

    pub(super) fn succeeded(&self) {
        *self.attempts.lock() = Attempts { since: self.clock.now(), failed: 0 };
    }

    /// Waits until the next attempt; `Stuck` when there should be none.
    pub(super) async fn failed(&self, error: &ControllerError) -> Result<(), ControllerError> {
        let (span, pause) = {
            let mut attempts = self.attempts.lock();
            attempts.failed += 1;
            (self.clock.now().saturating_sub(attempts.since), pause(&self.timing, attempts.failed))
        };
        if span >= self.timing.resign_after {
            return Err(ControllerError::Stuck { span, reason: causes(error).to_string() });
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Doubled with each failure, from a twentieth of the TTL up to half of it.
fn pause(timing: &Timing, failed: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failed.saturating_sub(1).min(16));
    (timing.watch_retry.saturating_mul(doubled)).min(timing.ttl / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::RuntimeClock;

    #[test]
    fn pauses_grow_to_half_a_ttl() {
        let pauses: Vec<u128> = (1..=6).map(|failed| pause(&Timing::default(), failed).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 2_500, 2_500]);
        assert_eq!(pause(&Timing::default(), u32::MAX), Duration::from_millis(2_500));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_fails_for_long_gives_way_and_a_success_begins_anew() {
        let clock = Arc::new(RuntimeClock::start());
        let patience = Patience::new(clock.clone(), Timing::default());
        let error = ControllerError::LeaseInDoubt;
        let gives_way = async || {
            let since = clock.now();
            while patience.failed(&error).await.is_ok() {}
            clock.now() - since
        };
        let limits = Timing::default().resign_after..Timing::default().resign_after + Duration::from_secs(3);
        assert!(limits.contains(&gives_way().await));
        patience.succeeded();
        assert!(limits.contains(&gives_way().await));
    }
}

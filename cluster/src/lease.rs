//! Keeping one lease alive, on a task of its own, so that nothing its holder does can be in the way.

use std::{sync::Arc, time::Duration};

use roost_model::{causes, ids::Incarnation};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    clock::Clock,
    lease_deadline::{LeaseDeadline, Standing},
    registry::{RegistryError, SharedRegistry},
    timing::Timing,
};

/// Renews a lease until it is dropped or the lease is gone; it does not revoke. One request is under way at a time,
/// and each renewal counts from before its request was sent.
pub struct LeaseKeeper {
    lease_deadline: watch::Receiver<LeaseDeadline>,
    clock: Arc<dyn Clock>,
    task: JoinHandle<()>,
}

/// A lease, and a key that was written under it.
#[derive(Debug, Clone)]
pub struct HeldKey {
    pub lease: Incarnation,
    pub key: String,
    /// The clock before the lease was asked for.
    pub sent_at: Duration,
}

impl LeaseKeeper {
    pub fn spawn(registry: SharedRegistry, clock: Arc<dyn Clock>, timing: Timing, held: HeldKey) -> Self {
        let mut lease_deadline = LeaseDeadline::new(&timing);
        lease_deadline.renewed(held.sent_at);
        let (sender, receiver) = watch::channel(lease_deadline);
        let task = tokio::spawn(keep(registry, clock.clone(), timing, held, sender));
        Self { lease_deadline: receiver, clock, task }
    }

    pub fn standing(&self) -> Standing {
        self.lease_deadline.borrow().standing(self.clock.now())
    }

    /// Follows every renewal, and the loss. Its sender is gone once the lease is lost.
    pub fn deadline(&self) -> watch::Receiver<LeaseDeadline> {
        self.lease_deadline.clone()
    }

    /// Resolves when nothing may be done under the lease any more.
    pub async fn ended(&self) {
        let mut lease_deadline = self.lease_deadline.clone();
        loop {
            let deadline = lease_deadline.borrow_and_update().deadline();
            let now = self.clock.now();
            if now >= deadline {
                return;
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(deadline - now) => {}
                Ok(()) = lease_deadline.changed() => {}
            }
        }
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(
    registry: SharedRegistry,
    clock: Arc<dyn Clock>,
    timing: Timing,
    held: HeldKey,
    lease_deadline: watch::Sender<LeaseDeadline>,
) {
    let HeldKey { lease, key, .. } = held;
    let mut pause = timing.keepalive_every;
    let mut failing = false;
    loop {
        tokio::time::sleep(pause).await;
        let sent_at = clock.now();
        match registry.keep_alive(lease, &key).await {
            Ok(()) => {
                lease_deadline.send_modify(|lease_deadline| lease_deadline.renewed(sent_at));
                if std::mem::take(&mut failing) {
                    tracing::info!(%lease, "the lease is renewed again");
                }
                let spent = clock.now().saturating_sub(sent_at);
                pause = timing.keepalive_every.saturating_sub(spent);
            }
            Err(error @ (RegistryError::LeaseLost { .. } | RegistryError::Replaced { .. })) => {
                lease_deadline.send_modify(LeaseDeadline::lost);
                tracing::warn!(%lease, error = %causes(&error), "the lease is lost");
                return;
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%lease, error = %causes(&error), "the lease is not renewed");
                }
                pause = timing.keepalive_retry;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::RuntimeClock,
        registry::{MemoryRegistry, Op, Registry},
    };

    const KEY: &str = "held";

    async fn kept(registry: &Arc<MemoryRegistry>) -> (LeaseKeeper, Arc<RuntimeClock>, Incarnation) {
        let (timing, clock) = (Timing::default(), Arc::new(RuntimeClock::start()));
        let sent_at = clock.now();
        let lease = registry.grant(timing.ttl).await.unwrap();
        let claim = Op::Put { key: KEY.to_owned(), value: Vec::new(), lease: Some(lease) };
        registry.commit(&[], &[claim]).await.unwrap();
        let held = HeldKey { lease, key: KEY.to_owned(), sent_at };
        (LeaseKeeper::spawn(registry.clone(), clock.clone(), timing, held), clock, lease)
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_lease_stays_good() {
        let registry = Arc::new(MemoryRegistry::new("memory"));
        let (keeper, _, lease) = kept(&registry).await;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(keeper.standing(), Standing::Good);
        }
        registry.keep_alive(lease, KEY).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_cannot_be_renewed_ends_for_its_holder_before_it_ends_in_the_store() {
        let registry = Arc::new(MemoryRegistry::new("memory"));
        let (keeper, clock, lease) = kept(&registry).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        registry.cut_off();
        let cut_off_at = clock.now();
        keeper.ended().await;
        assert!(clock.now() - cut_off_at <= Timing::default().deadline_after);
        registry.reconnect();
        registry.keep_alive(lease, KEY).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_revoked_lease_ends_with_the_next_renewal() {
        let registry = Arc::new(MemoryRegistry::new("memory"));
        let (keeper, clock, lease) = kept(&registry).await;
        registry.revoke(lease).await.unwrap();
        keeper.ended().await;
        assert!(clock.now() <= Timing::default().keepalive_every);
    }
}

//! Keeping the lease, and saying at every moment what the node may still do under it.
//!
//! The argument is in [`roost_cluster::lease_deadline`]. What is added here: the standing is watched also while a keepalive is
//! under way, for the answer may never come; each renewal moves the guard's deadline, which is somewhat later than
//! ours, so that a healthy node kills its browsers itself and the guard acts only for one that hangs; and a node that
//! was told to stand down never stands up again under the same lease.

use std::{future::Future, sync::Arc, time::Duration};

use roost_cluster::{
    clock::Clock,
    lease_deadline::{LeaseDeadline, Standing},
    registry::{RegistryError, SharedRegistry},
    timing::Timing,
};
use roost_model::{causes, ids::Incarnation};
use tokio::{sync::watch, time::Instant};

use super::pause_detector::PauseDetector;
use crate::guard::GuardLink;

/// Renews one lease until it is lost.
pub struct LeaseKeeper {
    pub registry: SharedRegistry,
    pub lease: Incarnation,
    /// The node's own, which is read after each renewal.
    pub key: String,
    pub timing: Timing,
    pub clock: Arc<dyn Clock>,
    pub deadline: LeaseDeadline,
    pub link: Arc<GuardLink>,
    pub standing: watch::Sender<Standing>,
    pub pauses: PauseDetector,
}

/// The deadline has passed or the lease is gone.
struct Expired;

impl LeaseKeeper {
    /// Returns when the standing has become [`Standing::Expired`].
    pub async fn run(mut self) {
        while self.renew_once().await.is_ok() {}
        self.hurry_guard();
        self.deadline.lost();
        self.standing.send_replace(Standing::Expired);
    }

    async fn renew_once(&mut self) -> Result<(), Expired> {
        let sent_at = self.clock.now();
        let registry = self.registry.clone();
        let (lease, key) = (self.lease, self.key.clone());
        match self.while_lease_holds(async move { registry.keep_alive(lease, &key).await }).await? {
            Ok(()) => {
                self.deadline.renewed(sent_at);
                self.tell_guard();
                self.pause((sent_at + self.timing.keepalive_every).saturating_sub(self.clock.now())).await
            }
            Err(error @ (RegistryError::LeaseLost { .. } | RegistryError::Replaced { .. })) => {
                tracing::warn!(%lease, error = %causes(&error), "the lease is lost");
                Err(Expired)
            }
            Err(error) => {
                tracing::warn!(%lease, error = %causes(&error), "the lease was not renewed");
                self.while_lease_holds(tokio::time::sleep(self.timing.keepalive_retry)).await
            }
        }
    }

    /// Waits, but not while only a renewal tells how the lease stands.
    async fn pause(&mut self, pause: Duration) -> Result<(), Expired> {
        let over = Instant::now() + pause;
        while Instant::now() < over && !self.deadline.is_in_doubt() {
            let next = over.min(Instant::now() + self.timing.look_every);
            self.while_lease_holds(tokio::time::sleep_until(next)).await?;
        }
        Ok(())
    }

    /// Does `work` while the standing is kept up to date; gives it up when the standing expires.
    async fn while_lease_holds<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Expired> {
        tokio::pin!(work);
        loop {
            let change = self.update_standing()?;
            tokio::select! {
                // The standing first: an answer that was ready before a frozen process thawed must not count.
                biased;
                () = tokio::time::sleep(change.min(self.timing.look_every)) => {}
                done = &mut work => {
                    self.update_standing()?;
                    return Ok(done);
                }
            }
        }
    }

    /// Publishes the standing of now and returns how long it holds.
    fn update_standing(&mut self) -> Result<Duration, Expired> {
        let now = self.clock.now();
        if self.pauses.paused(now, self.clock.wall()) {
            tracing::warn!("this machine stood still; nothing is begun until the lease is renewed");
            self.deadline.paused(now);
        }
        let standing = self.deadline.standing(now);
        self.standing.send_if_modified(|known| {
            let changed = *known != standing;
            if changed && standing != Standing::Good {
                tracing::warn!(?standing, lease = %self.lease, "the lease has not been renewed in time");
            }
            *known = standing;
            changed
        });
        match standing {
            Standing::Good => Ok(self.deadline.soft_stop().saturating_sub(now)),
            Standing::SoftStop => Ok(self.deadline.deadline().saturating_sub(now)),
            Standing::Expired => Err(Expired),
        }
    }

    /// Whose lease it is, and until when browsers may live.
    pub fn tell_guard(&self) {
        self.link.lease(self.lease.0);
        self.link.deadline(self.deadline.guard_deadline());
    }

    /// A lease that has ended before its time leaves no more of it to stand down in than one that ran out.
    fn hurry_guard(&self) {
        let by = self.clock.now() + (self.timing.guard_deadline_after - self.timing.deadline_after);
        if by < self.deadline.guard_deadline() {
            self.link.deadline(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use roost_cluster::{
        clock::{BootClock, boottime},
        registry::{MemoryRegistry, Registry},
    };

    use super::*;
    use crate::guard::GuardMessage;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn reaches(standing: &mut watch::Receiver<Standing>, wanted: Standing) {
        let reached = standing.wait_for(|&standing| standing == wanted);
        drop(tokio::time::timeout(PATIENCE, reached).await.expect("never reached").unwrap());
    }

    /// On the real clock, for the deadline is: about one shortest TTL long.
    #[tokio::test]
    async fn an_unreachable_registry_costs_the_standing_step_by_step_and_the_guard_knows_the_deadline() {
        let registry = Arc::new(MemoryRegistry::new("m"));
        let timing = Timing::from_ttl(Duration::from_secs(2)).unwrap();
        let mut deadline = LeaseDeadline::new(&timing);
        let granted_at = boottime();
        deadline.renewed(granted_at);
        let lease = registry.grant(timing.ttl).await.unwrap();
        let (guard, pipe) = rustix::pipe::pipe().unwrap();
        let (standing_tx, mut standing) = watch::channel(Standing::Good);
        let link = Arc::new(GuardLink::new(pipe).unwrap());
        let keeper = LeaseKeeper {
            registry: registry.clone(),
            lease,
            key: "nodes/a".to_owned(),
            timing,
            clock: Arc::new(BootClock),
            deadline,
            link,
            standing: standing_tx,
            pauses: PauseDetector::new(timing.pause_tolerated, &BootClock),
        };
        keeper.tell_guard();
        registry.cut_off();
        keeper.run().await;
        assert!(boottime() >= granted_at + timing.deadline_after);
        reaches(&mut standing, Standing::Expired).await;

        let mut told = String::new();
        std::fs::File::from(guard).read_to_string(&mut told).unwrap();
        let messages: Vec<_> =
            told.lines().map(|line| GuardMessage::parse(line.as_bytes()).unwrap()).collect();
        let deadline = granted_at + timing.guard_deadline_after;
        assert_eq!(messages, [GuardMessage::Lease(lease.0), GuardMessage::Deadline(deadline)]);
    }

    #[tokio::test]
    async fn a_lease_that_is_gone_expires_the_standing_at_once() {
        let registry = Arc::new(MemoryRegistry::new("m"));
        let timing = Timing::from_ttl(Duration::from_secs(60)).unwrap();
        let mut deadline = LeaseDeadline::new(&timing);
        deadline.renewed(boottime());
        let (_guard, pipe) = rustix::pipe::pipe().unwrap();
        let (standing_tx, mut standing) = watch::channel(Standing::Good);
        let link = Arc::new(GuardLink::new(pipe).unwrap());
        let lease = Incarnation(404);
        let clock = Arc::new(BootClock);
        let pauses = PauseDetector::new(timing.pause_tolerated, &BootClock);
        let key = "nodes/a".to_owned();
        let keeper = LeaseKeeper {
            registry,
            lease,
            key,
            timing,
            clock,
            deadline,
            link,
            standing: standing_tx,
            pauses,
        };
        tokio::spawn(keeper.run());
        reaches(&mut standing, Standing::Expired).await;
    }
}

//! Keeping the lease, and saying at every moment what the node may still do under it.
//!
//! The argument is in [`roost_cluster::fence`]. What is added here: the standing is watched also while a keepalive is
//! under way, for the answer may never come; each renewal moves the guard's deadline, which is somewhat later than
//! ours, so that a healthy node kills its browsers itself and the guard acts only for one that hangs; and a node that
//! was told to stand down never stands up again under the same lease.

use std::{future::Future, sync::Arc, time::Duration};

use roost_cluster::{
    clock::boottime,
    fence::{Fence, Standing},
    ids::Incarnation,
    registry::{RegistryError, SharedRegistry},
    timing::Timing,
};
use tokio::sync::watch;

use crate::guard::GuardLink;

/// Renews one lease until it is lost.
pub(super) struct Keeper {
    pub(super) registry: SharedRegistry,
    pub(super) lease: Incarnation,
    pub(super) timing: Timing,
    pub(super) fence: Fence,
    pub(super) link: Arc<GuardLink>,
    pub(super) standing: watch::Sender<Standing>,
}

/// The deadline has passed or the lease is gone.
struct Expired;

impl Keeper {
    /// Returns when the standing has become [`Standing::Expired`].
    pub(super) async fn run(mut self) {
        while self.renew_once().await.is_ok() {}
        self.fence.lost();
        self.standing.send_replace(Standing::Expired);
    }

    async fn renew_once(&mut self) -> Result<(), Expired> {
        let sent_at = boottime();
        let registry = self.registry.clone();
        let lease = self.lease;
        let pause = match self.watchful(async move { registry.keep_alive(lease).await }).await? {
            Ok(()) => {
                self.fence.renewed(sent_at);
                self.tell_guard();
                (sent_at + self.timing.keepalive_every).saturating_sub(boottime())
            }
            Err(RegistryError::LeaseLost { .. }) => {
                tracing::error!(%lease, "the lease is lost");
                return Err(Expired);
            }
            Err(error) => {
                tracing::warn!(%lease, %error, "the lease was not renewed");
                self.timing.keepalive_retry
            }
        };
        self.watchful(tokio::time::sleep(pause)).await
    }

    /// Does `work` while the standing is kept up to date; gives it up when the standing expires.
    async fn watchful<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Expired> {
        tokio::pin!(work);
        loop {
            let change = self.update_standing()?;
            tokio::select! {
                // The standing first: an answer that was ready before a frozen process thawed must not count.
                biased;
                () = tokio::time::sleep(change) => {}
                done = &mut work => {
                    self.update_standing()?;
                    return Ok(done);
                }
            }
        }
    }

    /// Publishes the standing of now and returns how long it holds.
    fn update_standing(&mut self) -> Result<Duration, Expired> {
        let now = boottime();
        let standing = self.fence.standing(now);
        self.standing.send_if_modified(|known| {
            let changed = *known != standing;
            if changed && standing != Standing::Good {
                tracing::warn!(?standing, lease = %self.lease, "the lease has not been renewed in time");
            }
            *known = standing;
            changed
        });
        match standing {
            Standing::Good => Ok(self.fence.soft_stop().saturating_sub(now)),
            Standing::SoftStop => Ok(self.fence.deadline().saturating_sub(now)),
            Standing::Expired => Err(Expired),
        }
    }

    /// Whose lease it is, and until when browsers may live.
    pub(super) fn tell_guard(&self) {
        self.link.lease(self.lease.0);
        // Half of the kill time is ours, half the guard's.
        self.link.deadline(self.fence.deadline() + self.timing.kill_time / 2);
    }
}

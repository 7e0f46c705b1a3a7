//! The loop of a node's life: what is assigned is taken in, and what has come of it acknowledged, until the lease is lost or
//! the node has been asked to stop and its tenants are handed over.

use std::time::Duration;

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{assignments::Assigned, supervisor::Supervisor, tenant_runtime::TenantRuntime};

/// How long the tenants may take to be handed over. What follows, giving the lease back and resigning, takes seconds
/// when etcd is slow, and at 20 s the guard kills.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(16);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncarnationEnd {
    /// The lease is gone, and what runs must be killed.
    Lost,
    /// Asked to; the tenants have been handed over, or the time for it is over.
    Stopped,
}

/// `lost` resolves with the lease; `leave` is called when the hand-over begins.
pub async fn serve<R: TenantRuntime>(
    supervisor: &mut Supervisor<R>,
    assigned: &mut watch::Receiver<Assigned>,
    lost: impl Future<Output = ()>,
    stop: &CancellationToken,
    mut leave: impl FnMut(),
) -> IncarnationEnd {
    let mut lost = std::pin::pin!(lost);
    let mut hand_over_by: Option<Instant> = None;
    loop {
        if hand_over_by.is_some() && supervisor.is_empty() {
            return IncarnationEnd::Stopped;
        }
        tokio::select! {
            biased;
            () = &mut lost => return IncarnationEnd::Lost,
            () = stop.cancelled(), if hand_over_by.is_none() => {
                tracing::info!("handing the tenants over");
                hand_over_by = Some(Instant::now() + HAND_OVER_WITHIN);
                supervisor.leave();
                leave();
            }
            () = tokio::time::sleep_until(hand_over_by.unwrap_or_else(Instant::now)), if hand_over_by.is_some() => {
                tracing::warn!("not every tenant could be handed over in time");
                return IncarnationEnd::Stopped;
            }
            // A leaving node still takes records in: they say that its tenants are released.
            changed = assigned.changed() => match changed {
                Ok(()) => {
                    let assigned = assigned.borrow_and_update().clone();
                    supervisor.assign(assigned);
                }
                Err(_) => unreachable!("the follower lives as long as its receiver"),
            },
            () = supervisor.progress() => {}
        }
    }
}

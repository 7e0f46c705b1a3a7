//! `roost-node revoke`: ends the lease of a dead child, so that its tenants are placed elsewhere at once.
//!
//! A process of its own because the guard must never wait for a network. It tries for as long as the lease can last;
//! after that the lease has ended by itself.

use std::time::Duration;

use roost_cluster::{
    ids::Incarnation,
    registry::{EtcdRegistry, Registry, RegistryError},
    timing::Timing,
};

/// Revokes `lease`, again and again until it succeeds or the lease must be over.
pub async fn revoke(
    endpoints: &[String],
    cluster: &str,
    timing: &Timing,
    lease: Incarnation,
) -> Result<(), RegistryError> {
    let registry = EtcdRegistry::connect(endpoints, cluster, timing.request_timeout).await?;
    let over = tokio::time::Instant::now() + timing.ttl;
    loop {
        match registry.revoke(lease).await {
            Ok(()) => {
                tracing::info!(%lease, "the dead node's lease is ended");
                return Ok(());
            }
            Err(error) if tokio::time::Instant::now() >= over => return Err(error),
            Err(error) => tracing::warn!(%lease, %error, "the dead node's lease could not be ended yet"),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

const RETRY_AFTER: Duration = Duration::from_millis(100);

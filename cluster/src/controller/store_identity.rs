//! Which etcd this is, and whether it may be trusted yet.
//!
//! "No live node has this tenant" is read from etcd. An etcd that was lost and founded anew has forgotten nodes that
//! are alive and have browsers running: until their deadlines, which count from keepalives that the old store
//! answered, they are live owners that nobody sees. So in a new store nothing is placed until a TTL has passed, after
//! which every one of them has killed what it had (I1). The store says itself whether that has been waited for, so a
//! controller that dies while waiting is followed by one that waits. Where the ledger has nothing placed, as in a
//! cluster that is set up for the first time, there is nothing to wait for.
//!
//! A store that was put back from a backup is known by its etcd's id or by a leader's key that is older than the
//! ledger's. A backup that is younger than the last election shows neither: whoever restores one stops the nodes first,
//! or deletes the key `store`.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    election::Leadership,
    keys,
    ledger::DesiredTenant,
    records::StoreRecord,
    registry::{Commit, Guard, Op, Registry},
};

use super::error::ControllerError;

/// Reads the store's record, and writes a new one where there is none or where it is a copy from another etcd.
pub(super) async fn identify(
    registry: &dyn Registry,
    leadership: &Leadership,
) -> Result<StoreRecord, ControllerError> {
    let etcd_cluster = registry.cluster_id().await.map_err(ControllerError::Registry)?;
    let known = registry.get(keys::STORE).await.map_err(ControllerError::Registry)?;
    if let Some(entry) = &known {
        let record: StoreRecord = keys::decode(entry).map_err(ControllerError::Registry)?;
        if record.etcd_cluster == etcd_cluster {
            return Ok(record);
        }
    }
    initialise(registry, leadership).await
}

/// Makes this a store that was never seen before.
pub(super) async fn initialise(
    registry: &dyn Registry,
    leadership: &Leadership,
) -> Result<StoreRecord, ControllerError> {
    let etcd_cluster = registry.cluster_id().await.map_err(ControllerError::Registry)?;
    let record = StoreRecord { id: Uuid::now_v7().to_string(), etcd_cluster, settled: false };
    tracing::info!(store = record.id, etcd_cluster = record.etcd_cluster, "a new store is taken into use");
    write(registry, leadership, &record).await?;
    Ok(record)
}

/// How long to wait before the first placement, and then to call [`settle`].
pub(super) fn wait_before_placing(
    record: &StoreRecord,
    desired_tenants: &[DesiredTenant],
    ttl: Duration,
) -> Duration {
    let nothing_placed = desired_tenants.iter().all(|desired| desired.node.is_none());
    if record.settled || nothing_placed { Duration::ZERO } else { ttl }
}

/// Writes down that nothing from before this store can be alive.
pub(super) async fn settle(
    registry: &dyn Registry,
    leadership: &Leadership,
    record: &StoreRecord,
) -> Result<(), ControllerError> {
    if record.settled {
        return Ok(());
    }
    write(registry, leadership, &StoreRecord { settled: true, ..record.clone() }).await
}

async fn write(
    registry: &dyn Registry,
    leadership: &Leadership,
    record: &StoreRecord,
) -> Result<(), ControllerError> {
    const WRITE: &str = "the store's record";
    // Only the leader writes it, so its guard is all that is needed.
    let put = Op::Put { key: keys::STORE.to_owned(), value: keys::encode(record), lease: None };
    let guards: [Guard; 1] = [leadership.guard()];
    match registry.commit(&guards, &[put]).await {
        Ok(Commit::Done { .. }) => Ok(()),
        Ok(Commit::Refused) => Err(ControllerError::Superseded),
        Err(error) => Err(ControllerError::writing_registry(WRITE, error)),
    }
}

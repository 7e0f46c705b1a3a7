//! The day's sweep of the object store: which snapshots are nobody's any more, and the removal of those that were nobody's for
//! too long.
//!
//! One node of the cluster lists the object store once in a day, asks the database by thousands whose that is, and leaves word of
//! what is nobody's there ([`roost_store::snapshot_orphans`] says why such an orphan stays for a time). What a deleted tenant
//! has left goes at once: the upload that left it came later than the hour's sweeps. Every node looks for orphans that are
//! to be removed, and claims some.

use std::{sync::Arc, time::Duration};

use roost_model::causes;
use roost_store::StoreError;
use time::OffsetDateTime;
use uuid::Uuid;

use super::env::HostEnv;
use crate::session::SessionError;

/// Uids that the database is asked about at once.
const BATCH: usize = 5_000;
/// Orphans that a node removes in one round.
const CLAIMED: u32 = 16;

#[derive(Debug, thiserror::Error)]
pub(super) enum OrphanSweepError {
    #[error("the database could not be asked whose snapshots there are")]
    Store(#[from] StoreError),
    #[error("the object store could not be listed")]
    Listing(#[source] SessionError),
}

pub(super) struct OrphanSweep {
    host: Arc<HostEnv>,
    retention: Duration,
}

impl OrphanSweep {
    /// `retention`: how long snapshots are kept whose tenant nobody knows.
    pub(super) fn new(host: Arc<HostEnv>, retention: Duration) -> Self {
        Self { host, retention }
    }

    /// One round: the day's sweep, if it is due and nobody else's, and then what is to be removed.
    pub(super) async fn round(&self) -> Result<(), OrphanSweepError> {
        let store = &self.host.node.store;
        if let Some(begun_at) = store.begin_snapshot_sweep().await?
            && let Err(error) = self.sweep(begun_at).await
        {
            store.give_back_snapshot_sweep().await?;
            return Err(error);
        }
        for uid in store.due_snapshot_orphans(self.retention, CLAIMED).await? {
            if self.remove(uid).await {
                store.snapshot_orphan_removed(uid).await?;
                tracing::info!(%uid, "removed the snapshots of a tenant that nobody knows");
            }
        }
        Ok(())
    }

    async fn sweep(&self, begun_at: OffsetDateTime) -> Result<(), OrphanSweepError> {
        let store = &self.host.node.store;
        let uids = self.host.node.snapshots.tenants().await.map_err(OrphanSweepError::Listing)?;
        for batch in uids.chunks(BATCH) {
            for uid in store.sort_snapshots(batch).await?.removed {
                if self.remove(uid).await {
                    tracing::info!(%uid, "removed what a deleted tenant had left in the object store");
                }
            }
        }
        let orphans = store.end_snapshot_sweep(begun_at).await?;
        if orphans > 0 {
            tracing::warn!(
                orphans,
                kept_for = ?self.retention,
                "snapshots in the object store are of tenants that the database neither knows nor has deleted: see roost snapshot orphans"
            );
        }
        Ok(())
    }

    /// One that cannot be removed holds up no other: its claim ends, and somebody tries again.
    async fn remove(&self, uid: Uuid) -> bool {
        let removed = self.host.node.snapshots.delete_tenant(uid).await;
        if let Err(error) = &removed {
            tracing::warn!(%uid, error = %causes(error), "snapshots that are nobody's were not removed");
        }
        removed.is_ok()
    }
}

//! Removing what deleted tenants left: snapshots in the object store and profiles on this node's disk.
//!
//! A deletion is one transaction in Postgres (I3); what lies elsewhere follows. Snapshots of recent removals are removed
//! again and again, since an upload may have been under way, by every node, since it does no harm twice. Profiles of
//! recent removals are removed too, and so are those of tenants that Postgres does not know, for a node may have been away
//! for longer than removals are remembered; but only while it knows other tenants of this disk: a node that was pointed
//! at an empty database must not remove every session it has. A profile in use is left for the next sweep.

use std::{collections::HashSet, sync::Arc, time::Duration};

use roost_model::causes;
use roost_store::StoreError;
use uuid::Uuid;

use super::env::HostEnv;
use crate::{blocking::run_blocking, env::NodeEnv, session::SessionError};

/// Nothing waits for a sweep: a deletion has taken effect long before. Whoever had the tenant when it was deleted sweeps at
/// once, so this is for what was missed, such as the profiles that earlier owners have.
const EVERY: Duration = Duration::from_secs(60);

/// Sweeps at its interval, and when a tenant of this node was deleted and its browser is gone.
pub(super) struct Sweeper {
    pub(super) host: Arc<HostEnv>,
}

#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error("the database could not be asked")]
    Store(#[from] StoreError),
    #[error("what a deleted tenant left could not be removed")]
    Session(#[from] SessionError),
}

impl Sweeper {
    /// Runs for as long as the process.
    pub(super) async fn run(self) {
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(error = %causes(&error), "a sweep was not finished");
            }
            // An error is the timeout's: it is time all the same.
            let _early = tokio::time::timeout(EVERY, self.host.removed.notified()).await;
        }
    }

    async fn sweep(&self) -> Result<(), SweepError> {
        let NodeEnv { store, snapshots, profiles, .. } = &*self.host.node;
        let removed: HashSet<_> = store.recent_removals().await?.iter().map(|removal| removal.uid).collect();
        for uid in &removed {
            snapshots.delete_tenant(*uid).await?;
        }
        store.purge_removals().await?;
        let profiles = profiles.clone();
        let here = run_blocking(move || profiles.list()).await?;
        let uids: Vec<_> = here.iter().map(|(uid, _)| *uid).collect();
        let known: HashSet<_> = store.existing_uids(&uids).await?.into_iter().collect();
        let is_over = |uid: &Uuid| removed.contains(uid) || (!known.is_empty() && !known.contains(uid));
        for (uid, profile) in here.into_iter().filter(|(uid, _)| is_over(uid)) {
            match profile.lock() {
                Ok(locked) => locked.remove().await?,
                Err(SessionError::InUse { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
            tracing::info!(%uid, "removed the profile of a deleted tenant");
        }
        Ok(())
    }
}

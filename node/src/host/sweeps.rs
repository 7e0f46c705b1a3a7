//! Removing what deleted tenants left: snapshots in the object store and profiles on this node's disk.
//!
//! A deletion is one transaction in Postgres (I3); what lies elsewhere follows. Snapshots of recent removals are removed
//! again and again, since an upload may have been under way, by every node, since it does no harm twice. Profiles of
//! removals are removed too, of this hour or long ago, for a node may have been away. What Postgres neither knows nor has
//! removed stays: a database that was restored from a backup has forgotten tenants, and a node may have been pointed at
//! another one. Such orphans are counted, told of once an hour, and removed after the time that the operator has set. A
//! profile in use is left for the next sweep. Snapshots that are nobody's are another sweep's ([`super::orphan_sweep`]), and so
//! are profiles of tenants that have moved away ([`super::superseded_sweep`]).

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use roost_model::causes;
use roost_store::StoreError;
use uuid::Uuid;

use super::{env::HostEnv, orphan_sweep::OrphanSweep, superseded_sweep::SupersededSweep};
use crate::{
    blocking::run_blocking,
    config::NodeArgs,
    env::NodeEnv,
    session::{Profile, SessionError},
};

/// Nothing waits for a sweep: a deletion has taken effect long before. Whoever had the tenant when it was deleted sweeps at
/// once, so this is for what was missed, such as the profiles that earlier owners have.
const EVERY: Duration = Duration::from_secs(60);
/// From one word about orphans to the next.
const TOLD_EVERY: Duration = Duration::from_secs(3600);

/// Sweeps at its interval, and when a tenant of this node was deleted and its browser is gone.
pub(super) struct Sweeper {
    host: Arc<HostEnv>,
    orphan_retention: Duration,
    snapshots: OrphanSweep,
    superseded: SupersededSweep,
    told_at: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error("the database could not be asked")]
    Store(#[from] StoreError),
    #[error("the profiles could not be listed")]
    Session(#[from] SessionError),
}

impl Sweeper {
    /// The settings say how long what is of no use is kept.
    pub(super) fn new(host: Arc<HostEnv>, args: &NodeArgs) -> Self {
        let snapshots = OrphanSweep::new(host.clone(), args.snapshot_orphan_retention);
        let superseded = SupersededSweep::new(host.clone(), args.id.clone(), args.moved_profile_retention);
        Self { host, orphan_retention: args.orphan_retention, snapshots, superseded, told_at: None }
    }

    /// Runs for as long as the process.
    pub(super) async fn run(mut self) {
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(error = %causes(&error), "a sweep was not finished");
            }
            if let Err(error) = self.snapshots.round().await {
                tracing::warn!(error = %causes(&error), "a sweep of the object store was not finished");
            }
            if let Err(error) = self.superseded.round().await {
                tracing::warn!(error = %causes(&error), "a sweep of what moved tenants left was not finished");
            }
            // An error is the timeout's: it is time all the same.
            let _early = tokio::time::timeout(EVERY, self.host.removed.notified()).await;
        }
    }

    async fn sweep(&mut self) -> Result<(), SweepError> {
        let NodeEnv { store, snapshots, profiles, .. } = &*self.host.node;
        for removal in store.recent_removals().await? {
            // Unless its id has been given again, to one that is here.
            if self.host.workers.status(&removal.tenant).is_none() {
                self.host.worker_log.remove(&removal.tenant).await;
            }
            if let Err(error) = snapshots.delete_tenant(removal.uid).await {
                tell_failure(removal.uid, &error);
            }
        }
        store.purge_removals().await?;
        let profiles = profiles.clone();
        let here = run_blocking(move || profiles.list()).await?;
        let uids: Vec<_> = here.iter().map(|(uid, _)| *uid).collect();
        // In this order: a tenant that is deleted between the two is known still.
        let known: HashSet<_> = store.existing_uids(&uids).await?.into_iter().collect();
        let removed: HashSet<_> = store.removed_uids(&uids).await?.into_iter().collect();
        let mut orphans = 0;
        for (uid, profile) in here {
            match self.dispose(uid, &profile, disposition(&uid, &removed, &known)).await {
                Ok(is_orphan) => orphans += usize::from(is_orphan),
                Err(error) => tell_failure(uid, &error),
            }
        }
        self.tell(orphans);
        Ok(())
    }

    /// `true` for one that is nobody's and stays.
    async fn dispose(
        &self,
        uid: Uuid,
        profile: &Profile,
        disposition: Disposition,
    ) -> Result<bool, SessionError> {
        match disposition {
            Disposition::Kept => profile.is_somebodys()?,
            Disposition::Removed => remove(uid, profile, "removed the profile of a deleted tenant").await?,
            Disposition::Orphaned if profile.orphaned_for(SystemTime::now())? < self.orphan_retention => {
                return Ok(true);
            }
            Disposition::Orphaned => {
                remove(uid, profile, "removed a profile that was nobody's for too long").await?;
            }
        }
        Ok(false)
    }

    fn tell(&mut self, orphans: usize) {
        self.host.health.set_orphans(orphans);
        if orphans > 0 && self.told_at.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
            self.told_at = Some(Instant::now());
            let kept_for = self.orphan_retention;
            tracing::warn!(
                orphans,
                ?kept_for,
                "profiles here are of tenants that the database neither knows nor has deleted"
            );
        }
    }
}

/// One that cannot be removed holds up no other: the next sweep tries it again.
fn tell_failure(uid: Uuid, error: &SessionError) {
    tracing::warn!(%uid, error = %causes(error), "what a tenant left was not swept");
}

/// What is to become of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disposition {
    Kept,
    Removed,
    Orphaned,
}

fn disposition(uid: &Uuid, removed: &HashSet<Uuid>, known: &HashSet<Uuid>) -> Disposition {
    match (known.contains(uid), removed.contains(uid)) {
        (true, _) => Disposition::Kept,
        (false, true) => Disposition::Removed,
        (false, false) => Disposition::Orphaned,
    }
}

async fn remove(uid: Uuid, profile: &Profile, what: &'static str) -> Result<(), SessionError> {
    match profile.lock() {
        Ok(locked) => locked.remove().await?,
        Err(SessionError::InUse { .. }) => return Ok(()),
        Err(error) => return Err(error),
    }
    tracing::info!(%uid, "{what}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_goes_by_its_tombstone_and_not_because_nobody_knows_it() {
        let [here, gone, lost] = [1, 2, 3].map(Uuid::from_u128);
        let (known, removed) = (HashSet::from([here]), HashSet::from([gone]));
        assert_eq!(
            [here, gone, lost].map(|uid| disposition(&uid, &removed, &known)),
            [Disposition::Kept, Disposition::Removed, Disposition::Orphaned]
        );
        assert_eq!(
            disposition(&lost, &HashSet::new(), &HashSet::new()),
            Disposition::Orphaned,
            "an empty database"
        );
        // It was restored from before the deletion.
        assert_eq!(disposition(&gone, &removed, &HashSet::from([gone])), Disposition::Kept);
    }
}

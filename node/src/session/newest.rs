//! Which snapshot is a session's newest. The pointer in the database says so, unless the database has gone back (it was restored
//! from a backup, or failed over with loss), or an owner was gone between its snapshot and the pointer: then the object store
//! knows better. One listing of the tenant's snapshots tells:
//!
//! - one of an earlier owner that is after the pointer is the newest;
//! - what a tombstone covers is not restored, and neither is a profile from before it, nor what was found to be damaged;
//! - neither is a snapshot that says itself that it is of a session before;
//! - a generation later than the owner's own is one that the database has not given yet. Such an owner could save nothing.

use roost_model::{causes, ids::Generation};

use super::{
    LockedProfile, SessionError, SnapshotRef, SnapshotStore, files, profile::UNOWNED,
    snapshot_listing::SnapshotListing,
};

/// What the owner of a session finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundSession {
    /// The snapshot that the pointer names, or none.
    AsPointed(Option<SnapshotRef>),
    /// One that is after the pointer.
    Unpointed(SnapshotRef),
    /// It is not the owner's to open.
    Later(LaterSession),
}

/// A session that is later than its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaterSession {
    pub generation: Generation,
    /// The newest snapshot, if it is later; none if it cannot be read.
    pub snapshot: Option<SnapshotRef>,
}

impl LockedProfile {
    /// Looks at the profile and at the snapshots. An object store that is away is no obstacle to a start: what is there is
    /// found when the first snapshot is refused.
    pub async fn find_session(
        &self,
        snapshots: &SnapshotStore,
        pointer: Option<&SnapshotRef>,
        ours: Generation,
    ) -> Result<FoundSession, SessionError> {
        let listing = match snapshots.listing(self.uid()).await {
            Ok(listing) => listing,
            Err(error @ SessionError::Store { .. }) => {
                tracing::debug!(error = %causes(&error), "whether there are later snapshots is not known");
                SnapshotListing::default()
            }
            Err(error) => return Err(error),
        };
        if let Some(generation) = self.later_generation(&listing, ours) {
            let saved = listing.restorable().next_back().filter(|name| name.generation > ours);
            let snapshot = match saved {
                Some(name) => snapshots.readable(name).await?.map(|manifest| manifest.reference()),
                None => None,
            };
            return Ok(FoundSession::Later(LaterSession { generation, snapshot }));
        }
        self.forget_with(&listing).await?;
        self.beginning.among(&listing);
        let pointed = pointer.map(|pointer| self.named(pointer)).filter(|name| listing.is_restorable(name));
        // What was taken under our own generation is never newer than the profile here.
        let unpointed =
            listing.restorable().rev().filter(|name| name.generation < ours && Some(**name) > pointed);
        for name in unpointed {
            if let Some(manifest) = snapshots.readable(name).await?
                && self.takes_up(&manifest)
            {
                return Ok(FoundSession::Unpointed(manifest.reference()));
            }
        }
        Ok(FoundSession::AsPointed(pointer.filter(|_| pointed.is_some()).cloned()))
    }

    fn later_generation(&self, listing: &SnapshotListing, ours: Generation) -> Option<Generation> {
        let used = [self.stamp(), self.stamp_aside()].into_iter().flatten().map(|stamp| stamp.generation);
        used.chain(listing.newest_generation()).max().filter(|generation| *generation > ours)
    }

    /// The session was forgotten by another node's worker: what is here from before goes too.
    async fn forget_with(&self, listing: &SnapshotListing) -> Result<(), SessionError> {
        let Some(forgotten) = &listing.forgotten else { return Ok(()) };
        let before = |generation| generation != UNOWNED && generation < forgotten.generation;
        if self.stamp_aside().is_some_and(|stamp| before(stamp.generation)) {
            files::remove_dir(&self.aside())?;
        }
        if self.stamp().is_some_and(|stamp| before(stamp.generation)) {
            self.wipe().await?;
        }
        Ok(())
    }
}

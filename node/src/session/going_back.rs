//! Going back to an older snapshot because an operator has ordered it, although what is here, or in the store, is newer.
//!
//! It is as in `fallback`, but for what is passed over: nothing is damaged. The owner (1) restores the chosen snapshot in the
//! place of the profile here, (2) stores a copy of it under its own generation, which is later than all there is, (3) marks
//! what lies between the two as what is restored no more, and (4) has the pointer go to the copy, which ends the order. Whoever finds
//! the order, after a crash anywhere before (4), does all of it anew; after it the copy is the newest, and what was later than the
//! chosen one comes back neither by the search for the newest nor when the copy turns out to be damaged.

use roost_model::{causes, ids::Generation};
use roost_store::SnapshotId;
use tokio::time::sleep;

use super::fallback::ASK_AGAIN_AFTER;
use super::manifest::ManifestName;
use super::profile::LockedProfile;
use super::restore::{PreparedProfile, SessionSource};
use super::{SessionError, SnapshotRef, SnapshotStore};

/// What came of it.
#[derive(Debug)]
pub enum GoingBack {
    /// The profile is the snapshot's; `clean` as that is.
    Ready { prepared: PreparedProfile, clean: bool },
    /// Nothing was changed, and nothing will be by another try.
    Impossible { reason: String },
}

impl LockedProfile {
    /// Makes the profile ready for a browser of `generation` from this snapshot.
    pub async fn go_back(
        &self,
        snapshots: &SnapshotStore,
        to: SnapshotId,
        generation: Generation,
    ) -> Result<GoingBack, SessionError> {
        let name = self.of(to);
        let listing = snapshots.listing(self.uid()).await?;
        if !listing.is_empty() && !listing.is_restorable(&name) {
            let reason = "it was passed over, or is of a session before".to_owned();
            return Ok(GoingBack::Impossible { reason });
        }
        self.beginning.among(&listing);
        let gone_back = match self.try_to_go_back(snapshots, &name, generation).await {
            Err(error) if error.shows_damage() => {
                sleep(ASK_AGAIN_AFTER).await;
                self.try_to_go_back(snapshots, &name, generation).await
            }
            done => done,
        };
        match gone_back {
            // A store that has nothing of the tenant is another one: a person sees to that.
            Err(error) if error.shows_damage() && !listing.is_empty() => {
                Ok(GoingBack::Impossible { reason: causes(&error).to_string() })
            }
            done => done,
        }
    }

    async fn try_to_go_back(
        &self,
        snapshots: &SnapshotStore,
        to: &ManifestName,
        generation: Generation,
    ) -> Result<GoingBack, SessionError> {
        let manifest = snapshots.manifest(to).await?;
        if !self.takes_up(&manifest) {
            let reason = format!("it is of the session {}, and this is {}", manifest.session, self.session());
            return Ok(GoingBack::Impossible { reason });
        }
        let local_storage = self.restore(snapshots, &manifest.reference()).await?;
        self.begin_use(generation)?;
        let source = SessionSource::Restored { generation: to.generation, sequence: to.sequence };
        let prepared = PreparedProfile { browser_dir: self.browser_dir(), local_storage, source };
        Ok(GoingBack::Ready { prepared, clean: manifest.clean })
    }

    /// From now on what is after the chosen snapshot, and before the copy of it, is restored no more.
    pub async fn pass_over_between(
        &self,
        snapshots: &SnapshotStore,
        chosen: SnapshotId,
        copy: &SnapshotRef,
    ) -> Result<(), SessionError> {
        let (chosen, copy) = (self.of(chosen), self.named(copy));
        let listing = snapshots.listing(self.uid()).await?;
        for name in listing.restorable().filter(|name| chosen < **name && **name < copy) {
            snapshots.mark_damaged(name).await?;
        }
        Ok(())
    }

    fn of(&self, SnapshotId { generation, sequence }: SnapshotId) -> ManifestName {
        ManifestName { uid: self.uid(), generation, sequence }
    }
}

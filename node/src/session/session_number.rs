//! Which of a tenant's sessions is meant. A session that was forgotten, or in whose place another phone was linked, must not come
//! back from the profile of a node that was away then, also when the object store, which has its tombstone, does not answer. So
//! the database numbers them, and stamps and manifests carry the number: what has a lower one than the owner was given is void.
//!
//! A higher one is of a database that has gone back: it is taken up, and the database is told.

use std::sync::atomic::Ordering;

use roost_model::ids::{Generation, SessionNumber};

use super::manifest::Manifest;
use super::profile::{LockedProfile, ProfileStamp, UNOWNED};
use super::{SessionError, files};

impl LockedProfile {
    /// The session that its owner has.
    pub fn session(&self) -> SessionNumber {
        SessionNumber(self.session.load(Ordering::Relaxed))
    }

    /// Removes what is here of a session before this one.
    pub async fn keep_session(&self, given: SessionNumber) -> Result<(), SessionError> {
        let stamps = [self.stamp(), self.stamp_aside()];
        let is_owned = |stamp: &&ProfileStamp| stamp.generation != UNOWNED;
        let here = stamps.iter().flatten().filter(is_owned).map(|stamp| stamp.session).max();
        self.session.fetch_max(here.max(Some(given)).unwrap_or(given).0, Ordering::Relaxed);
        let session = self.session();
        let is_void = |stamp: ProfileStamp| stamp.generation != UNOWNED && stamp.session < session;
        let [current, aside] = stamps.map(|stamp| stamp.is_some_and(is_void));
        if aside {
            files::remove_dir(&self.aside())?;
        }
        if current {
            tracing::info!(%session, "the profile here is of a session before and is removed");
            self.wipe().await?;
        }
        Ok(())
    }

    /// What is saved from here on is of this session: the one before was forgotten, or another phone is linked.
    pub fn begin_session(&self, number: SessionNumber, generation: Generation) -> Result<(), SessionError> {
        self.session.fetch_max(number.0, Ordering::Relaxed);
        self.beginning.with_nothing();
        match self.stamp().filter(|stamp| stamp.generation == generation) {
            Some(stamp) => {
                self.write_stamp(&ProfileStamp { session: self.session(), has_session: false, ..stamp })
            }
            None => Ok(()),
        }
    }

    /// Whether a snapshot is of the session that there is now. One that is later is what there is now.
    pub(super) fn takes_up(&self, manifest: &Manifest) -> bool {
        manifest.session >= SessionNumber(self.session.fetch_max(manifest.session.0, Ordering::Relaxed))
    }
}

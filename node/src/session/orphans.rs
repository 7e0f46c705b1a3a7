//! Profiles of tenants that the database does not know and does not remember to have deleted, as after it was restored from a
//! backup: whether anybody misses them is not for a sweep to decide, so it notes since when they are nobody's.

use std::{
    io,
    time::{Duration, SystemTime},
};

use super::{SessionError, files, profile::Profile};

/// In a profile, beside its lock; its time of modification is since when.
const ORPHAN: &str = "orphan";

impl Profile {
    /// For how long it has been nobody's: since it was first found to be.
    pub fn orphaned_for(&self, now: SystemTime) -> Result<Duration, SessionError> {
        let path = self.root().join(ORPHAN);
        let since = match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                files::create_private_file(&path).and_then(|file| file.metadata())
            }
            known => known,
        };
        let age = since.and_then(|metadata| files::age(&metadata, now));
        age.map_err(SessionError::disk("noting that a profile is nobody's", path))
    }

    /// Its tenant is there again, as if it had never been missed.
    pub fn is_somebodys(&self) -> Result<(), SessionError> {
        files::remove_file(&self.root().join(ORPHAN))
    }
}

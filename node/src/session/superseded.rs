//! Profiles of tenants that were here and have moved away: since when a later owner's snapshot is recorded, from when on what is
//! here is of use only if that one and those after it turn out to be damaged.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use roost_model::ids::Generation;

use super::{SessionError, files, profile::Profile};

/// In a profile, beside its lock. It holds the last generation that used the profile, and its time of modification is since when
/// there is a later one's snapshot.
const SUPERSEDED: &str = "superseded";

impl Profile {
    /// For how long a later snapshot has been known than what `last`, the last generation here, has left: since it was first
    /// found. One that was used again since is counted anew.
    pub fn superseded_for(&self, last: Generation, now: SystemTime) -> Result<Duration, SessionError> {
        let path = self.root().join(SUPERSEDED);
        let noted = match files::read_json::<Generation>(&path) {
            // Written by halves, or by nobody who knows how.
            Err(SessionError::Corrupt { .. }) => None,
            noted => noted?,
        };
        if noted != Some(last) {
            files::write_json(&path, &last)?;
        }
        let age = fs::metadata(&path).and_then(|metadata| files::age(&metadata, now));
        age.map_err(SessionError::disk("noting that a profile is superseded", path))
    }

    /// It is of use again, or still.
    pub fn is_not_superseded(&self) -> Result<(), SessionError> {
        files::remove_file(&self.root().join(SUPERSEDED))
    }
}

//! The files of a profile in which its session is.

use std::{fs, io, path::Path, time::UNIX_EPOCH};

use super::ProfileError;

pub(super) const INDEXED_DB: &str = "Default/IndexedDB";
pub(super) const LOCAL_STORAGE: &str = "Default/Local Storage/leveldb";
pub(super) const DATABASE: &str = ".indexeddb.leveldb";
pub(super) const BLOBS: &str = ".indexeddb.blob";

/// A file that may be of the session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProfileFile {
    /// Relative to the profile, with '/'.
    pub path: String,
    pub bytes: u64,
    pub(super) modified_ns: u128,
}

/// All of them, in the order of their paths.
pub(super) fn find(profile: &Path) -> Result<Vec<ProfileFile>, ProfileError> {
    let mut files = Vec::new();
    for store in [INDEXED_DB, LOCAL_STORAGE] {
        search(profile, store, &mut files)?;
    }
    files.sort();
    Ok(files)
}

/// Links are not followed, and what LevelDB keeps for itself is left out: it is of no use elsewhere.
fn search(profile: &Path, below: &str, found: &mut Vec<ProfileFile>) -> Result<(), ProfileError> {
    let dir = profile.join(below);
    let listing = match fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listing => listing.map_err(ProfileError::unreadable(&dir))?,
    };
    for entry in listing {
        let entry = entry.map_err(ProfileError::unreadable(&dir))?;
        let meta = entry.metadata().map_err(ProfileError::unreadable(entry.path()))?;
        // Chromium's names are ASCII.
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let path = format!("{below}/{name}");
        if meta.is_dir() {
            search(profile, &path, found)?;
        } else if meta.is_file() && !matches!(name.as_str(), "LOCK" | "LOG" | "LOG.old") {
            let modified = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let modified_ns = modified.unwrap_or_default().as_nanos();
            found.push(ProfileFile { path, bytes: meta.len(), modified_ns });
        }
    }
    Ok(())
}

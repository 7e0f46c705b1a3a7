//! A copy of the session's files at one instant, made while the browser stands still.
//!
//! What LevelDB never changes once written (`.ldb`, `.sst`, and the files of IndexedDB's blob directory) is hard-linked;
//! the rest, logs and manifests of a few megabytes at most, is copied. So the browser is frozen for milliseconds, however
//! large the session is; hashing and uploading happen after the thaw, from the staged files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{STORES, SessionError, profile};

/// A file of the session, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    /// Relative to the directory searched.
    pub path: PathBuf,
    pub size: u64,
    pub modified: SystemTime,
}

/// Every file of the session below this browser directory, sorted by path. Two equal answers mean that nothing has
/// changed; a browser that runs may change it meanwhile, which a file that is gone by the time it is looked at shows.
pub(super) fn find(browser_dir: &Path) -> Result<Vec<Found>, SessionError> {
    let mut found = Vec::new();
    for store in STORES {
        search(browser_dir, Path::new(store), &mut found)?;
    }
    found.sort();
    Ok(found)
}

/// Copies the session's files into `staging`, which is made anew. To be called with the browser frozen or closed.
pub(super) fn stage(browser_dir: &Path, staging: &Path) -> Result<Vec<Found>, SessionError> {
    let found = find(browser_dir)?;
    for file in &found {
        let (from, to) = (browser_dir.join(&file.path), staging.join(&file.path));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(SessionError::disk("making the staging directory", parent))?;
        }
        let copied =
            if is_immutable(&file.path) { fs::hard_link(&from, &to) } else { fs::copy(&from, &to).map(drop) };
        copied.map_err(SessionError::disk("staging", from))?;
    }
    Ok(found)
}

/// An empty staging directory. Before the freeze: an old one takes time to remove.
pub(super) fn prepare(staging: &Path) -> Result<(), SessionError> {
    profile::remove_dir(staging)?;
    fs::create_dir_all(staging).map_err(SessionError::disk("making the staging directory", staging))
}

/// LevelDB writes tables once, and Chromium the files of `*.indexeddb.blob` likewise.
pub(super) fn is_immutable(path: &Path) -> bool {
    let table = path.extension().is_some_and(|extension| extension == "ldb" || extension == "sst");
    let blob =
        path.components().any(|part| part.as_os_str().as_encoded_bytes().ends_with(b".indexeddb.blob"));
    table || blob
}

/// Locks and LevelDB's own diary are of no use elsewhere.
fn is_left_out(name: &std::ffi::OsStr) -> bool {
    name == "LOCK" || name == "LOG" || name == "LOG.old"
}

fn search(root: &Path, below: &Path, found: &mut Vec<Found>) -> Result<(), SessionError> {
    let dir = root.join(below);
    let step = "listing the session's files";
    let listing = match fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listing => listing.map_err(SessionError::disk(step, &dir))?,
    };
    for entry in listing {
        let entry = entry.map_err(SessionError::disk(step, &dir))?;
        let path = below.join(entry.file_name());
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata.map_err(SessionError::disk(step, root.join(&path)))?,
        };
        if metadata.is_dir() {
            search(root, &path, found)?;
        } else if metadata.is_file() && !is_left_out(&entry.file_name()) {
            let modified = metadata.modified().map_err(SessionError::disk(step, root.join(&path)))?;
            found.push(Found { path, size: metadata.len(), modified });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn the_stores_are_staged_without_locks_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let (browser, staging) = (dir.path().join("browser"), dir.path().join("staging"));
        write(&browser, "Default/IndexedDB/x.indexeddb.leveldb/000005.ldb", "table");
        write(&browser, "Default/IndexedDB/x.indexeddb.leveldb/000006.log", "log");
        write(&browser, "Default/IndexedDB/x.indexeddb.leveldb/LOCK", "");
        write(&browser, "Default/IndexedDB/x.indexeddb.blob/1/00/3", "blob");
        write(&browser, "Default/Local Storage/leveldb/CURRENT", "MANIFEST-000001");
        write(&browser, "Default/Cache/data", "no");
        prepare(&staging).unwrap();
        let staged = stage(&browser, &staging).unwrap();
        let names: Vec<_> = staged.iter().map(|file| file.path.to_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "Default/IndexedDB/x.indexeddb.blob/1/00/3",
                "Default/IndexedDB/x.indexeddb.leveldb/000005.ldb",
                "Default/IndexedDB/x.indexeddb.leveldb/000006.log",
                "Default/Local Storage/leveldb/CURRENT",
            ]
        );
        assert_eq!(fs::read_to_string(staging.join(&staged[2].path)).unwrap(), "log");
    }

    #[test]
    fn a_log_that_grows_after_the_thaw_leaves_the_staged_copy_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (browser, staging) = (dir.path().join("browser"), dir.path().join("staging"));
        let log = "Default/IndexedDB/x.indexeddb.leveldb/000006.log";
        write(&browser, log, "log");
        prepare(&staging).unwrap();
        stage(&browser, &staging).unwrap();
        write(&browser, log, "log and more");
        assert_eq!(fs::read_to_string(staging.join(log)).unwrap(), "log");
    }
}

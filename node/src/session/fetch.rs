//! From the snapshot store onto this node's disk: the files of a snapshot, but only those that are not there yet.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use futures::{StreamExt, TryStreamExt, stream};
use roost_engine::LocalStorage;

use super::manifest::{FileEntry, Manifest};
use super::{STORES, SessionError, SnapshotStore, files, snapshot_store};

/// What lies in a directory that was fetched into: path and checksum of each file.
#[derive(Debug, Default)]
pub struct FetchedFiles {
    files: BTreeMap<PathBuf, String>,
}

/// Makes `into` hold the snapshot's files below `stores`, whole and on disk, and no others of those that were fetched.
/// Returns how many had to be fetched.
pub(super) async fn files(
    snapshots: &SnapshotStore,
    manifest: &Manifest,
    stores: &[&str],
    into: &Path,
    known: &mut FetchedFiles,
) -> Result<usize, SessionError> {
    let mut wanted = BTreeMap::new();
    for file in &manifest.files {
        let path = checked_path(manifest, file)?;
        if stores.iter().any(|store| path.starts_with(store)) {
            wanted.insert(path, file);
        }
    }
    let stale = |path: &PathBuf, sha256: &String| wanted.get(path).is_none_or(|file| file.sha256 != *sha256);
    for (path, _) in known.files.extract_if(.., |path, sha256| stale(path, sha256)) {
        let path = into.join(path);
        fs::remove_file(&path).map_err(SessionError::disk("removing an outdated file", path))?;
    }
    wanted.retain(|path, _| !known.files.contains_key(path));
    let fetches: Vec<_> =
        wanted.iter().map(|(path, file)| fetch(snapshots, manifest, file, into.join(path))).collect();
    stream::iter(fetches).buffer_unordered(snapshot_store::CONCURRENCY).try_collect::<Vec<()>>().await?;
    let fetched = wanted.len();
    known.files.extend(wanted.into_iter().map(|(path, file)| (path, file.sha256.clone())));
    Ok(fetched)
}

/// The localStorage that was saved with the snapshot, if it was.
pub(super) async fn local_storage(
    snapshots: &SnapshotStore,
    manifest: &Manifest,
) -> Result<Option<LocalStorage>, SessionError> {
    let Some(file) = &manifest.local_storage else { return Ok(None) };
    let name = manifest.name();
    let text = snapshots.file(&name, file).await?;
    let corrupt =
        |error: serde_json::Error| SessionError::Corrupt { object: name.object(), reason: error.to_string() };
    serde_json::from_slice(&text).map(Some).map_err(corrupt)
}

async fn fetch(
    snapshots: &SnapshotStore,
    manifest: &Manifest,
    file: &FileEntry,
    path: PathBuf,
) -> Result<(), SessionError> {
    let content = snapshots.file(&manifest.name(), file).await?;
    snapshot_store::blocking(move || write(&path, &content)).await
}

/// A manifest is authentic, but a path that leads out of the stores is refused all the same.
fn checked_path(manifest: &Manifest, file: &FileEntry) -> Result<PathBuf, SessionError> {
    let path = PathBuf::from(&file.path);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if is_plain && STORES.iter().any(|store| path.starts_with(store)) {
        Ok(path)
    } else {
        let reason = format!("the path {:?} is outside the session's stores", file.path);
        Err(SessionError::Corrupt { object: manifest.name().object(), reason })
    }
}

/// On disk when it returns: a stamp must never vouch for files that a power cut empties.
fn write(path: &Path, content: &[u8]) -> Result<(), SessionError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| File::create(path))
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_data()))
        .map_err(SessionError::disk("writing a restored file", path))?;
    files::sync_dir(parent)
}

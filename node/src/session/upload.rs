//! From staged files to blobs, with as little reading and uploading as the kind of file allows: what has not changed
//! since the last snapshot is not even read, and of a log that has grown only the new tail is uploaded.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use roost_engine::LocalStorage;

use super::manifest::{FileEntry, Manifest, ManifestName};
use super::staging::SessionFile;
use super::{SessionError, SnapshotStore, crypto, snapshot_store};
use crate::blocking::run_blocking;

/// After so many tails a log is uploaded whole again, so that a restore fetches few blobs.
const MOST_BLOBS: usize = 24;

/// What of one tenant and generation is known to be in the store: what a put has confirmed, until a prune may have removed it.
/// Lost with the process, which costs one full upload.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    /// The blob that holds a content, by the content's name.
    blobs: Mutex<HashMap<String, String>>,
    files: HashMap<PathBuf, (SessionFile, FileEntry)>,
}

impl Uploads {
    /// Sees to it that every staged file is in the store. What it has stored when it fails, or is given up, is not stored again.
    pub(super) async fn upload(
        &mut self,
        snapshots: &SnapshotStore,
        save: &ManifestName,
        staging: &Path,
        staged: &[SessionFile],
    ) -> Result<Vec<FileEntry>, SessionError> {
        // A worker that is stopping waits for this, and so does the tenant's next owner.
        let uploads: Vec<_> =
            staged.iter().map(|found| self.entry_of(snapshots, save, staging, found)).collect();
        let entries: Vec<FileEntry> =
            stream::iter(uploads).buffered(snapshot_store::CONCURRENCY).try_collect().await?;
        let seen = staged.iter().cloned().zip(entries.iter().cloned());
        self.files = seen.map(|(found, entry)| (found.path.clone(), (found, entry))).collect();
        Ok(entries)
    }

    /// As it was saved the last time if nothing has happened to it since, else as it is saved now.
    async fn entry_of(
        &self,
        snapshots: &SnapshotStore,
        save: &ManifestName,
        staging: &Path,
        found: &SessionFile,
    ) -> Result<FileEntry, SessionError> {
        match self.files.get(&found.path) {
            Some((known, entry)) if known == found => Ok(entry.clone()),
            before => {
                let before = before.map(|(_, entry)| entry.clone());
                self.upload_file(snapshots, save, staging.join(&found.path), found, before).await
            }
        }
    }

    /// The same for the localStorage, which is no file.
    pub(super) async fn upload_local_storage(
        &self,
        snapshots: &SnapshotStore,
        save: &ManifestName,
        values: &LocalStorage,
    ) -> Result<FileEntry, SessionError> {
        let path = "localStorage".to_owned();
        let content = serde_json::to_vec(values)
            .map_err(|error| SessionError::Corrupt { object: path.clone(), reason: error.to_string() })?;
        let (size, sha256) = (content.len() as u64, crypto::sha256(&content));
        let blob = self.blob_of(snapshots, save, content).await?;
        Ok(FileEntry { path, size, sha256, blobs: vec![blob] })
    }

    /// A prune is about to begin, which keeps the blobs of this manifest: whatever becomes of it, no others are known to be
    /// there from now on.
    pub(super) fn forget_all_but(&mut self, kept: &Manifest) {
        let kept = kept.blobs().map(|blob| (snapshot_store::content_of(blob).to_owned(), blob.to_owned()));
        let kept: HashMap<_, _> = kept.collect();
        let names: HashSet<&String> = kept.values().collect();
        self.files.retain(|_, (_, entry)| entry.blobs.iter().all(|blob| names.contains(blob)));
        *self.blobs.get_mut() = kept;
    }

    async fn upload_file(
        &self,
        snapshots: &SnapshotStore,
        save: &ManifestName,
        staged: PathBuf,
        found: &SessionFile,
        before: Option<FileEntry>,
    ) -> Result<FileEntry, SessionError> {
        let path = found.path.to_string_lossy().into_owned();
        let (mut content, sha256, grown) = run_blocking(move || read(&staged, before)).await?;
        let size = content.len() as u64;
        let (mut blobs, tail) = match grown {
            Some(before) => (before.blobs, content.split_off(before.size as usize)),
            None => (Vec::new(), content),
        };
        blobs.push(self.blob_of(snapshots, save, tail).await?);
        Ok(FileEntry { path, size, sha256, blobs })
    }

    /// The blob that holds this content, which is stored unless it is known to be.
    async fn blob_of(
        &self,
        snapshots: &SnapshotStore,
        save: &ManifestName,
        content: Vec<u8>,
    ) -> Result<String, SessionError> {
        let name = snapshots.content_name(&content);
        let known = self.blobs.lock().get(&name).cloned();
        if let Some(blob) = known {
            return Ok(blob);
        }
        let blob = snapshots.put_blob(save, &name, content).await?;
        self.blobs.lock().insert(name, blob.clone());
        Ok(blob)
    }
}

/// The content, its checksum, and the entry before if all that the file has done since is grow. That is checked, not
/// believed of its name.
fn read(
    path: &Path,
    before: Option<FileEntry>,
) -> Result<(Vec<u8>, String, Option<FileEntry>), SessionError> {
    let content = fs::read(path).map_err(SessionError::disk("reading a staged file", path))?;
    let sha256 = crypto::sha256(&content);
    let grown = before.filter(|before| {
        let size = before.size as usize;
        size < content.len()
            && before.blobs.len() < MOST_BLOBS
            && crypto::sha256(&content[..size]) == before.sha256
    });
    Ok((content, sha256, grown))
}

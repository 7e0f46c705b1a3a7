//! From staged files to blobs, with as little reading and uploading as the kind of file allows: what has not changed
//! since the last snapshot is not even read, and of a log that has grown only the new tail is uploaded.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt, stream};
use roost_engine::LocalStorage;
use roost_model::ids::Generation;
use uuid::Uuid;

use super::manifest::FileEntry;
use super::staging::SessionFile;
use super::{SessionError, SnapshotStore, crypto, snapshot_store};
use crate::blocking::run_blocking;

/// After so many tails a log is uploaded whole again, so that a restore fetches few blobs.
const MOST_BLOBS: usize = 24;

/// What is known to be in the store of one tenant and generation. Lost with the process, which costs one full upload.
#[derive(Debug)]
pub(super) struct Uploads {
    uid: Uuid,
    generation: Generation,
    blobs: HashSet<String>,
    files: HashMap<PathBuf, (SessionFile, FileEntry)>,
    local_storage: Option<FileEntry>,
}

impl Uploads {
    pub(super) fn new(uid: Uuid, generation: Generation) -> Self {
        Self { uid, generation, blobs: HashSet::new(), files: HashMap::new(), local_storage: None }
    }

    /// Sees to it that every staged file is in the store.
    pub(super) async fn upload(
        &mut self,
        snapshots: &SnapshotStore,
        staging: &Path,
        staged: Vec<SessionFile>,
    ) -> Result<Vec<FileEntry>, SessionError> {
        // A worker that is stopping waits for this, and so does the tenant's next owner.
        let uploads: Vec<_> = staged.iter().map(|found| self.entry_of(snapshots, staging, found)).collect();
        let entries: Vec<FileEntry> =
            stream::iter(uploads).buffered(snapshot_store::CONCURRENCY).try_collect().await?;
        self.blobs.extend(entries.iter().flat_map(|entry| entry.blobs.iter().cloned()));
        let seen = staged.into_iter().zip(&entries);
        self.files = seen.map(|(found, entry)| (found.path.clone(), (found, entry.clone()))).collect();
        Ok(entries)
    }

    /// As it was saved the last time if nothing has happened to it since, else as it is saved now.
    async fn entry_of(
        &self,
        snapshots: &SnapshotStore,
        staging: &Path,
        found: &SessionFile,
    ) -> Result<FileEntry, SessionError> {
        match self.files.get(&found.path) {
            Some((known, entry)) if known == found => Ok(entry.clone()),
            before => {
                let before = before.map(|(_, entry)| entry.clone());
                self.upload_file(snapshots, staging.join(&found.path), found, before).await
            }
        }
    }

    /// The same for the localStorage, which is no file.
    pub(super) async fn upload_local_storage(
        &mut self,
        snapshots: &SnapshotStore,
        values: &LocalStorage,
    ) -> Result<FileEntry, SessionError> {
        let path = "localStorage".to_owned();
        let content = serde_json::to_vec(values)
            .map_err(|error| SessionError::Corrupt { object: path.clone(), reason: error.to_string() })?;
        let (size, sha256) = (content.len() as u64, crypto::sha256(&content));
        let blob = snapshots.put_blob(self.uid, self.generation, &self.blobs, content).await?;
        self.blobs.insert(blob.clone());
        let entry = FileEntry { path, size, sha256, blobs: vec![blob] };
        self.local_storage = Some(entry.clone());
        Ok(entry)
    }

    /// Blobs that [`SnapshotStore::prune`] may have removed are no longer known to be there; those of the newest snapshot are.
    pub(super) fn pruned(&mut self) {
        let entries = self.files.values().map(|(_, entry)| entry).chain(&self.local_storage);
        self.blobs = entries.flat_map(|entry| entry.blobs.iter().cloned()).collect();
    }

    async fn upload_file(
        &self,
        snapshots: &SnapshotStore,
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
        blobs.push(snapshots.put_blob(self.uid, self.generation, &self.blobs, tail).await?);
        Ok(FileEntry { path, size, sha256, blobs })
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

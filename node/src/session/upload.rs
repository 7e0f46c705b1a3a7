//! From staged files to blobs, with as little reading and uploading as the kind of file allows: what has not changed
//! since the last snapshot is not even read, of a log that has grown only the new tail is uploaded, and nothing that is there
//! already: see `beginning` for what of the owners before counts as that.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use roost_engine::LocalStorage;

use super::content::{self, Measured, Piece};
use super::manifest::{FileEntry, Manifest, ManifestName};
use super::objects::Room;
use super::staging::SessionFile;
use super::{SessionError, SnapshotStore, crypto, snapshot_store};
use crate::blocking::run_blocking;

/// What of one tenant is known to be in the store and to stay there: what this owner has begun from, and what a put has
/// confirmed, until a prune may have removed it. Lost with the process, which costs one full upload.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    /// The blob that holds a content, by the content's name.
    blobs: Mutex<HashMap<String, String>>,
    /// How each file was saved the last time, and what it looked like then; none if that was on another node.
    files: HashMap<PathBuf, (Option<SessionFile>, FileEntry)>,
}

impl Uploads {
    /// Of an owner that has begun from this.
    pub(super) fn on(base: Option<&Manifest>) -> Self {
        let blobs = base.map(blobs_of).unwrap_or_default();
        let files = base.into_iter().flat_map(|base| &base.files);
        let files = files.map(|entry| (entry.path.clone().into(), (None, entry.clone()))).collect();
        Self { blobs: Mutex::new(blobs), files }
    }

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
        self.files = seen.map(|(found, entry)| (found.path.clone(), (Some(found), entry))).collect();
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
            Some((Some(known), entry)) if known == found => Ok(entry.clone()),
            before => {
                let before = before.map(|(_, entry)| entry.clone());
                self.upload_file(snapshots, save, &staging.join(&found.path), found, before).await
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
        let name = snapshots.keys().content_name(&content);
        let blob = match self.known(&name) {
            Some(blob) => blob,
            None => self.put(snapshots, save, name, content, None).await?,
        };
        Ok(FileEntry { path, size, sha256, blobs: vec![blob] })
    }

    /// A prune is about to begin, which keeps the blobs of this manifest: whatever becomes of it, no others are known to be
    /// there from now on.
    pub(super) fn forget_all_but(&mut self, kept: &Manifest) {
        let kept = blobs_of(kept);
        let names: HashSet<&String> = kept.values().collect();
        self.files.retain(|_, (_, entry)| entry.blobs.iter().all(|blob| names.contains(blob)));
        *self.blobs.get_mut() = kept;
    }

    async fn upload_file(
        &self,
        snapshots: &SnapshotStore,
        save: &ManifestName,
        staged: &Path,
        found: &SessionFile,
        before: Option<FileEntry>,
    ) -> Result<FileEntry, SessionError> {
        let path = found.path.to_string_lossy().into_owned();
        let (keys, piece_bytes, file) =
            (snapshots.keys().clone(), snapshots.piece_bytes(), staged.to_owned());
        let measured = run_blocking(move || content::measure(&file, before, &keys, piece_bytes)).await?;
        // A large file takes a while to be read.
        snapshots.objects().gets_on();
        let Measured { size, sha256, before: mut blobs, pieces } = measured;
        let uploads: Vec<_> =
            pieces.into_iter().map(|piece| self.upload_piece(snapshots, save, staged, piece)).collect();
        let uploads = stream::iter(uploads).buffered(snapshot_store::CONCURRENCY);
        blobs.extend(uploads.try_collect::<Vec<_>>().await?);
        Ok(FileEntry { path, size, sha256, blobs })
    }

    async fn upload_piece(
        &self,
        snapshots: &SnapshotStore,
        save: &ManifestName,
        staged: &Path,
        piece: Piece,
    ) -> Result<String, SessionError> {
        if let Some(blob) = self.known(&piece.name) {
            return Ok(blob);
        }
        let room = snapshots.objects().room(piece.length as u64).await?;
        let (keys, staged, name) = (snapshots.keys().clone(), staged.to_owned(), piece.name.clone());
        let content = run_blocking(move || piece.read(&staged, &keys)).await?;
        self.put(snapshots, save, name, content, Some(room)).await
    }

    /// The blob that holds a content, if it is known to be there.
    fn known(&self, name: &str) -> Option<String> {
        self.blobs.lock().get(name).cloned()
    }

    async fn put(
        &self,
        snapshots: &SnapshotStore,
        save: &ManifestName,
        name: String,
        content: Vec<u8>,
        room: Option<Room>,
    ) -> Result<String, SessionError> {
        let blob = snapshots.put_blob(save, &name, content, room).await?;
        self.blobs.lock().insert(name, blob.clone());
        Ok(blob)
    }
}

/// By their contents' names.
fn blobs_of(manifest: &Manifest) -> HashMap<String, String> {
    let named = |blob: &str| (snapshot_store::content_of(blob).to_owned(), blob.to_owned());
    manifest.blobs().map(named).collect()
}

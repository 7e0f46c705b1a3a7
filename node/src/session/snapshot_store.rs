//! Snapshots in the object store:
//!
//! ```text
//! <uid>/manifests/<generation>-<sequence>.json   one per snapshot
//! <uid>/manifests/<generation>-<sequence>.forgotten   up to here it is of a session that was forgotten
//! <uid>/manifests/<generation>-<sequence>.damaged     this one cannot be restored
//! <uid>/blobs/<generation>/<hash>-<sequence>     content, named by a keyed hash of it and the save that stored it
//! marker                                          which store this is, see `store_marker`
//! proofs/<node>                                  for a moment: that the node can write here, see `store_proof`
//! ```
//!
//! Calls fail half-way, their answers are lost, and whoever made one may be frozen and go on after it was deposed. So what is
//! here rests on names, not on when a call takes effect:
//! - Each generation stores under its own number, and removes nothing of a later one ([`SnapshotStore::prune`],
//!   [`SnapshotStore::remove_forgotten`]).
//! - A manifest names blobs of its own generation, and of the manifest that its owner began from if none was later: why nobody
//!   removes these is in `beginning`.
//! - A sequence is used for one save. Content that is stored again after it was pruned has another name, and so has the
//!   manifest of a save that is made again: what a call given up long ago removes or puts is not what is needed now.
//! - A manifest is put after its blobs, and only if no object of that name exists. The snapshot that the pointer row names is
//!   never pruned by the owner who had it recorded.
//! - A blob goes when no manifest names it that was listed before the owner's last snapshot was recorded: the fence was confirmed
//!   after the listing, so no owner had taken over that the listing does not show.
//!
//! Large files are pieces ([`PIECE`]), each a blob: sealed, put and checked by itself. So memory is bounded ([`Objects::room`]), an upload
//! goes on where it was interrupted, and no call of a store is needed that leaves parts behind when it fails.
//!
//! In a bucket all of this holds as in files, for it rests on names and on two conditions of a put (`store_proof`): a put is whole or
//! not at all, and what is put under one name again (a blob, a tombstone, a mark) is the same each time.
//!
//! What is below the store's directory is closed to all but the node's user, whatever the umask: sealed as it is, its names and
//! sizes say who is a customer and how much is said. So all nodes of a shared store are one user, as they had to be before.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use object_store::PutMode;
use roost_model::{
    causes,
    ids::{Generation, NodeId},
};
use roost_store::{SNAPSHOTS_KEPT, SnapshotId};
use tokio::sync::watch;
use uuid::Uuid;

use super::crypto::Checksum;
use super::manifest::{FileEntry, Manifest, ManifestName};
use super::objects::{Objects, Room};
use super::s3::S3Location;
use super::snapshot_listing::{self, SnapshotListing, Tombstone};
use super::{SessionError, SnapshotKeys, store_proof};

/// Requests to the object store under way for one snapshot.
pub(super) const CONCURRENCY: usize = 8;
/// The most of a file that one blob holds; those of before pieces hold all of it.
const PIECE: usize = 4 << 20;

/// Beside the tenants' uids; see [`SnapshotStore::prove`].
const PROOFS: &str = "proofs";

/// Where snapshots are kept. Cheap to clone.
#[derive(Clone)]
pub struct SnapshotStore {
    objects: Objects,
    /// The highest sequence that this process has used, for any tenant.
    sequences: Arc<AtomicI64>,
    piece_bytes: usize,
}

impl SnapshotStore {
    /// See [`S3Location`].
    pub fn in_bucket(location: &S3Location, key: SnapshotKeys) -> Result<Self, SessionError> {
        Ok(Self::of(Objects::in_bucket(location, key)?))
    }

    /// `location` is a directory, which is made if need be, or a `file://` URL of one.
    pub fn open(location: &str, key: SnapshotKeys) -> Result<Self, SessionError> {
        let dir = location.strip_prefix("file://").unwrap_or(location);
        if dir.is_empty() || dir.contains("://") {
            return Err(SessionError::UnknownStore { given: location.to_owned() });
        }
        // One that is there already is shared as its owner wants it to be.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(SessionError::disk("making the object store's directory", dir))?;
        Ok(Self::of(Objects::in_dir(Path::new(dir), key)?))
    }

    pub(super) fn objects(&self) -> &Objects {
        &self.objects
    }

    pub(super) fn of(objects: Objects) -> Self {
        Self { objects, sequences: Arc::default(), piece_bytes: PIECE }
    }

    /// The same store, whose progress is that of the calls made through what is returned.
    pub(crate) fn with_own_progress(&self) -> Self {
        Self { objects: self.objects.with_own_progress(), ..self.clone() }
    }

    /// Changes with each call that succeeds.
    pub(crate) fn progress(&self) -> watch::Receiver<u64> {
        self.objects.progress()
    }

    pub(super) fn keys(&self) -> &SnapshotKeys {
        self.objects.keys()
    }

    pub(super) fn piece_bytes(&self) -> usize {
        self.piece_bytes
    }

    /// A number for a save, after `last` and every one that this process has given: calls of a save that was given up, by a
    /// worker that is no more, may take effect still.
    pub(super) fn next_sequence(&self, last: i64) -> i64 {
        self.sequences.fetch_max(last, Ordering::Relaxed);
        self.sequences.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Keeps the snapshot that the pointer row names, the two before it and the last clean one, and those that the database lists, which
    /// are the same but for what was never recorded. Removes older ones and those of a forgotten session with their blobs. To be called by the owner of its generation, with what was listed before
    /// the snapshot was recorded. What is later stays.
    pub(super) async fn prune(
        &self,
        recorded: &Manifest,
        listing: &SnapshotListing,
        listed: &[SnapshotId],
    ) -> Result<(), SessionError> {
        let (uid, generation) = (recorded.uid, recorded.generation);
        let mut needed = Needed::default();
        needed.add(recorded);
        let (mut kept, mut clean_kept) = (1, recorded.clean);
        let ours = listing.manifests.iter().filter(|name| name.generation <= generation);
        for name in ours.rev().filter(|name| **name != recorded.name()) {
            let is_later = *name > recorded.name();
            // Beyond the last three a manifest is read only until the last clean one is found.
            let is_wanted = is_later || kept < SNAPSHOTS_KEPT || listed.iter().any(|id| name.is(id));
            let may_be_kept = listing.is_restorable(name) && (is_wanted || !clean_kept);
            let manifest = match may_be_kept {
                true => self.readable(name).await,
                false => Ok(None),
            };
            if let Err(SessionError::UnknownKey { .. } | SessionError::UnknownVersion { .. }) = manifest {
                // It may be whole, and so may be what it needs: of its owner's generation, or of one before.
                needed.until = needed.until.max(Some(name.generation));
                continue;
            }
            match manifest? {
                Some(manifest) if is_later => needed.add(&manifest),
                Some(manifest) if is_wanted || manifest.clean => {
                    kept += 1;
                    clean_kept |= manifest.clean;
                    needed.add(&manifest);
                }
                _ => self.objects.remove(&name.object()).await?,
            }
        }
        for name in listing.damaged.iter().filter(|name| name.generation <= generation) {
            self.objects.remove(&name.damage_mark()).await?;
        }
        self.prune_blobs(uid, generation, &needed).await
    }

    /// Shows that the store keeps what is relied on; once it has, that an object can be put where there is none, and removed.
    pub async fn prove(&self, node: &NodeId) -> Result<(), SessionError> {
        let object = format!("{PROOFS}/{node}");
        if !self.objects.is_proven() {
            store_proof::prove(&self.objects, PROOFS, &object).await?;
            self.objects.has_proven_itself();
            return Ok(());
        }
        // A crash may have left it.
        self.objects.remove(&object).await?;
        self.objects.put(&object, vec![0; 4096], PutMode::Create).await?;
        self.objects.remove(&object).await
    }

    /// Removes everything of a tenant that is no more. To be repeated for as long as an upload may still be under way.
    pub async fn delete_tenant(&self, uid: Uuid) -> Result<(), SessionError> {
        self.remove_objects(uid, |_| true).await?;
        self.objects.remove_dir(&uid.to_string()).await
    }

    /// From now on nothing that was saved up to `name` is restored any more.
    pub(super) async fn put_tombstone(&self, name: &ManifestName) -> Result<(), SessionError> {
        self.objects.put(&name.tombstone(), b"forgotten".to_vec(), PutMode::Overwrite).await
    }

    /// From now on this one is not restored any more.
    pub(super) async fn mark_damaged(&self, name: &ManifestName) -> Result<(), SessionError> {
        self.objects.put(&name.damage_mark(), b"damaged".to_vec(), PutMode::Overwrite).await
    }

    /// Removes what was saved of a session that was forgotten, and the tombstones before this one. What a later owner has
    /// saved stays.
    pub async fn remove_forgotten(&self, tombstone: &Tombstone) -> Result<(), SessionError> {
        let Tombstone(until) = tombstone;
        let (kept, is_ours) = (until.tombstone(), |of| of <= until.generation);
        self.remove_objects(until.uid, |object| object != kept && generation_of(object).is_some_and(is_ours))
            .await
    }

    /// Every tenant that something is kept of: for the sweep of what removed tenants left.
    pub async fn tenants(&self) -> Result<Vec<Uuid>, SessionError> {
        Ok(self.objects.list_roots().await?.iter().filter_map(|root| root.parse().ok()).collect())
    }

    /// The snapshots of a tenant.
    pub(super) async fn listing(&self, uid: Uuid) -> Result<SnapshotListing, SessionError> {
        Ok(SnapshotListing::of(&self.objects.list(&snapshot_listing::prefix(uid)).await?))
    }

    /// Stores the manifest; from now on the snapshot exists. Refused when a later generation has saved or forgotten. Answers with
    /// what there was before.
    pub(super) async fn put_manifest(&self, manifest: &Manifest) -> Result<SnapshotListing, SessionError> {
        let listing = self.listing(manifest.uid).await?;
        if let Some(newest) = listing.newest_generation().filter(|newest| *newest > manifest.generation) {
            return Err(SessionError::Superseded { ours: manifest.generation, newest });
        }
        let (object, content) = (manifest.name().object(), manifest.encode()?);
        match self.objects.put(&object, content.clone(), PutMode::Create).await {
            Err(error @ SessionError::Store { source: object_store::Error::AlreadyExists { .. }, .. }) => {
                // By a try of this very put whose answer was lost, if it is the same.
                match self.objects.get(&object).await {
                    Ok(found) if found == content => Ok(listing),
                    // A server may say so of two puts that it has at a time, and do neither.
                    Ok(_) | Err(SessionError::Missing { .. }) => Err(error),
                    Err(unread) => Err(unread),
                }
            }
            put => put.map(|()| listing),
        }
    }

    pub(super) async fn manifest(&self, name: &ManifestName) -> Result<Manifest, SessionError> {
        Manifest::decode(name, &self.objects.get(&name.object()).await?)
    }

    /// Stores content under a name that this save alone uses for it.
    pub(super) async fn put_blob(
        &self,
        of: &ManifestName,
        content_name: &str,
        content: Vec<u8>,
        room: Option<Room>,
    ) -> Result<String, SessionError> {
        let name = format!("{}/{content_name}-{}", of.generation, of.sequence);
        self.objects.put_from(room, &blob_object(of.uid, &name), content, PutMode::Overwrite).await?;
        Ok(name)
    }

    /// What a blob of a file holds, with its place in memory.
    pub(super) async fn piece(
        &self,
        uid: Uuid,
        file: &FileEntry,
        blob: &str,
    ) -> Result<(Vec<u8>, Room), SessionError> {
        // Blobs of before pieces may be as large as their files.
        let most = if file.blobs.len() == 1 { file.size } else { file.size.min(self.piece_bytes as u64) };
        let room = self.objects.room(most).await?;
        Ok((self.objects.get(&blob_object(uid, blob)).await?, room))
    }

    /// All of a small file of a snapshot, checked against its manifest.
    pub(super) async fn file(&self, of: &ManifestName, file: &FileEntry) -> Result<Vec<u8>, SessionError> {
        let (mut content, mut checksum) = (Vec::new(), Checksum::default());
        for blob in &file.blobs {
            content.extend_from_slice(&self.piece(of.uid, file, blob).await?.0);
        }
        checksum.update(&content);
        file.check(of, &checksum).map(|()| content)
    }

    /// A damaged manifest is no reason to keep or lose the others; its blobs go when its generation does.
    pub(super) async fn readable(&self, name: &ManifestName) -> Result<Option<Manifest>, SessionError> {
        match self.manifest(name).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(
                error @ (SessionError::Sealed { .. }
                | SessionError::Corrupt { .. }
                | SessionError::Missing { .. }),
            ) => {
                tracing::warn!(error = %causes(&error), "a snapshot cannot be read");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn prune_blobs(
        &self,
        uid: Uuid,
        generation: Generation,
        needed: &Needed,
    ) -> Result<(), SessionError> {
        let mut emptied = BTreeSet::new();
        for object in self.objects.list(&format!("{uid}/blobs")).await? {
            let Some((of, name)) = parse_blob(&object) else { continue };
            if of <= generation && !needed.has(of, name) {
                self.objects.remove(&object).await?;
                emptied.extend((of < generation && !needed.generations.contains(&of)).then_some(of));
            }
        }
        for of in emptied {
            self.objects.remove_dir(&format!("{uid}/blobs/{of}")).await?;
        }
        Ok(())
    }

    async fn remove_objects(&self, uid: Uuid, which: impl Fn(&str) -> bool) -> Result<(), SessionError> {
        for object in self.objects.list(&uid.to_string()).await? {
            if which(&object) {
                self.objects.remove(&object).await?;
            }
        }
        Ok(())
    }
}

/// What of a tenant's blobs stays.
#[derive(Default)]
struct Needed {
    blobs: HashSet<String>,
    /// Of those.
    generations: BTreeSet<Generation>,
    /// All blobs up to this generation.
    until: Option<Generation>,
}

impl Needed {
    fn add(&mut self, manifest: &Manifest) {
        self.blobs.extend(manifest.blobs().map(str::to_owned));
        let generations = manifest.blobs().filter_map(|blob| blob.split_once('/')?.0.parse().ok());
        self.generations.extend(generations.map(Generation));
    }

    fn has(&self, of: Generation, blob: &str) -> bool {
        Some(of) <= self.until || self.blobs.contains(blob)
    }
}

fn blob_object(uid: Uuid, name: &str) -> String {
    format!("{uid}/blobs/{name}")
}

/// Its generation, and its name as manifests have it.
fn parse_blob(object: &str) -> Option<(Generation, &str)> {
    let name = object.split_once("/blobs/")?.1;
    Some((Generation(name.split_once('/')?.0.parse().ok()?), name))
}

/// Whose snapshots an object belongs to.
fn generation_of(object: &str) -> Option<Generation> {
    let of_blob = || parse_blob(object).map(|(generation, _)| generation);
    let name = ManifestName::parse(object)
        .or_else(|| ManifestName::parse_tombstone(object))
        .or_else(|| ManifestName::parse_damaged(object));
    name.map(|name| name.generation).or_else(of_blob)
}

/// What a blob of this name holds.
pub(super) fn content_of(blob: &str) -> &str {
    let name = blob.split_once('/').map_or(blob, |(_, name)| name);
    name.split_once('-').map_or(name, |(content, _)| content)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl SnapshotStore {
        /// Files are pieces of this size.
        pub(in crate::session) fn in_pieces(self, piece_bytes: usize) -> Self {
            Self { piece_bytes, ..self }
        }
    }
}

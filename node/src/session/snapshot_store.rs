//! Snapshots in the object store:
//!
//! ```text
//! <uid>/manifests/<generation>-<sequence>.json   one per snapshot
//! <uid>/manifests/<generation>-<sequence>.forgotten   up to here it is of a session that was forgotten
//! <uid>/manifests/<generation>-<sequence>.damaged     this one cannot be restored
//! <uid>/blobs/<generation>/<hash>-<sequence>     content, named by a keyed hash of it and the save that stored it
//! marker                                          which store this is, see `store_marker`
//! proofs/<node>                                  for a moment: that the node can write here
//! ```
//!
//! Calls fail half-way, their answers are lost, and whoever made one may be frozen and go on after it was deposed. So what is
//! here rests on names, not on when a call takes effect:
//! - Each generation has blobs of its own, and no manifest refers to another generation's. Whoever is deposed but does not know
//!   it removes nothing of a later owner, for whatever removes on behalf of an owner ([`SnapshotStore::prune`],
//!   [`SnapshotStore::remove_forgotten`]) keeps to its generation and those before. The price is that a new owner uploads the session
//!   once more.
//! - A sequence is used for one save. Content that is stored again after it was pruned has another name, and so has the
//!   manifest of a save that is made again: what a call given up long ago removes or puts is not what is needed now.
//! - A manifest is put after its blobs, and only if no object of that name exists. The snapshot that the pointer row names is
//!   never pruned by the owner who had it recorded.
//!
//! What is below the store's directory is closed to all but the node's user, whatever the umask: sealed as it is, its names and
//! sizes say who is a customer and how much is said. So all nodes of a shared store are one user, as they had to be before.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::{StreamExt, TryStreamExt, stream};
use object_store::PutMode;
use roost_model::{
    causes,
    ids::{Generation, NodeId},
};
use uuid::Uuid;

use super::manifest::{FileEntry, Manifest, ManifestName};
use super::objects::Objects;
use super::snapshot_listing::{self, SnapshotListing, Tombstone};
use super::{SessionError, SnapshotKeys, crypto};

/// How many snapshots are kept beside the last clean one.
const KEPT: usize = 3;
/// Requests to the object store under way for one snapshot.
pub(super) const CONCURRENCY: usize = 8;

/// Beside the tenants' uids; see [`SnapshotStore::prove`].
const PROOFS: &str = "proofs";

/// Where snapshots are kept. Cheap to clone.
#[derive(Clone)]
pub struct SnapshotStore {
    objects: Objects,
    /// The highest sequence that this process has used, for any tenant.
    sequences: Arc<AtomicI64>,
}

impl SnapshotStore {
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
        Self { objects, sequences: Arc::default() }
    }

    /// A number for a save, after `last` and every one that this process has given: calls of a save that was given up, by a
    /// worker that is no more, may take effect still.
    pub(super) fn next_sequence(&self, last: i64) -> i64 {
        self.sequences.fetch_max(last, Ordering::Relaxed);
        self.sequences.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Keeps the snapshot that the pointer row names, the two before it and the last clean one, and removes older ones and
    /// those of a forgotten session with their blobs. To be called by the owner of its generation. What is later stays.
    pub(super) async fn prune(&self, recorded: &Manifest) -> Result<(), SessionError> {
        let (uid, generation) = (recorded.uid, recorded.generation);
        let mut needed: BTreeMap<Generation, HashSet<String>> = BTreeMap::new();
        let mut need = |manifest: &Manifest| {
            needed.entry(manifest.generation).or_default().extend(manifest.blobs().map(str::to_owned));
        };
        need(recorded);
        let (mut kept, mut clean_kept, mut locked) = (1, recorded.clean, BTreeSet::new());
        let listing = self.listing(uid).await?;
        let ours = listing.manifests.iter().filter(|name| name.generation <= generation);
        for name in ours.rev().filter(|name| **name != recorded.name()) {
            let is_later = *name > recorded.name();
            // Beyond the last three a manifest is read only until the last clean one is found.
            let is_young = is_later || kept < KEPT;
            let may_be_kept = listing.is_restorable(name) && (is_young || !clean_kept);
            let manifest = match may_be_kept {
                true => self.readable(name).await,
                false => Ok(None),
            };
            if let Err(SessionError::UnknownKey { .. }) = manifest {
                // It may be whole, and so may be what it needs.
                locked.insert(name.generation);
                continue;
            }
            match manifest? {
                Some(manifest) if is_later => need(&manifest),
                Some(manifest) if is_young || manifest.clean => {
                    kept += 1;
                    clean_kept |= manifest.clean;
                    need(&manifest);
                }
                _ => self.objects.remove(&name.object()).await?,
            }
        }
        for name in listing.damaged.iter().filter(|name| name.generation <= generation) {
            self.objects.remove(&name.damage_mark()).await?;
        }
        self.prune_blobs(uid, generation, &needed, &locked).await
    }

    /// Shows that an object can be put where there is none, and removed.
    pub async fn prove(&self, node: &NodeId) -> Result<(), SessionError> {
        let object = format!("{PROOFS}/{node}");
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

    /// Stores the manifest; from now on the snapshot exists. Refused when a later generation has saved or forgotten.
    pub(super) async fn put_manifest(&self, manifest: &Manifest) -> Result<(), SessionError> {
        let newest = self.listing(manifest.uid).await?.newest_generation();
        if let Some(newest) = newest.filter(|newest| *newest > manifest.generation) {
            return Err(SessionError::Superseded { ours: manifest.generation, newest });
        }
        let (object, content) = (manifest.name().object(), manifest.encode()?);
        match self.objects.put(&object, content.clone(), PutMode::Create).await {
            Err(error @ SessionError::Store { source: object_store::Error::AlreadyExists { .. }, .. }) => {
                // By a try of this very put whose answer was lost, if it is the same.
                if self.objects.get(&object).await? == content { Ok(()) } else { Err(error) }
            }
            put => put,
        }
    }

    pub(super) async fn manifest(&self, name: &ManifestName) -> Result<Manifest, SessionError> {
        Manifest::decode(name, &self.objects.get(&name.object()).await?)
    }

    /// Names content, as [`content_of`] reads it from the names of its blobs.
    pub(super) fn content_name(&self, content: &[u8]) -> String {
        self.objects.content_name(content)
    }

    /// Stores content under a name that this save alone uses for it.
    pub(super) async fn put_blob(
        &self,
        of: &ManifestName,
        content_name: &str,
        content: Vec<u8>,
    ) -> Result<String, SessionError> {
        let name = format!("{content_name}-{}", of.sequence);
        self.objects.put(&blob_object(of.uid, of.generation, &name), content, PutMode::Overwrite).await?;
        Ok(name)
    }

    /// The content of a file of a snapshot, checked against its manifest.
    pub(super) async fn file(&self, of: &ManifestName, file: &FileEntry) -> Result<Vec<u8>, SessionError> {
        let objects: Vec<_> =
            file.blobs.iter().map(|name| blob_object(of.uid, of.generation, name)).collect();
        let gets: Vec<_> = objects.iter().map(|object| self.objects.get(object)).collect();
        let parts: Vec<Vec<u8>> = stream::iter(gets).buffered(CONCURRENCY).try_collect().await?;
        let content = parts.concat();
        if content.len() as u64 == file.size && crypto::sha256(&content) == file.sha256 {
            Ok(content)
        } else {
            let reason = format!("the file {} does not have the size and checksum recorded", file.path);
            Err(SessionError::Corrupt { object: of.object(), reason })
        }
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
        needed: &BTreeMap<Generation, HashSet<String>>,
        locked: &BTreeSet<Generation>,
    ) -> Result<(), SessionError> {
        let mut emptied = BTreeSet::new();
        for object in self.objects.list(&format!("{uid}/blobs")).await? {
            let Some((of, name)) = parse_blob(&object) else { continue };
            let is_needed = needed.get(&of).is_some_and(|names| names.contains(name));
            if of <= generation && !is_needed && !locked.contains(&of) {
                self.objects.remove(&object).await?;
                emptied.extend((of < generation && !needed.contains_key(&of)).then_some(of));
            }
        }
        for of in emptied {
            self.objects.remove_dir(&blobs_of(uid, of)).await?;
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

fn blobs_of(uid: Uuid, generation: Generation) -> String {
    format!("{uid}/blobs/{generation}")
}

fn blob_object(uid: Uuid, generation: Generation, name: &str) -> String {
    format!("{}/{name}", blobs_of(uid, generation))
}

fn parse_blob(object: &str) -> Option<(Generation, &str)> {
    let (generation, name) = object.split_once("/blobs/")?.1.split_once('/')?;
    Some((Generation(generation.parse().ok()?), name))
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
    blob.split_once('-').map_or(blob, |(content, _)| content)
}

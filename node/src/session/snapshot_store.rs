//! Snapshots in the object store:
//!
//! ```text
//! <uid>/manifests/<generation>-<sequence>.json   one per snapshot
//! <uid>/manifests/<generation>-<sequence>.forgotten   up to here it is of a session that was forgotten
//! <uid>/blobs/<generation>/<name>                content, named by a keyed hash of it
//! proofs/<node>                                  for a moment: that the node can write here
//! ```
//!
//! Each generation has blobs of its own, so a new owner uploads the session once more. That is the price of a simple
//! argument: whoever is deposed but does not know it can neither remove nor have removed what a later owner's manifest
//! needs, for no manifest refers to another generation's blobs, and [`SnapshotStore::prune`] removes nothing of a generation
//! later than the caller's. A manifest is put after its blobs, and only if no object of that name exists.
//!
//! What is below the store's directory is closed to all but the node's user, whatever the umask: sealed as it is, its names and
//! sizes say who is a customer and how much is said. So all nodes of a shared store are one user, as they had to be before.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use roost_model::{
    causes,
    ids::{Generation, NodeId},
};
use uuid::Uuid;

use super::manifest::{FileEntry, Manifest, ManifestName};
use super::snapshot_listing::{self, SnapshotListing, Tombstone};
use super::{SessionError, SnapshotKey, crypto, files};
use crate::blocking::run_blocking;

/// How many snapshots are kept beside the last clean one.
const KEPT: usize = 3;
/// Requests to the object store under way for one snapshot.
pub(super) const CONCURRENCY: usize = 8;

/// Beside the tenants' uids; see [`SnapshotStore::prove`].
const PROOFS: &str = "proofs";

/// Where snapshots are kept. Cheap to clone.
#[derive(Clone)]
pub struct SnapshotStore {
    store: Arc<dyn ObjectStore>,
    /// Where its objects are files.
    dir: PathBuf,
    key: SnapshotKey,
}

impl SnapshotStore {
    /// `location` is a directory, which is made if need be, or a `file://` URL of one.
    pub fn open(location: &str, key: SnapshotKey) -> Result<Self, SessionError> {
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
        let store =
            LocalFileSystem::new_with_prefix(dir).map_err(SessionError::store("opening the object store"))?;
        // A snapshot must survive the machine, so it must at least survive its power cut.
        Ok(Self { store: Arc::new(store.with_fsync(true)), dir: dir.into(), key })
    }

    /// Keeps the last three snapshots and the last clean one, and removes the others with their blobs. To be called by
    /// the owner of `generation`, after the pointer row names its newest snapshot.
    pub async fn prune(&self, uid: Uuid, generation: Generation) -> Result<(), SessionError> {
        let listing = self.listing(uid).await?;
        let mut needed: BTreeMap<Generation, HashSet<String>> = BTreeMap::new();
        let (mut kept, mut clean_kept) = (0, false);
        for name in listing.manifests.iter().rev() {
            let is_young = (kept < KEPT && !listing.is_forgotten(name)) || name.generation > generation;
            // Beyond the last three a manifest is read only until the last clean one is found.
            let manifest = if is_young || !(clean_kept || listing.is_forgotten(name)) {
                self.readable(name).await?
            } else {
                None
            };
            match manifest {
                Some(manifest) if is_young || manifest.clean => {
                    kept += 1;
                    clean_kept |= manifest.clean;
                    needed.entry(name.generation).or_default().extend(manifest.blobs().map(str::to_owned));
                }
                _ => self.remove(&name.object()).await?,
            }
        }
        self.prune_blobs(uid, generation, &needed).await
    }

    /// Shows that an object can be put where there is none, and removed.
    pub async fn prove(&self, node: &NodeId) -> Result<(), SessionError> {
        let object = format!("{PROOFS}/{node}");
        // A crash may have left it.
        self.remove(&object).await?;
        self.put(&object, vec![0; 4096], PutMode::Create).await?;
        self.remove(&object).await
    }

    /// Removes everything of a tenant. To be repeated for as long as an upload may still be under way.
    pub async fn delete_tenant(&self, uid: Uuid) -> Result<(), SessionError> {
        self.remove_all(uid, None).await
    }

    /// From now on nothing that was saved up to `name` is restored any more.
    pub(super) async fn put_tombstone(&self, name: &ManifestName) -> Result<(), SessionError> {
        self.put(&name.tombstone(), b"forgotten".to_vec(), PutMode::Overwrite).await
    }

    /// Removes what was saved of a session that was forgotten, and the tombstones before this one.
    pub async fn remove_forgotten(&self, tombstone: &Tombstone) -> Result<(), SessionError> {
        self.remove_all(tombstone.0.uid, Some(&tombstone.0.tombstone())).await
    }

    /// Every tenant that something is kept of: for the sweep of what removed tenants left.
    pub async fn tenants(&self) -> Result<Vec<Uuid>, SessionError> {
        let listed =
            self.store.list_with_delimiter(None).await.map_err(SessionError::store("listing the tenants"))?;
        Ok(listed.common_prefixes.iter().filter_map(|prefix| prefix.as_ref().parse().ok()).collect())
    }

    /// The snapshots of a tenant.
    pub(super) async fn listing(&self, uid: Uuid) -> Result<SnapshotListing, SessionError> {
        Ok(SnapshotListing::of(&self.list(&snapshot_listing::prefix(uid)).await?))
    }

    /// Stores the manifest; from now on the snapshot exists. Refused when a later generation has saved or forgotten.
    pub(super) async fn put_manifest(&self, manifest: &Manifest) -> Result<(), SessionError> {
        let newest = self.listing(manifest.uid).await?.newest_generation();
        if let Some(newest) = newest.filter(|newest| *newest > manifest.generation) {
            return Err(SessionError::Superseded { ours: manifest.generation, newest });
        }
        self.put(&manifest.name().object(), manifest.encode()?, PutMode::Create).await
    }

    pub(super) async fn manifest(&self, name: &ManifestName) -> Result<Manifest, SessionError> {
        Manifest::decode(name, &self.get(&name.object()).await?)
    }

    /// Stores content unless it is among the blobs that are `known` to be there, and returns the blob's name.
    pub(super) async fn put_blob(
        &self,
        uid: Uuid,
        generation: Generation,
        known: &HashSet<String>,
        content: Vec<u8>,
    ) -> Result<String, SessionError> {
        let name = self.key.content_name(&content);
        if !known.contains(&name) {
            self.put(&blob_object(uid, generation, &name), content, PutMode::Overwrite).await?;
        }
        Ok(name)
    }

    /// The content of a file of a snapshot, checked against its manifest.
    pub(super) async fn file(&self, of: &ManifestName, file: &FileEntry) -> Result<Vec<u8>, SessionError> {
        let objects: Vec<_> =
            file.blobs.iter().map(|name| blob_object(of.uid, of.generation, name)).collect();
        let gets: Vec<_> = objects.iter().map(|object| self.get(object)).collect();
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

    async fn remove_all(&self, uid: Uuid, but: Option<&str>) -> Result<(), SessionError> {
        for object in self.list(&uid.to_string()).await? {
            if Some(object.as_str()) != but {
                self.remove(&object).await?;
            }
        }
        Ok(())
    }

    async fn prune_blobs(
        &self,
        uid: Uuid,
        generation: Generation,
        needed: &BTreeMap<Generation, HashSet<String>>,
    ) -> Result<(), SessionError> {
        for object in self.list(&format!("{uid}/blobs")).await? {
            let Some((of, name)) = parse_blob(&object) else { continue };
            let is_needed = needed.get(&of).is_some_and(|names| names.contains(name));
            if of <= generation && !is_needed {
                self.remove(&object).await?;
            }
        }
        Ok(())
    }

    async fn put(&self, object: &str, content: Vec<u8>, mode: PutMode) -> Result<(), SessionError> {
        let (key, name) = (self.key.clone(), object.to_owned());
        let dir = self.dir.clone();
        let sealed = run_blocking(move || {
            let parent = Path::new(&name).parent().unwrap_or(Path::new(""));
            files::make_private_dir(&dir, parent)
                .map_err(SessionError::disk("making a directory of the object store", dir.join(parent)))?;
            key.seal(&name, &content)
        });
        let sealed = sealed.await?;
        let stored =
            self.store.put_opts(&ObjectPath::from(object), Bytes::from(sealed).into(), mode.into()).await;
        stored.map_err(SessionError::store("storing"))?;
        let file = self.dir.join(object);
        run_blocking(move || {
            files::make_private_file(&file).map_err(SessionError::disk("closing an object to others", file))
        })
        .await
    }

    async fn get(&self, object: &str) -> Result<Vec<u8>, SessionError> {
        let fetching =
            self.store.get(&ObjectPath::from(object)).await.map_err(SessionError::store("fetching"))?;
        let sealed = fetching.bytes().await.map_err(SessionError::store("fetching"))?;
        let (key, name) = (self.key.clone(), object.to_owned());
        run_blocking(move || key.unseal(&name, &sealed)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, SessionError> {
        let listed = self.store.list(Some(&ObjectPath::from(prefix)));
        let objects = listed.map_ok(|meta| meta.location.to_string());
        objects.try_collect().await.map_err(SessionError::store("listing"))
    }

    async fn remove(&self, object: &str) -> Result<(), SessionError> {
        match self.store.delete(&ObjectPath::from(object)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            done => done.map_err(SessionError::store("removing")),
        }
    }
}

fn blob_object(uid: Uuid, generation: Generation, name: &str) -> String {
    format!("{uid}/blobs/{generation}/{name}")
}

fn parse_blob(object: &str) -> Option<(Generation, &str)> {
    let (generation, name) = object.split_once("/blobs/")?.1.split_once('/')?;
    Some((Generation(generation.parse().ok()?), name))
}

//! What is lost of the newest snapshot in a history: its manifest or one of its blobs is removed, or cut short. The next owner begins
//! from the next older one that is whole, and from none of a session that was forgotten: if there is no other one it says so.

use bytes::Bytes;
use object_store::{ObjectStoreExt, path::Path};

use super::{History, begin_owner};
use crate::session::{
    SessionError, SnapshotRef,
    manifest::{Manifest, ManifestName},
    tests::World,
};

/// Of so many owners who take over one finds something lost.
const ONE_OF: u64 = 4;

impl History {
    /// Now and then. A session of which nothing would be left whole loses something only if it has one snapshot, and then it is
    /// brought back when the owner has refused it.
    pub(super) async fn lose_an_object(&mut self) {
        let newest = self.pointer.lock().newest.as_ref().map(|(newest, _)| newest.clone());
        let (Some(newest), 0) = (newest, self.dice.roll(ONE_OF)) else { return };
        // Whoever is frozen stays so, and goes on with what it was doing when its successor has gone back.
        self.store.settle().await;
        let name = self.world.name_of(&newest);
        let before = self.world.restorable().await;
        if !before.contains(&name) {
            return;
        }
        let manifest = self.world.snapshots.manifest(&name).await.unwrap();
        let object = self.drawn_object(&manifest);
        let whole = self.store.get(&object).await.unwrap().bytes().await.unwrap();
        self.lose(&object, &whole).await;
        if self.world.newest_whole().await.is_some() {
            return;
        }
        if let [_only] = before.as_slice() {
            let refused = begin_owner(&self.world, &self.pointer).await.err();
            assert!(refused.as_ref().is_some_and(SessionError::shows_damage), "{refused:?}");
            self.tell("nothing is whole, which the owner says".into());
        }
        self.tell(format!("{object} is brought back"));
        self.store.put(&object, whole.into()).await.unwrap();
    }

    fn drawn_object(&mut self, manifest: &Manifest) -> Path {
        let blobs: Vec<_> = manifest.blobs().collect();
        let drawn = self.dice.roll(1 + blobs.len() as u64) as usize;
        let of_blob = |blob: &&str| format!("{}/blobs/{blob}", manifest.uid);
        blobs.get(drawn).map_or_else(|| manifest.name().object(), of_blob).into()
    }

    async fn lose(&mut self, object: &Path, whole: &Bytes) {
        if self.dice.roll(2) == 0 {
            self.tell(format!("{object} is lost"));
            self.store.delete(object).await.unwrap();
        } else {
            self.tell(format!("{object} is cut short"));
            self.store.put(object, whole.slice(..whole.len() / 2).into()).await.unwrap();
        }
    }
}

impl World {
    /// The newest snapshot of which every part can be read, of the session that there is now.
    pub(super) async fn newest_whole(&self) -> Option<ManifestName> {
        for name in self.restorable().await.into_iter().rev() {
            if self.is_whole(&name).await.is_ok() {
                return Some(name);
            }
        }
        None
    }

    /// After the last tombstone, and not marked as damaged; oldest first.
    async fn restorable(&self) -> Vec<ManifestName> {
        self.snapshots.listing(self.uid).await.unwrap().restorable().copied().collect()
    }

    async fn is_whole(&self, name: &ManifestName) -> Result<(), SessionError> {
        let manifest = self.snapshots.manifest(name).await?;
        for file in manifest.files.iter().chain(&manifest.local_storage) {
            self.snapshots.file(name, file).await?;
        }
        Ok(())
    }

    pub(super) fn name_of(&self, of: &SnapshotRef) -> ManifestName {
        ManifestName { uid: self.uid, generation: of.generation, sequence: of.sequence }
    }
}

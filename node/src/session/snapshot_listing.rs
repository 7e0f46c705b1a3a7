//! What one listing of a tenant's snapshots tells: which there are, and up to which of them its session was forgotten.
//!
//! A tombstone lies among the manifests and is named like one, `<generation>-<sequence>.forgotten`, with a sequence of its
//! own: whatever is not after it is of a session that was logged out or wiped, also a manifest that comes late, and is
//! never restored, whatever a database that has gone back says.

use roost_model::ids::Generation;
use uuid::Uuid;

use super::manifest::ManifestName;

/// Up to which snapshot a session was forgotten; for [`super::SnapshotStore::remove_forgotten`].
#[derive(Debug)]
pub struct Tombstone(pub(super) ManifestName);

#[derive(Debug, Default)]
pub(super) struct SnapshotListing {
    /// Oldest first, those of a forgotten session among them.
    pub manifests: Vec<ManifestName>,
    /// The last tombstone.
    pub forgotten: Option<ManifestName>,
}

impl SnapshotListing {
    /// Of the names of objects.
    pub fn of(objects: &[String]) -> Self {
        let mut manifests: Vec<_> = objects.iter().filter_map(|object| ManifestName::parse(object)).collect();
        manifests.sort();
        let forgotten = objects.iter().filter_map(|object| ManifestName::parse_tombstone(object)).max();
        Self { manifests, forgotten }
    }

    /// Those of the session that there is now, oldest first.
    pub fn of_this_session(&self) -> &[ManifestName] {
        let forgotten = self.manifests.partition_point(|name| self.is_forgotten(name));
        self.manifests.get(forgotten..).unwrap_or_default()
    }

    pub fn is_forgotten(&self, name: &ManifestName) -> bool {
        Some(*name) <= self.forgotten
    }

    /// Of what was saved or forgotten last.
    pub fn newest_generation(&self) -> Option<Generation> {
        self.manifests.last().copied().max(self.forgotten).map(|name| name.generation)
    }

    /// The last sequence that was given under this generation.
    pub fn last_sequence(&self, generation: Generation) -> Option<i64> {
        let names = self.manifests.iter().chain(&self.forgotten);
        names.filter(|name| name.generation == generation).map(|name| name.sequence).max()
    }
}

impl ManifestName {
    /// The object of a tombstone of this name.
    pub(super) fn tombstone(&self) -> String {
        format!("{}{}", self.stem(), TOMBSTONE)
    }

    pub(super) fn parse_tombstone(object: &str) -> Option<Self> {
        Self::parse_with(object, TOMBSTONE)
    }
}

const TOMBSTONE: &str = ".forgotten";

/// Where the manifests and tombstones of a tenant are.
pub(super) fn prefix(uid: Uuid) -> String {
    format!("{uid}/manifests")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_after_the_last_tombstone_is_of_a_forgotten_session() {
        let uid = Uuid::nil();
        let name = |generation, sequence| ManifestName { uid, generation: Generation(generation), sequence };
        let manifests = [(5, 1), (5, 12), (4, 30), (5, 3)].map(|(g, s)| name(g, s).object());
        let tombstones = [(4, 31), (5, 4)].map(|(g, s)| name(g, s).tombstone());
        let listing = SnapshotListing::of(&[manifests.to_vec(), tombstones.to_vec()].concat());
        assert_eq!(listing.of_this_session(), [name(5, 12)]);
        assert_eq!(listing.last_sequence(Generation(5)), Some(12));
        assert_eq!(listing.last_sequence(Generation(6)), None);
        let gone = SnapshotListing::of(&[name(5, 12).object(), name(6, 1).tombstone()]);
        assert!(gone.of_this_session().is_empty());
        assert_eq!(
            (gone.newest_generation(), gone.last_sequence(Generation(6))),
            (Some(Generation(6)), Some(1))
        );
    }
}

//! What one listing of a tenant's snapshots tells: which there are, and up to which of them its session was forgotten.
//!
//! A tombstone lies among the manifests and is named like one, `<generation>-<sequence>.forgotten`, with a sequence of its
//! own: whatever is not after it is of a session that was logged out or wiped, also a manifest that comes late, and is
//! never restored, whatever a database that has gone back says.
//!
//! Neither is one that was found to be damaged, which `<generation>-<sequence>.damaged` beside it says: the next owner does not
//! begin with it once more. Both go with the first prune after that.

use std::collections::BTreeSet;

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
    /// Those that cannot be restored; their manifests may be there or not.
    pub damaged: BTreeSet<ManifestName>,
}

impl SnapshotListing {
    /// Of the names of objects.
    pub fn of(objects: &[String]) -> Self {
        let mut manifests: Vec<_> = objects.iter().filter_map(|object| ManifestName::parse(object)).collect();
        manifests.sort();
        let forgotten = objects.iter().filter_map(|object| ManifestName::parse_tombstone(object)).max();
        let damaged = objects.iter().filter_map(|object| ManifestName::parse_damaged(object)).collect();
        Self { manifests, forgotten, damaged }
    }

    /// Whether nothing is known of the tenant, as in a store that is another one than it was.
    pub fn is_empty(&self) -> bool {
        self.manifests.is_empty() && self.forgotten.is_none() && self.damaged.is_empty()
    }

    /// Those that may be restored, oldest first.
    pub fn restorable(&self) -> impl DoubleEndedIterator<Item = &ManifestName> {
        self.manifests.iter().filter(|name| self.is_restorable(name))
    }

    /// Of the session that there is now, and not found to be damaged.
    pub fn is_restorable(&self, name: &ManifestName) -> bool {
        Some(*name) > self.forgotten && !self.damaged.contains(name)
    }

    /// Of what was saved or forgotten last.
    pub fn newest_generation(&self) -> Option<Generation> {
        self.manifests.last().copied().max(self.forgotten).map(|name| name.generation)
    }

    /// The last of all that is named, also of what can be restored no more.
    pub fn latest(&self) -> Option<ManifestName> {
        self.manifests.last().copied().max(self.forgotten).max(self.damaged.last().copied())
    }

    /// The last sequence that was given under this generation.
    pub fn last_sequence(&self, generation: Generation) -> Option<i64> {
        let names = self.manifests.iter().chain(&self.forgotten).chain(&self.damaged);
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

    /// The object that says that the one of this name is damaged.
    pub(super) fn damage_mark(&self) -> String {
        format!("{}{}", self.stem(), DAMAGED)
    }

    pub(super) fn parse_damaged(object: &str) -> Option<Self> {
        Self::parse_with(object, DAMAGED)
    }
}

const TOMBSTONE: &str = ".forgotten";
const DAMAGED: &str = ".damaged";

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
        assert_eq!(listing.restorable().collect::<Vec<_>>(), [&name(5, 12)]);
        assert_eq!(listing.last_sequence(Generation(5)), Some(12));
        assert_eq!(listing.last_sequence(Generation(6)), None);
        let gone = SnapshotListing::of(&[name(5, 12).object(), name(6, 1).tombstone()]);
        assert_eq!(gone.restorable().count(), 0);
        assert_eq!(
            (gone.newest_generation(), gone.last_sequence(Generation(6))),
            (Some(Generation(6)), Some(1))
        );
    }

    #[test]
    fn what_is_marked_as_damaged_is_not_restored_and_its_sequence_is_not_given_again() {
        let name = |sequence| ManifestName { uid: Uuid::nil(), generation: Generation(5), sequence };
        let listing = SnapshotListing::of(&[name(1).object(), name(2).object(), name(2).damage_mark()]);
        assert_eq!(listing.restorable().collect::<Vec<_>>(), [&name(1)]);
        let missing = SnapshotListing::of(&[name(1).object(), name(2).damage_mark()]);
        assert_eq!(missing.last_sequence(Generation(5)), Some(2));
        assert!(!missing.is_restorable(&name(2)));
    }
}

//! From which snapshot an owner has begun, and what of the store is its to build on.
//!
//! An owner that has restored a snapshot refers to its blobs, and uploads only what is new. That is safe only if nobody removes
//! them: neither whoever was deposed, and goes on with a prune in the midst of which it was frozen, nor a call of it that takes effect late.
//! So an owner builds on the snapshot that it has restored **if there is none later**, no mark of one that is damaged and no tombstone
//! among them. For then whoever prunes, or has pruned:
//!
//! 1. An owner prunes once its snapshot R is recorded, and keeps what R names. The fence was confirmed by that, after R was put and
//!    after it had listed the others: no later owner had begun by then.
//! 2. So whoever begins later finds R listed, or one that was recorded after it, or a mark in its place when it is damaged. What it
//!    builds on is therefore R, or later.
//! 3. What is later than R and by the same owner names blobs of R, and those that it has stored since: at the beginning of a prune
//!    an owner forgets all others ([`super::upload::Uploads::forget_all_but`]), and what it stores again has another name. What is by another
//!    owner builds on R or later for its part. So nothing that is built on is among what the prune of R removes, whenever it does.
//! 4. Whoever forgets a session removes what is of its generation and before, with its tombstone listed: what is built on is later
//!    than the tombstone, so it is of the session after. Nothing of a deleted tenant is restored.
//!
//! What is restored while something later is listed is what its owner went back to, and what 2 says does not hold for it: it may be
//! among what is being removed, with its blobs. So nothing is built on it, and before a browser is started a copy of
//! it is stored that is the owner's own, to which the pointer goes ([`super::SnapshotTaker::take_restored`]).
//!
//! Only what was fetched is built on, because it was checked: a blob that is lost or damaged is uploaded anew by the next owner on
//! a node with the profile, and is not handed on unseen.

use parking_lot::Mutex;

use super::manifest::{Manifest, ManifestName};
use super::snapshot_listing::SnapshotListing;

/// From what the owner of a profile has begun.
#[derive(Debug, Default)]
pub(super) struct Beginning(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The last of what was listed; none if that is not known.
    latest: Option<ManifestName>,
    /// What was restored, as far as it was fetched, until it is built on.
    restored: Option<Manifest>,
}

impl Known {
    fn is_of_the_latest(&self, restored: &Manifest) -> bool {
        self.latest.is_some_and(|latest| restored.name() >= latest)
    }
}

impl Beginning {
    pub(super) fn among(&self, listing: &SnapshotListing) {
        self.0.lock().latest = listing.latest();
    }

    /// One that was found to be damaged is there all the same.
    pub(super) fn after(&self, passed_over: ManifestName) {
        let mut known = self.0.lock();
        known.latest = known.latest.max(Some(passed_over));
    }

    pub(super) fn with(&self, fetched: Manifest) {
        self.0.lock().restored = Some(fetched);
    }

    /// From here on nothing of before is built on: it is being pruned, or forgotten.
    pub(super) fn with_nothing(&self) {
        self.0.lock().restored = None;
    }

    /// The snapshot of which what is saved next may name the blobs. Once: they stay only until the first prune.
    pub(super) fn take_base(&self) -> Option<Manifest> {
        let mut known = self.0.lock();
        let restored = known.restored.take()?;
        Some(restored).filter(|restored| known.is_of_the_latest(restored))
    }

    /// Whether what was restored is not the latest: somebody may be removing it.
    pub(super) fn has_gone_back(&self) -> bool {
        let known = self.0.lock();
        let restored = known.restored.as_ref().filter(|_| known.latest.is_some());
        restored.is_some_and(|restored| !known.is_of_the_latest(restored))
    }
}

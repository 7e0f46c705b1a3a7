//! Which registry the ledger belongs to. There is one ledger and one registry in a cluster; each names the other, so that
//! two registries that were given one ledger, or two ledgers that one registry meets, do not take turns.

use std::time::Duration;

/// A store that stays silent for so many times the TTL has no controller. A leader gives a sign once in a TTL, and one
/// that dies is followed within another: what is left is for the follower.
pub const SILENT_FOR: f64 = 2.5;

/// What the ledger says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Of the ledger itself: given once and kept by its backups.
    pub database: String,
    /// The store that it belongs to; none before the first.
    pub owner: Option<SealedStore>,
}

/// A registry's store, as its last controller has described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedStore {
    /// [`crate::records::StoreRecord::id`].
    pub store: String,
    pub cluster: String,
    pub ttl: Duration,
    pub holder: String,
    /// Since the last sign of a controller.
    pub silent_for: Duration,
}

/// What a controller wants the ledger to belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreClaim {
    pub store: String,
    pub cluster: String,
    pub ttl: Duration,
    /// Whoever has it now: an operator has said so.
    pub by_order: bool,
}

impl StoreClaim {
    /// How long another store's controller has to have been silent, if it counts leases of `other`.
    pub fn silence(&self, other: Duration) -> Duration {
        self.ttl.max(other).mul_f64(SILENT_FOR)
    }

    /// How long the claim has to wait still; nothing if it may be taken.
    pub fn wait(&self, owner: Option<&SealedStore>) -> Duration {
        let other = owner.filter(|owner| owner.store != self.store && !self.by_order);
        other.map_or(Duration::ZERO, |other| self.silence(other.ttl).saturating_sub(other.silent_for))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(4);

    fn owner(store: &str, silent_for: u64) -> SealedStore {
        SealedStore {
            store: store.to_owned(),
            cluster: "c".to_owned(),
            ttl: TTL,
            holder: "coordinator/a".to_owned(),
            silent_for: Duration::from_secs(silent_for),
        }
    }

    #[test]
    fn another_store_is_waited_for_until_it_has_been_silent_and_by_order_not_at_all() {
        let claim = |ttl: u64, by_order| {
            let ttl = Duration::from_secs(ttl);
            StoreClaim { store: "new".to_owned(), cluster: "c".to_owned(), ttl, by_order }
        };
        assert_eq!(claim(4, false).wait(None), Duration::ZERO);
        assert_eq!(claim(4, false).wait(Some(&owner("new", 0))), Duration::ZERO, "its own");
        assert_eq!(claim(4, false).wait(Some(&owner("old", 3))), Duration::from_secs(7));
        assert_eq!(
            claim(2, false).wait(Some(&owner("old", 3))),
            Duration::from_secs(7),
            "the longer TTL counts"
        );
        assert_eq!(claim(8, false).wait(Some(&owner("old", 3))), Duration::from_secs(17));
        assert_eq!(claim(4, false).wait(Some(&owner("old", 10))), Duration::ZERO);
        assert_eq!(claim(4, true).wait(Some(&owner("old", 0))), Duration::ZERO);
    }
}

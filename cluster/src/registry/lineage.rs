//! Whether this is still the store that this process has known.
//!
//! An etcd that was restored from a backup, or replaced by another one, has forgotten leases, keys and revisions that were
//! acted upon. What lived under them must end as it does when a lease is lost, and whoever places must wait until all
//! of it has: so the first answer that shows it ends every lease that was granted before, and is an error to its caller.
//!
//! Only answers of linearizable reads and of transactions are compared, and only with what was known *before* the call
//! was sent: a member that lags behind says in the header of a keepalive how far it is itself, and two calls under way may
//! be answered in either order. Neither is a restore.

use std::collections::HashMap;

use roost_model::ids::{Incarnation, Revision};

/// What is known of the store.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    cluster_id: Option<u64>,
    revision: Revision,
    /// How many times it was found to be another.
    epoch: u64,
    /// The leases that were granted here, by the epoch.
    granted: HashMap<Incarnation, u64>,
}

/// What was known when a call was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    revision: Revision,
    epoch: u64,
}

/// Why it is not the store that was known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Replaced {
    #[error("its cluster id was {known:016x} and is {found:016x}")]
    OtherCluster { known: u64, found: u64 },
    #[error("it was at revision {known} and is at {found}")]
    WentBack { known: Revision, found: Revision },
    #[error("it was found to be another while this call was under way")]
    Meanwhile,
}

impl Lineage {
    pub(super) fn known(&self) -> Known {
        Known { revision: self.revision, epoch: self.epoch }
    }

    /// Takes in an answer to a call that was sent when `before` was known.
    pub(super) fn answered(
        &mut self,
        before: Known,
        cluster_id: u64,
        revision: Revision,
    ) -> Result<(), Replaced> {
        if before.epoch != self.epoch {
            return Err(Replaced::Meanwhile);
        }
        let replaced = match self.cluster_id {
            Some(known) if known != cluster_id => Replaced::OtherCluster { known, found: cluster_id },
            _ if revision < before.revision => Replaced::WentBack { known: before.revision, found: revision },
            _ => {
                self.cluster_id = Some(cluster_id);
                self.revision = self.revision.max(revision);
                return Ok(());
            }
        };
        self.cluster_id = Some(cluster_id);
        self.revision = revision;
        self.epoch += 1;
        Err(replaced)
    }

    /// `at` is what was known when the lease was asked for.
    pub(super) fn granted(&mut self, lease: Incarnation, at: Known) {
        self.granted.insert(lease, at.epoch);
    }

    /// Whether the lease was granted by the store that there is. One that is not known here was granted through another
    /// client, and is the store's alone to judge.
    pub(super) fn may_live(&self, lease: Incarnation) -> bool {
        self.granted.get(&lease).is_none_or(|epoch| *epoch == self.epoch)
    }

    pub(super) fn ended(&mut self, lease: Incarnation) {
        self.granted.remove(&lease);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: u64 = 7;
    const LEASE: Incarnation = Incarnation(1);

    fn at(revision: i64) -> Lineage {
        let mut lineage = Lineage::default();
        lineage.answered(lineage.known(), OURS, Revision(revision)).unwrap();
        lineage.granted(LEASE, lineage.known());
        lineage
    }

    #[test]
    fn a_store_that_grows_is_the_same() {
        let mut lineage = at(10);
        lineage.answered(lineage.known(), OURS, Revision(10)).unwrap();
        lineage.answered(lineage.known(), OURS, Revision(11)).unwrap();
        assert!(lineage.may_live(LEASE));
    }

    #[test]
    fn answers_that_overtake_each_other_are_no_restore() {
        let mut lineage = at(10);
        let (first, second) = (lineage.known(), lineage.known());
        lineage.answered(second, OURS, Revision(12)).unwrap();
        lineage.answered(first, OURS, Revision(11)).unwrap();
        assert!(lineage.may_live(LEASE));
        assert_eq!(
            lineage.answered(lineage.known(), OURS, Revision(11)),
            Err(Replaced::WentBack { known: Revision(12), found: Revision(11) }),
            "the highest counts"
        );
    }

    #[test]
    fn every_lease_from_before_ends_when_the_store_goes_back_and_later_ones_live() {
        let mut lineage = at(10);
        let under_way = lineage.known();
        lineage.answered(lineage.known(), OURS, Revision(9)).unwrap_err();
        assert!(!lineage.may_live(LEASE));
        assert_eq!(lineage.answered(under_way, OURS, Revision(10)), Err(Replaced::Meanwhile));
        let again = Incarnation(2);
        lineage.granted(again, lineage.known());
        lineage.answered(lineage.known(), OURS, Revision(9)).unwrap();
        assert!(lineage.may_live(again) && !lineage.may_live(LEASE));
    }

    #[test]
    fn another_cluster_is_another_store_however_far_it_is() {
        let mut lineage = at(10);
        let replaced = lineage.answered(lineage.known(), 8, Revision(20));
        assert_eq!(replaced, Err(Replaced::OtherCluster { known: OURS, found: 8 }));
        assert!(!lineage.may_live(LEASE));
        lineage.ended(LEASE);
        assert!(lineage.may_live(LEASE), "what is forgotten is not judged");
    }
}

//! A renewal that counts.
//!
//! An answered keepalive does not prove that the lease lives. A leader of etcd renews from memory: one whose disk stalls
//! goes on answering while the others have elected another, which lets the lease end. So after each keepalive the
//! holder's own key is read, linearizably, from the same member. The renewal counts if
//!
//! - the member was in one raft term before the keepalive and after the read. A term has one leader. That leader
//!   confirmed the read with a quorum, so no later term had begun when it renewed the lease, and it is the one that counts
//!   the lease's time: if it is deposed later, its successor begins to count anew;
//! - the key is there under this lease. A key that was deleted by hand is lost to its holder as well: the controller
//!   takes its tenants for free.
//!
//! The term before is what the last renewal's read has found, so that a renewal is two requests: the keepalive, which
//! costs etcd no entry in its log, and the read, which costs its leader one round of heartbeats for all reads that wait.

use std::collections::{HashMap, HashSet};

use etcd_client::{Client, Error, GetOptions, GetResponse};
use roost_model::ids::Incarnation;

/// What renewals have found out about members, by their number.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    /// The member that renewed a lease last, and its raft term then.
    terms: HashMap<Incarnation, (usize, u64)>,
    /// Whose version was looked at.
    looked_at: HashSet<usize>,
}

impl Renewals {
    pub(super) fn term(&self, lease: Incarnation, member: usize) -> Option<u64> {
        self.terms.get(&lease).filter(|(of, _)| *of == member).map(|(_, term)| *term)
    }

    pub(super) fn renewed(&mut self, lease: Incarnation, member: usize, term: u64) {
        self.terms.insert(lease, (member, term));
    }

    pub(super) fn ended(&mut self, lease: Incarnation) {
        self.terms.remove(&lease);
    }

    /// Says, once for each member, when its version is one whose stalled leader misleads.
    pub(super) fn look_at(&mut self, member: usize, endpoint: &str, version: &str) {
        if self.looked_at.insert(member) && is_misled_by_a_stalled_leader(version) {
            tracing::warn!(
                endpoint,
                version,
                "this etcd can revoke leases that live when its leader's disk stalls; use 3.4.31, 3.5.13, 3.6 or later"
            );
        }
    }
}

/// Renews, and reads the key's metadata, again and again until no election came between. Where no answer is in sight the
/// caller's time limit ends it.
pub(super) async fn renew_and_read(
    client: &Client,
    lease: Incarnation,
    key: &str,
    mut term_before: u64,
) -> Result<GetResponse, Error> {
    loop {
        // A stream of its own, dropped after the first answer.
        client.lease_client().keep_alive(lease.0).await?;
        let read = client.kv_client().get(key, Some(GetOptions::new().with_keys_only())).await?;
        match read.header().map(etcd_client::ResponseHeader::raft_term) {
            Some(term) if term != term_before => term_before = term,
            _ => return Ok(read),
        }
    }
}

/// Before etcd's change 17425, a deposed leader that did not know it yet went on to revoke leases as it saw them.
fn is_misled_by_a_stalled_leader(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten(), numbers.next().flatten()) {
        (Some(3), Some(4), Some(patch)) => patch < 31,
        (Some(3), Some(5), Some(patch)) => patch < 13,
        (Some(3), Some(minor), _) => minor < 4,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_by_the_release_that_has_the_fix() {
        for old in ["3.3.27", "3.4.23", "3.4.30", "3.5.12"] {
            assert!(is_misled_by_a_stalled_leader(old), "{old}");
        }
        for new in ["3.4.31", "3.5.13", "3.5.21", "3.6.0", "4.0.0", "unknown"] {
            assert!(!is_misled_by_a_stalled_leader(new), "{new}");
        }
    }

    #[test]
    fn a_term_is_known_of_the_member_that_told_it_alone() {
        let mut renewals = Renewals::default();
        let lease = Incarnation(1);
        renewals.renewed(lease, 0, 5);
        assert_eq!((renewals.term(lease, 0), renewals.term(lease, 1)), (Some(5), None));
        renewals.renewed(lease, 1, 6);
        assert_eq!((renewals.term(lease, 0), renewals.term(lease, 1)), (None, Some(6)));
        renewals.ended(lease);
        assert_eq!(renewals.term(lease, 1), None);
    }
}

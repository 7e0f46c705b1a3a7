//! Which nodes came, left in order, or were lost.
//!
//! ```text
//!              its key appears            its key goes, or another life has it
//!   unknown ──────────────────► live ──┬── it had said `leaving`, or a restart is awaited ──► left
//!                                      └── else ────────────────────────────────────────────► lost
//! ```
//!
//! Kept in the memory of a term. At its start, nodes that the ledger has tenants on and that are not there count as
//! lost now: whoever led before has not got to placing their tenants elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use roost_model::ids::{Incarnation, NodeId};

use crate::records::NodeRecord;

pub(super) struct Membership {
    ttl: Duration,
    began: bool,
    live: BTreeMap<NodeId, Life>,
    /// Of the last two TTLs, oldest first.
    lost: Vec<Loss>,
}

struct Life {
    incarnation: Incarnation,
    leaving: bool,
    zone: String,
}

struct Loss {
    node: NodeId,
    /// Not known of a node that was never seen.
    zone: Option<String>,
    at: Duration,
}

/// What is seen beside the nodes themselves.
pub(super) struct Expectations<'a> {
    /// Nodes that the ledger has tenants on.
    pub(super) placed_on: &'a BTreeSet<&'a NodeId>,
    /// Nodes that are to be away for a moment.
    pub(super) awaited: &'a BTreeSet<NodeId>,
}

/// What happened to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MembershipChange {
    Joined { node: NodeId },
    Left { node: NodeId },
    Lost { node: NodeId },
}

impl Membership {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, began: false, live: BTreeMap::new(), lost: Vec::new() }
    }

    /// Compares with what was seen last.
    pub(super) fn observe(
        &mut self,
        nodes: &BTreeMap<NodeId, NodeRecord>,
        expected: &Expectations<'_>,
        now: Duration,
    ) -> Vec<MembershipChange> {
        self.lost.retain(|loss| loss.at + self.ttl * 2 > now);
        let mut changes = Vec::new();
        if !std::mem::replace(&mut self.began, true) {
            let away = expected.placed_on.iter().filter(|node| !nodes.contains_key(**node));
            for &node in away.filter(|node| !expected.awaited.contains(**node)) {
                self.lost.push(Loss { node: node.clone(), zone: None, at: now });
                changes.push(MembershipChange::Lost { node: node.clone() });
            }
            self.live = nodes.iter().map(|(node, record)| (node.clone(), Life::of(record))).collect();
            return changes;
        }
        let ended: Vec<NodeId> = self
            .live
            .iter()
            .filter(|(node, life)| nodes.get(node).is_none_or(|now| now.incarnation != life.incarnation))
            .map(|(node, _)| node.clone())
            .collect();
        for node in ended {
            changes.extend(self.end(node, expected, now));
        }
        for (node, record) in nodes {
            if self.live.insert(node.clone(), Life::of(record)).is_none() {
                changes.push(MembershipChange::Joined { node: node.clone() });
            }
        }
        changes
    }

    fn end(&mut self, node: NodeId, expected: &Expectations<'_>, now: Duration) -> Option<MembershipChange> {
        let life = self.live.remove(&node)?;
        if life.leaving || expected.awaited.contains(&node) {
            return Some(MembershipChange::Left { node });
        }
        self.lost.push(Loss { node: node.clone(), zone: Some(life.zone), at: now });
        Some(MembershipChange::Lost { node })
    }

    /// Lost at `since` or later and not back.
    pub(super) fn missing_since(&self, since: Duration) -> BTreeSet<&NodeId> {
        let recent = self.lost.iter().filter(|loss| loss.at >= since).map(|loss| &loss.node);
        recent.filter(|node| !self.live.contains_key(*node)).collect()
    }

    pub(super) fn is_live(&self, node: &NodeId) -> bool {
        self.live.contains_key(node)
    }

    pub(super) fn live(&self) -> usize {
        self.live.len()
    }

    /// Zones that have lost two nodes or all they had within the last two TTLs.
    pub(super) fn failing_zones(&self) -> BTreeSet<String> {
        let mut lost: BTreeMap<&String, BTreeSet<&NodeId>> = BTreeMap::new();
        for loss in &self.lost {
            if let Some(zone) = &loss.zone {
                lost.entry(zone).or_default().insert(&loss.node);
            }
        }
        let has_none = |zone: &String| !self.live.values().any(|life| life.zone == *zone);
        lost.into_iter()
            .filter(|(zone, nodes)| nodes.len() >= 2 || has_none(zone))
            .map(|(zone, _)| zone.clone())
            .collect()
    }
}

impl Life {
    fn of(record: &NodeRecord) -> Self {
        let NodeRecord { incarnation, leaving, zone, .. } = record;
        Self { incarnation: *incarnation, leaving: *leaving, zone: zone.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::tests::live_node;

    const TTL: Duration = Duration::from_secs(5);

    fn id(name: &str) -> NodeId {
        NodeId::new(name).unwrap()
    }

    /// `name`, its life, and whether it is leaving; the zone is the first letter.
    fn nodes(given: &[(&str, i64, bool)]) -> BTreeMap<NodeId, NodeRecord> {
        let record = |&(name, life, leaving): &(&str, i64, bool)| {
            let record = NodeRecord { leaving, ..live_node(name, life, &name[..1]) };
            (id(name), record)
        };
        given.iter().map(record).collect()
    }

    fn observe(membership: &mut Membership, given: &[(&str, i64, bool)], secs: u64) -> Vec<MembershipChange> {
        let expected = Expectations { placed_on: &BTreeSet::new(), awaited: &BTreeSet::new() };
        membership.observe(&nodes(given), &expected, Duration::from_secs(secs))
    }

    fn zones(membership: &Membership) -> Vec<String> {
        membership.failing_zones().into_iter().collect()
    }

    #[test]
    fn nodes_join_leave_and_are_lost() {
        let mut membership = Membership::new(TTL);
        assert_eq!(observe(&mut membership, &[("a1", 1, false), ("b1", 1, false)], 0), []);
        assert_eq!(
            observe(&mut membership, &[("a1", 1, true), ("b1", 1, false), ("c1", 1, false)], 1),
            [MembershipChange::Joined { node: id("c1") }]
        );
        assert_eq!(
            observe(&mut membership, &[("c1", 2, false)], 2),
            [
                MembershipChange::Left { node: id("a1") },
                MembershipChange::Lost { node: id("b1") },
                MembershipChange::Lost { node: id("c1") },
                MembershipChange::Joined { node: id("c1") },
            ]
        );
        let missing = membership.missing_since(Duration::from_secs(2));
        assert_eq!(missing, [&id("b1")].into(), "c1 is back under a new life");
    }

    #[test]
    fn what_the_ledger_has_on_nodes_that_are_gone_is_lost_at_the_beginning() {
        let (there, gone, restarting) = (id("a1"), id("gone"), id("restarting"));
        let mut membership = Membership::new(TTL);
        let expected = Expectations {
            placed_on: &[&there, &gone, &restarting].into(),
            awaited: &[restarting.clone()].into(),
        };
        let changes = membership.observe(&nodes(&[("a1", 1, false)]), &expected, Duration::from_secs(7));
        assert_eq!(changes, [MembershipChange::Lost { node: gone.clone() }]);
        assert_eq!(membership.missing_since(Duration::from_secs(7)), [&gone].into());
    }

    #[test]
    fn a_node_that_is_awaited_is_not_lost() {
        let mut membership = Membership::new(TTL);
        observe(&mut membership, &[("a1", 1, false)], 0);
        let expected = Expectations { placed_on: &BTreeSet::new(), awaited: &[id("a1")].into() };
        let changes = membership.observe(&nodes(&[]), &expected, Duration::from_secs(1));
        assert_eq!(changes, [MembershipChange::Left { node: id("a1") }]);
        assert_eq!(membership.missing_since(Duration::ZERO), BTreeSet::new());
        assert_eq!(zones(&membership), [""; 0]);
    }

    #[test]
    fn a_zone_fails_with_two_losses_or_its_last_node_and_recovers() {
        let all = [("a1", 1, false), ("a2", 1, false), ("a3", 1, false), ("b1", 1, false), ("c1", 1, false)];
        let mut membership = Membership::new(TTL);
        observe(&mut membership, &all, 0);
        observe(&mut membership, &all[1..], 1);
        assert_eq!(zones(&membership), [""; 0], "one of three is an ordinary loss");
        observe(&mut membership, &all[2..], 5);
        assert_eq!(zones(&membership), ["a"]);
        observe(&mut membership, &all[2..4], 6);
        assert_eq!(zones(&membership), ["a", "c"]);
        observe(&mut membership, &all[2..4], 11);
        assert_eq!(zones(&membership), ["c"], "the first loss is too long ago");
        observe(&mut membership, &all[2..4], 16);
        assert_eq!(zones(&membership), [""; 0]);
    }
}

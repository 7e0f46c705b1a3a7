//! The small machines of the failure detector, each by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use roost_model::ids::{Incarnation, NodeId};

use super::live_node;
use crate::{
    controller::failure_detector::{
        Awaited, Expectations, FlapDetector, Membership, MembershipChange, RestartWindows,
    },
    ledger::{NodeOrder, RestartWindow},
    records::NodeRecord,
};

const TTL: Duration = Duration::from_secs(5);

mod membership {
    use super::*;

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
        let (missing, first) = membership.missing_since(Duration::from_secs(2));
        assert_eq!(missing, [&id("b1")].into(), "c1 is back under a new life");
        assert_eq!(first, Some(Duration::from_secs(2)));
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
        assert_eq!(membership.missing_since(Duration::from_secs(7)).0, [&gone].into());
    }

    #[test]
    fn a_node_that_is_awaited_is_not_lost() {
        let mut membership = Membership::new(TTL);
        observe(&mut membership, &[("a1", 1, false)], 0);
        let expected = Expectations { placed_on: &BTreeSet::new(), awaited: &[id("a1")].into() };
        let changes = membership.observe(&nodes(&[]), &expected, Duration::from_secs(1));
        assert_eq!(changes, [MembershipChange::Left { node: id("a1") }]);
        assert_eq!(membership.missing_since(Duration::ZERO), (BTreeSet::new(), None));
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

mod restart_windows {
    use super::*;

    fn window(life: i64, secs: u64) -> Vec<NodeOrder> {
        let window = RestartWindow { incarnation: Incarnation(life), left: Duration::from_secs(secs) };
        vec![NodeOrder {
            node: NodeId::new("a").unwrap(),
            cordoned: false,
            restart_window: Some(window),
            suspect_for: None,
            shedding: None,
        }]
    }

    fn live(life: i64, leaving: bool) -> BTreeMap<NodeId, NodeRecord> {
        let record = NodeRecord { leaving, ..live_node("a", life, "") };
        [(record.node.clone(), record)].into()
    }

    #[test]
    fn a_window_counts_from_the_end_of_its_life_until_another_one() {
        let mut restart_windows = RestartWindows::default();
        let orders = window(1, 60);
        let waits =
            Awaited { nodes: [NodeId::new("a").unwrap()].into(), for_at_most: Some(Duration::from_secs(60)) };
        assert_eq!(restart_windows.awaited(&orders, &live(1, false)), Awaited::default(), "it runs still");
        assert_eq!(restart_windows.awaited(&orders, &live(1, true)), waits);
        assert_eq!(restart_windows.awaited(&orders, &BTreeMap::new()), waits);
        assert_eq!(restart_windows.awaited(&orders, &live(2, false)), Awaited::default());
        assert_eq!(restart_windows.awaited(&orders, &BTreeMap::new()), Awaited::default(), "it was used up");
        // A new window for the new life is another one.
        assert_eq!(restart_windows.awaited(&window(3, 60), &BTreeMap::new()), waits);
    }
}

mod flaps {
    use super::*;

    #[test]
    fn the_third_loss_within_ten_minutes_makes_a_node_suspect() {
        let (a, b) = (NodeId::new("a").unwrap(), NodeId::new("b").unwrap());
        let mut flap_detector = FlapDetector::default();
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert!(!flap_detector.lost(&a, minutes(0)));
        assert!(!flap_detector.lost(&a, minutes(4)));
        assert!(!flap_detector.lost(&b, minutes(5)));
        assert!(flap_detector.lost(&a, minutes(9)));
        assert!(!flap_detector.lost(&a, minutes(10)), "it was counted already");
    }

    #[test]
    fn losses_that_are_far_between_are_bad_luck() {
        let a = NodeId::new("a").unwrap();
        let mut flap_detector = FlapDetector::default();
        for at in 0..20 {
            assert!(!flap_detector.lost(&a, Duration::from_secs(301 * at)));
        }
    }
}

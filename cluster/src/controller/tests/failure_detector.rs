//! The small machines of the failure detector, each by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use roost_model::ids::{Incarnation, NodeId};

use super::live_node;
use crate::{
    controller::failure_detector::{
        Awaited, BreakerState, Expectations, FailoverBreaker, FlapDetector, Membership, MembershipChange,
        RestartWindows,
    },
    ledger::{NodeOrder, Policy, RestartWindow},
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

mod restart_windows {
    use super::*;

    fn window(life: i64, secs: u64) -> Vec<NodeOrder> {
        let window = RestartWindow { incarnation: Incarnation(life), left: Duration::from_secs(secs) };
        vec![NodeOrder {
            node: NodeId::new("a").unwrap(),
            cordoned: false,
            restart_window: Some(window),
            suspect_for: None,
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

mod breaker {
    use super::*;

    /// Node `n<number>` in the life `life`.
    fn nodes(lives: &[(usize, i64)]) -> BTreeMap<NodeId, NodeRecord> {
        let record = |&(number, life): &(usize, i64)| {
            let record = live_node(&format!("n{number}"), life, &format!("z{number}"));
            (record.node.clone(), record)
        };
        lives.iter().map(record).collect()
    }

    struct Bench {
        membership: Membership,
        breaker: FailoverBreaker,
        policy: Policy,
    }

    impl Bench {
        fn with(lives: &[(usize, i64)]) -> Self {
            let mut bench = Self {
                membership: Membership::new(TTL),
                breaker: FailoverBreaker::new(TTL),
                policy: Policy::default(),
            };
            assert_eq!(bench.at(0, lives), BreakerState::Closed);
            bench
        }

        fn at(&mut self, secs: u64, lives: &[(usize, i64)]) -> BreakerState {
            let now = Duration::from_secs(secs);
            let nothing = BTreeSet::new();
            let expected = Expectations { placed_on: &nothing, awaited: &BTreeSet::new() };
            self.membership.observe(&nodes(lives), &expected, now);
            self.breaker.step(&self.membership, &self.policy, now)
        }
    }

    const FIVE: [(usize, i64); 5] = [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)];

    fn until(secs: u64) -> BreakerState {
        BreakerState::Open { until: Duration::from_secs(secs) }
    }

    #[test]
    fn two_of_five_are_too_many_and_one_of_three_is_not() {
        let mut bench = Bench::with(&FIVE);
        assert_eq!(bench.at(10, &FIVE[..3]), until(15));
        assert_eq!(bench.at(14, &FIVE[..3]), until(15));
        let reason = "2 of 5 nodes were lost at once: n3, n4".to_owned();
        assert_eq!(bench.at(15, &FIVE[..3]), BreakerState::Tripped { reason });
        let mut bench = Bench::with(&FIVE[..3]);
        assert_eq!(bench.at(10, &FIVE[..2]), BreakerState::Closed);
    }

    #[test]
    fn losses_that_are_further_apart_than_a_ttl_brake_nothing() {
        let mut bench = Bench::with(&FIVE);
        assert_eq!(bench.at(10, &FIVE[..4]), BreakerState::Closed);
        assert_eq!(bench.at(16, &FIVE[..3]), BreakerState::Closed);
        assert_eq!(bench.at(20, &FIVE[..2]), until(25));
    }

    #[test]
    fn nodes_that_come_back_under_new_lives_release_it() {
        let mut bench = Bench::with(&FIVE);
        assert_eq!(bench.at(10, &[]), until(15));
        assert_eq!(bench.at(11, &[(0, 2), (1, 2)]), until(15));
        assert_eq!(bench.at(12, &[(0, 2), (1, 2), (2, 2), (3, 2)]), BreakerState::Closed);
        // The one that is left is an ordinary loss, now and later.
        assert_eq!(bench.at(20, &[(0, 2), (1, 2), (2, 2), (3, 2)]), BreakerState::Closed);
    }

    #[test]
    fn what_an_operator_has_resumed_is_not_paused_again() {
        let mut bench = Bench::with(&FIVE);
        assert_eq!(bench.at(10, &FIVE[..2]), until(15));
        bench.policy.failover_paused = Some("by hand".to_owned());
        assert_eq!(bench.at(16, &FIVE[..2]), BreakerState::Closed);
        bench.policy =
            Policy { failover_paused: None, resumed_ago: Some(Duration::ZERO), ..bench.policy.clone() };
        assert_eq!(bench.at(17, &FIVE[..2]), BreakerState::Closed);
        bench.policy.resumed_ago = Some(TTL * 3);
        assert_eq!(bench.at(32, &FIVE[..2]), BreakerState::Closed);
    }

    #[test]
    fn it_can_be_turned_off() {
        let mut bench = Bench::with(&FIVE);
        bench.policy.failover_breaker = false;
        assert_eq!(bench.at(10, &FIVE[..1]), BreakerState::Closed);
    }
}

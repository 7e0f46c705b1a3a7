//! The failover breaker by itself: facts and time in, verdicts out.

use std::{collections::BTreeSet, time::Duration};

use roost_model::ids::NodeId;

use crate::{
    controller::failover_breaker::{Facts, FailoverBreaker, Verdict},
    ledger::Policy,
    timing::Timing,
};

const ROOM: u32 = 100;

struct Bench {
    breaker: FailoverBreaker,
    policy: Policy,
}

fn nodes(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<NodeId> {
    numbers.into_iter().map(|number| NodeId::new(&format!("n{number}")).unwrap()).collect()
}

/// The first `missing` of `all` nodes are gone since `lost_at`.
fn lost(missing: usize, all: usize, lost_at: u64) -> Facts {
    Facts {
        missing: nodes(0..missing),
        first_loss: secs(lost_at),
        live: nodes(missing..all),
        waiting: missing * 2,
        free_room: ROOM,
        ..Facts::default()
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn until(at: u64) -> Verdict {
    Verdict::Open { until: secs(at) }
}

fn may_start(may_start: u32) -> Verdict {
    Verdict::HalfOpen { may_start }
}

impl Bench {
    fn new() -> Self {
        let breaker = FailoverBreaker::resume(Timing::default(), None, Duration::ZERO);
        Self { breaker, policy: Policy::default() }
    }

    fn at(&mut self, at: u64, facts: &Facts) -> Verdict {
        self.breaker.step(facts, &self.policy, secs(at))
    }
}

#[test]
fn one_of_three_is_answered_at_once_and_two_of_five_are_held_for_a_ttl() {
    assert_eq!(Bench::new().at(10, &lost(1, 3, 10)), Verdict::Closed);
    let mut bench = Bench::new();
    assert_eq!(bench.at(10, &lost(2, 5, 10)), until(15));
    assert_eq!(bench.at(14, &lost(2, 5, 10)), until(15));
    assert_eq!(bench.at(15, &lost(2, 5, 10)), may_start(6), "two for each survivor");
}

#[test]
fn losses_within_a_minute_count_together_and_the_hold_counts_from_the_first() {
    let mut bench = Bench::new();
    assert_eq!(bench.at(10, &lost(1, 5, 10)), Verdict::Closed);
    assert_eq!(bench.at(40, &lost(2, 5, 10)), may_start(6), "the first is not about to come back");
}

#[test]
fn a_loss_that_the_survivors_have_hardly_room_for_is_held_too() {
    let mut facts = lost(1, 3, 10);
    (facts.waiting, facts.free_room) = (51, 100);
    assert_eq!(Bench::new().at(10, &facts), until(15));
    facts.waiting = 50;
    assert_eq!(Bench::new().at(10, &facts), Verdict::Closed);
}

#[test]
fn nobody_waits_when_no_tenant_does() {
    let facts = Facts { waiting: 0, ..lost(4, 5, 10) };
    assert_eq!(Bench::new().at(10, &facts), Verdict::Closed);
}

#[test]
fn at_the_start_of_a_term_and_after_a_gap_of_etcd_the_hold_is_twice_as_long() {
    let facts = Facts { is_fresh: true, ..lost(2, 3, 10) };
    assert_eq!(Bench::new().at(10, &facts), until(20));
    let facts = Facts { after_gap: true, ..lost(1, 9, 10) };
    assert_eq!(Bench::new().at(10, &facts), until(20), "even one may be about to register");
}

#[test]
fn it_closes_when_all_are_back_under_new_lives() {
    let mut bench = Bench::new();
    assert_eq!(bench.at(10, &lost(2, 5, 10)), until(15));
    let one_is_back = Facts { missing: nodes([0]), live: nodes(1..5), ..lost(2, 5, 10) };
    assert_eq!(bench.at(11, &one_is_back), until(15));
    assert_eq!(bench.at(12, &Facts { waiting: 4, ..lost(0, 5, 0) }), Verdict::Closed);
    assert_eq!(bench.breaker.record(secs(12)), None);
}

#[test]
fn half_of_the_missing_that_say_they_are_cut_off_lengthen_the_hold_up_to_a_minute() {
    let mut bench = Bench::new();
    let mut facts = Facts { cut_off: nodes([1]), ..lost(2, 3, 10) };
    assert_eq!(bench.at(10, &facts), until(15));
    assert_eq!(bench.at(14, &facts), until(19));
    assert_eq!(bench.at(68, &facts), until(70), "not beyond a minute");
    assert_eq!(bench.at(70, &facts), may_start(2));
    // One of four is not half of them, and what is heard during the ramp holds nothing.
    let mut bench = Bench::new();
    facts = Facts { cut_off: nodes([1]), ..lost(4, 6, 10) };
    assert_eq!(bench.at(14, &facts), until(15));
    facts.cut_off = nodes([0, 1, 2, 3]);
    assert_eq!(bench.at(15, &Facts { cut_off: BTreeSet::new(), ..facts.clone() }), may_start(4));
    bench.breaker.gave(1);
    assert_eq!(bench.at(16, &facts), may_start(4));
}

#[test]
fn the_ramp_doubles_with_each_wave_that_has_come_up_and_stays_within_the_room() {
    let mut bench = Bench::new();
    let facts = |starting| Facts { starting, waiting: 80, free_room: 10, ..lost(2, 3, 10) };
    bench.at(10, &facts(0));
    assert_eq!(bench.at(15, &facts(0)), may_start(2));
    bench.breaker.gave(2);
    assert_eq!(bench.at(15, &facts(2)), may_start(0), "they have not come up");
    assert_eq!(bench.at(16, &facts(1)), may_start(3), "hardly half of them are left");
    bench.breaker.gave(3);
    assert_eq!(bench.at(17, &facts(4)), may_start(0));
    bench.breaker.gave(1);
    assert_eq!(bench.at(18, &facts(0)), may_start(8));
    bench.breaker.gave(8);
    assert_eq!(bench.at(19, &facts(0)), may_start(10), "as many as there is room for");
}

#[test]
fn a_survivor_that_is_lost_halves_the_ramp_and_three_are_a_cascade() {
    let mut bench = Bench::new();
    let facts = |missing| Facts { waiting: 80, ..lost(missing, 10, 10) };
    bench.at(10, &facts(4));
    assert_eq!(bench.at(15, &facts(4)), may_start(12));
    bench.breaker.gave(12);
    assert_eq!(bench.at(16, &facts(4)), may_start(24));
    bench.breaker.gave(1);
    assert_eq!(bench.at(17, &facts(5)), may_start(12));
    bench.breaker.gave(1);
    assert_eq!(bench.at(18, &facts(6)), may_start(6));
    bench.breaker.gave(1);
    let reason = "3 nodes were lost while they took over for others: n0, n1, n2, n3, n4, n5, n6".to_owned();
    assert_eq!(bench.at(19, &facts(7)), Verdict::Tripped { reason });
}

#[test]
fn tenants_that_fit_nowhere_do_not_keep_it_open() {
    let mut bench = Bench::new();
    let facts = |starting| Facts { starting, ..lost(2, 3, 10) };
    bench.at(10, &facts(0));
    assert_eq!(bench.at(15, &facts(0)), may_start(2));
    bench.breaker.gave(0);
    assert_eq!(bench.at(16, &facts(1)), may_start(1), "one that comes up may make room");
    bench.breaker.gave(0);
    assert_eq!(bench.at(17, &facts(0)), Verdict::Closed);
}

#[test]
fn the_next_term_goes_on_where_the_last_one_was() {
    let mut bench = Bench::new();
    bench.at(10, &lost(2, 5, 10));
    let record = bench.breaker.record(secs(12)).unwrap();
    assert_eq!((record.held_for, record.age, record.ramp), (secs(3), secs(2), 0));
    let mut next = FailoverBreaker::resume(Timing::default(), Some(&record), secs(100));
    let policy = Policy::default();
    let fresh = |at| Facts { is_fresh: true, ..lost(2, 5, at) };
    assert_eq!(next.step(&fresh(100), &policy, secs(101)), until(103), "the hold does not begin anew");
    assert_eq!(next.step(&fresh(100), &policy, secs(103)), may_start(6));
    next.gave(6);
    next.step(&fresh(100), &policy, secs(104));
    let record = next.record(secs(104)).unwrap();
    assert_eq!((record.held_for, record.ramp), (Duration::ZERO, 12));
    let mut third = FailoverBreaker::resume(Timing::default(), Some(&record), secs(200));
    assert_eq!(third.step(&fresh(200), &policy, secs(200)), may_start(12));
}

#[test]
fn what_a_person_has_resumed_is_not_held_again_and_it_can_be_turned_off() {
    let mut bench = Bench::new();
    assert_eq!(bench.at(10, &lost(2, 5, 10)), until(15));
    bench.policy.resumed_ago = Some(Duration::ZERO);
    assert_eq!(bench.at(11, &lost(2, 5, 10)), Verdict::Closed);
    let mut bench = Bench::new();
    bench.policy.failover_breaker = false;
    assert_eq!(bench.at(10, &lost(4, 5, 10)), Verdict::Closed);
}

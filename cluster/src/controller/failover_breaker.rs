//! A circuit breaker against mass loss: when many nodes go at once, the fault is more likely in what they share (a
//! network, a switch, an etcd that was away) than in each of them, and starting all their tenants on the few that remain
//! would take these down too. Closed, failover flows; else tenants whose node is gone wait.
//!
//! ```text
//!            too many are missing               still too many after a TTL
//!   closed ───────────────────────► open ───────────────────────────────────► tripped (until an operator resumes)
//!      ▲                              │
//!      └────── enough are back ◄──────┘
//! ```
//!
//! Open and tripped are the same to the plan. They differ for people: tripped is a pause in the ledger. After an outage
//! of etcd, or at the start of a term, every node may be away for a moment and come back by itself under a new life; that
//! must neither move all tenants nor leave a pause behind that nobody was needed for.

use std::{collections::BTreeSet, time::Duration};

use roost_model::ids::NodeId;

use crate::ledger::Policy;

use super::membership::Membership;

/// Of live and lost nodes together, in percent; more than this are too many, if they are two at least.
const TOLERATED_PERCENT: usize = 30;
/// So many of the lost nodes are named in the reason.
const NAMED: usize = 10;

pub(super) struct FailoverBreaker {
    ttl: Duration,
    held: Option<Held>,
}

struct Held {
    since: Duration,
    missing: BTreeSet<NodeId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BreakerState {
    Closed,
    /// Looked at again when `until` has come.
    Open {
        until: Duration,
    },
    Tripped {
        reason: String,
    },
}

impl FailoverBreaker {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, held: None }
    }

    pub(super) fn step(&mut self, membership: &Membership, policy: &Policy, now: Duration) -> BreakerState {
        let held = self.held.take();
        let just_resumed = policy.resumed_ago.is_some_and(|ago| ago < self.ttl * 2);
        if policy.failover_paused.is_some() || !policy.failover_breaker || just_resumed {
            return BreakerState::Closed;
        }
        let (since, mut missing) = held.map_or((now, BTreeSet::new()), |held| (held.since, held.missing));
        missing.extend(membership.missing_since(now.saturating_sub(self.ttl)).into_iter().cloned());
        missing.retain(|node| !membership.is_live(node));
        let all = missing.len() + membership.live();
        if missing.len() < 2 || missing.len() * 100 <= all * TOLERATED_PERCENT {
            return BreakerState::Closed;
        }
        let until = since + self.ttl;
        let names: Vec<&str> = missing.iter().map(NodeId::as_str).take(NAMED).collect();
        let reason = format!("{} of {all} nodes were lost at once: {}", missing.len(), names.join(", "));
        self.held = Some(Held { since, missing });
        if now < until { BreakerState::Open { until } } else { BreakerState::Tripped { reason } }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        controller::{membership::Expectations, tests::live_node},
        records::NodeRecord,
    };

    const TTL: Duration = Duration::from_secs(5);

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

//! A circuit breaker against mass loss, which closes by itself.
//!
//! When many nodes go at once, the fault is more likely in what they share (a network, a switch, an etcd that was away) than
//! in each of them: they may be back in a moment. And starting all their tenants at once on the few that remain would take
//! these down too. So failover is held for as long as nodes need to come back, and then goes on at a rate that grows while
//! it goes well. It waits for a person only where the survivors fall one after the other.
//!
//! ```text
//!            too much is missing            the hold is over                  three survivors lost
//!   closed ───────────────────────► open ───────────────────► half open ───────────────────────────► tripped
//!      ▲                              │                           │                                     │
//!      └──── all are back, or nobody waits any more ◄─────────────┴───── all are back, or a person ◄────┘
//! ```
//!
//! Pure: the facts and the time come in, a verdict goes out. What has to outlive a term is the [`BreakerRecord`].

use std::{collections::BTreeSet, time::Duration};

use roost_model::ids::NodeId;

use super::names::named;
use crate::{
    ledger::{BreakerRecord, Policy},
    timing::Timing,
};

/// Of live and missing nodes together, in percent; more than this are too many, if they are two at least.
const TOLERATED_PERCENT: usize = 30;
/// Losses of so long count together.
pub(super) const SPAN: Duration = Duration::from_secs(60);
/// Nodes that say that they are cut off lengthen a hold up to this.
const LONGEST_HOLD: Duration = Duration::from_secs(60);
/// So many survivors lost while tenants are given to them are a cascade.
const CASCADE: u32 = 3;
/// What each survivor starts at once when failover goes on.
const FIRST_RAMP: u32 = 2;

/// What a verdict depends on, beside what it was before.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Lost within [`SPAN`] and not back.
    pub(super) missing: BTreeSet<NodeId>,
    /// When the first of them was.
    pub(super) first_loss: Duration,
    pub(super) live: BTreeSet<NodeId>,
    /// Tenants whose node is gone.
    pub(super) waiting: usize,
    /// Places that the live nodes have left.
    pub(super) free_room: u32,
    /// Tenants that were placed and have not come up yet.
    pub(super) starting: u32,
    /// Nodes that have no lease and say so where they still can.
    pub(super) cut_off: BTreeSet<NodeId>,
    /// The first of them was gone when the term began: since when, nobody knows.
    pub(super) is_fresh: bool,
    /// Etcd was away for so long that every lease may have ended.
    pub(super) after_gap: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Closed,
    /// Tenants whose node is gone wait. Looked at again when `until` has come.
    Open {
        until: Duration,
    },
    /// So many of them may be placed now.
    HalfOpen {
        may_start: u32,
    },
    /// Until a person says otherwise, or all are back.
    Tripped {
        reason: String,
    },
}

pub(super) struct FailoverBreaker {
    timing: Timing,
    open: Option<Open>,
}

struct Open {
    lost: BTreeSet<NodeId>,
    since: Duration,
    until: Duration,
    /// How many may be starting at once; 0 while it holds.
    ramp: u32,
    /// Given to nodes since the ramp was last raised.
    given: u32,
    /// Whether some might have been given on the last verdict, and were not.
    offered: bool,
    survivors_lost: u32,
}

impl FailoverBreaker {
    /// As the last term has left it.
    pub(super) fn resume(timing: Timing, record: Option<&BreakerRecord>, now: Duration) -> Self {
        let open = record.map(|record| Open {
            lost: record.lost.clone(),
            since: now.saturating_sub(record.age),
            until: now + record.held_for,
            ramp: record.ramp,
            given: 0,
            offered: false,
            survivors_lost: record.survivors_lost,
        });
        Self { timing, open }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.open.is_none()
    }

    /// What the next term has to know.
    pub(super) fn record(&self, now: Duration) -> Option<BreakerRecord> {
        let open = self.open.as_ref()?;
        Some(BreakerRecord {
            lost: open.lost.clone(),
            age: now.saturating_sub(open.since),
            held_for: open.until.saturating_sub(now),
            ramp: open.ramp,
            survivors_lost: open.survivors_lost,
        })
    }

    /// So many were given to nodes on the last verdict. To be said after each.
    pub(super) fn gave(&mut self, tenants: u32) {
        if let Some(open) = &mut self.open {
            open.given = open.given.saturating_add(tenants);
            open.offered &= tenants == 0;
        }
    }

    pub(super) fn step(&mut self, facts: &Facts, policy: &Policy, now: Duration) -> Verdict {
        let just_resumed = policy.resumed_ago.is_some_and(|ago| ago < SPAN);
        if !policy.failover_breaker || just_resumed {
            self.open = None;
            return Verdict::Closed;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None if is_too_much(facts) => self.opened(facts, now),
            None => return Verdict::Closed,
        };
        let all_are_back = open.lost.iter().chain(&facts.missing).all(|node| facts.live.contains(node));
        // Those that are left have nowhere to go, and wait for that as tenants do at any time.
        let nothing_fits = open.offered && facts.starting == 0;
        if facts.waiting == 0 || all_are_back || nothing_fits {
            return Verdict::Closed;
        }
        let mut open = self.with_news(open, facts, now);
        let verdict = if now < open.until {
            Verdict::Open { until: open.until }
        } else if open.survivors_lost >= CASCADE {
            Verdict::Tripped { reason: cascade(&open) }
        } else {
            let may_start = ramp_up(&mut open, facts);
            open.offered = may_start > 0;
            Verdict::HalfOpen { may_start }
        };
        self.open = Some(open);
        verdict
    }

    /// A node that lost its lease and nothing else is back within a TTL; where all may have lost theirs, within two.
    fn opened(&self, facts: &Facts, now: Duration) -> Open {
        let hold = self.timing.ttl * if facts.is_fresh || facts.after_gap { 2 } else { 1 };
        Open {
            lost: BTreeSet::new(),
            since: now,
            until: facts.first_loss + hold,
            ramp: 0,
            given: 0,
            offered: false,
            survivors_lost: 0,
        }
    }

    fn with_news(&self, mut open: Open, facts: &Facts, now: Duration) -> Open {
        let new: Vec<NodeId> = facts.missing.difference(&open.lost).cloned().collect();
        if open.ramp > 0 && !new.is_empty() {
            open.survivors_lost += u32::try_from(new.len()).unwrap_or(u32::MAX);
            open.ramp = (open.ramp / 2).max(survivors(facts));
            open.given = 0;
        }
        open.lost.extend(new);
        open.lost.retain(|node| !facts.live.contains(node));
        let alive = open.lost.intersection(&facts.cut_off).count();
        if open.ramp == 0 && alive > 0 && alive * 2 >= open.lost.len() {
            let longest = open.since + LONGEST_HOLD;
            open.until = open.until.max((now + self.timing.ttl).min(longest));
        }
        open
    }
}

fn is_too_much(facts: &Facts) -> bool {
    let missing = facts.missing.len();
    let all = missing + facts.live.len();
    let many_nodes = missing >= 2 && missing * 100 > all * TOLERATED_PERCENT;
    let little_room = missing > 0 && facts.waiting * 2 > facts.free_room as usize;
    facts.waiting > 0 && (many_nodes || little_room || (facts.after_gap && missing > 0))
}

fn survivors(facts: &Facts) -> u32 {
    u32::try_from(facts.live.len()).unwrap_or(u32::MAX).max(1)
}

/// Doubles the ramp when as many as it allows were given and hardly half of them are still coming up. How many may be
/// given now.
fn ramp_up(open: &mut Open, facts: &Facts) -> u32 {
    if open.ramp == 0 {
        open.ramp = survivors(facts) * FIRST_RAMP;
    } else if open.given >= open.ramp && facts.starting * 2 <= open.ramp {
        open.ramp = open.ramp.saturating_mul(2).min(facts.free_room).max(survivors(facts));
        open.given = 0;
    }
    open.ramp.saturating_sub(facts.starting)
}

fn cascade(open: &Open) -> String {
    format!(
        "{} nodes were lost while they took over for others: {}",
        open.survivors_lost,
        named(open.lost.iter().map(NodeId::as_str))
    )
}

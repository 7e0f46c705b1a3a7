//! What a term makes of the nodes it sees: who came and went, who is waited for, whether too many are gone. Pure: the
//! facts and the time come in, an assessment goes out.
//!
//! Four small machines, brought together by [`FailureDetector`]: which nodes came, left or were lost ([`Membership`]),
//! which are awaited ([`RestartWindows`]), which flap ([`FlapDetector`]), and whether so many are lost that failover waits
//! or goes slowly ([`FailoverBreaker`]).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use roost_model::ids::{Incarnation, NodeId, TenantId};

use crate::{
    ledger::{
        BreakerRecord, DesiredTenant, Event, EventKind, FailoverFacts, LedgerRecord, NodeOrder, Orders,
        RestartWindow,
    },
    records::{ImpairmentKind, NodeRecord},
    timing::Timing,
};

use super::{
    failover_breaker::{Facts, FailoverBreaker, SPAN as LOSS_SPAN, Verdict},
    names::named,
};

pub(super) struct FailureDetector {
    membership: Membership,
    flap_detector: FlapDetector,
    restart_windows: RestartWindows,
    /// None before the first look.
    breaker: Option<FailoverBreaker>,
    timing: Timing,
    began_at: Option<Duration>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Assessment {
    pub(super) awaited: BTreeSet<NodeId>,
    /// Tenants of lost nodes wait, whatever the policy says.
    pub(super) failover_held: bool,
    /// So many of them may be placed now.
    pub(super) failover_ramp: Option<u32>,
    pub(super) failing_zones: BTreeSet<String>,
    /// Nodes that take tenants last, and those whose tenants leave: [`super::impairments`].
    pub(super) impaired: BTreeSet<NodeId>,
    /// And for what.
    pub(super) shedding: BTreeMap<NodeId, ImpairmentKind>,
    /// By tenant, nodes that have lately not got ready for it: [`super::preparations`].
    pub(super) unprepared: HashMap<TenantId, Vec<NodeId>>,
    /// Whether a node came or went.
    pub(super) nodes_changed: bool,
    /// Once only: they are not found again.
    pub(super) events: Vec<Event>,
    /// Found again in every pass until the orders show them.
    pub(super) records: Vec<LedgerRecord>,
    /// The assessment changes by itself after so long.
    pub(super) recheck_after: Option<Duration>,
}

impl FailureDetector {
    pub(super) fn new(timing: Timing) -> Self {
        Self {
            membership: Membership::new(timing.ttl),
            flap_detector: FlapDetector::default(),
            restart_windows: RestartWindows::default(),
            breaker: None,
            timing,
            began_at: None,
        }
    }

    /// Whether the failover facts are asked for: they cost the ledger a look at all tenants.
    pub(super) fn wants_facts(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| !breaker.is_closed())
    }

    /// So many tenants of lost nodes were placed after the last look.
    pub(super) fn gave(&mut self, tenants: u32) {
        if let Some(breaker) = &mut self.breaker {
            breaker.gave(tenants);
        }
    }

    pub(super) fn observe(&mut self, seen: &Sight<'_>, now: Duration) -> Assessment {
        let Sight { nodes, desired_tenants, orders, .. } = *seen;
        let awaited = self.restart_windows.awaited(&orders.nodes, nodes);
        let is_first = self.began_at.is_none();
        self.began_at.get_or_insert(now);
        let placed = desired_tenants.iter().filter(|_| is_first).filter_map(|desired| desired.node.as_ref());
        let expected = Expectations { placed_on: &placed.collect(), awaited: &awaited.nodes };
        let changes = self.membership.observe(nodes, &expected, now);
        let mut assessment = Assessment {
            failing_zones: self.membership.failing_zones(),
            nodes_changed: is_first || !changes.is_empty(),
            recheck_after: awaited.for_at_most,
            ..Assessment::default()
        };
        for change in &changes {
            self.report(change, is_first, orders, now, &mut assessment);
        }
        let facts = self.facts(seen, &awaited.nodes, now);
        assessment.awaited = awaited.nodes;
        self.hold_failover(&facts, orders, now, &mut assessment);
        assessment
    }

    fn facts(&self, seen: &Sight<'_>, awaited: &BTreeSet<NodeId>, now: Duration) -> Facts {
        let (missing, first_loss) = self.membership.missing_since(now.saturating_sub(LOSS_SPAN));
        if missing.is_empty() && !self.wants_facts() {
            return Facts::default();
        }
        let mut facts = Facts {
            missing: missing.into_iter().cloned().collect(),
            first_loss: first_loss.unwrap_or(now),
            live: seen.nodes.keys().cloned().collect(),
            starting: seen.failover.starting,
            cut_off: seen.failover.cut_off.clone(),
            is_fresh: first_loss.is_some() && first_loss == self.began_at,
            after_gap: seen.after_gap,
            ..Facts::default()
        };
        let running = seen.desired_tenants.iter().filter(|desired| desired.running);
        let mut taken: BTreeMap<&NodeId, u32> = BTreeMap::new();
        for node in running.filter_map(|desired| desired.node.as_ref()) {
            if seen.nodes.contains_key(node) {
                *taken.entry(node).or_default() += 1;
            } else if !awaited.contains(node) {
                facts.waiting += 1;
            }
        }
        let closed =
            |node: &NodeId| seen.orders.nodes.iter().any(|order| order.node == *node && order.cordoned);
        let takers = seen.nodes.values().filter(|record| !record.leaving && !closed(&record.node));
        facts.free_room = takers
            .map(|record| record.capacity.saturating_sub(taken.get(&record.node).copied().unwrap_or(0)))
            .fold(0, u32::saturating_add);
        facts
    }

    fn report(
        &mut self,
        change: &MembershipChange,
        is_first: bool,
        orders: &Orders,
        now: Duration,
        assessment: &mut Assessment,
    ) {
        // While failover is paused, every new controller finds the same nodes gone.
        if !(is_first && orders.policy.failover_paused.is_some()) {
            assessment.events.push(of_change(change));
        }
        if let MembershipChange::Lost { node } = change
            && self.flap_detector.lost(node, now)
        {
            tracing::warn!(%node, span = ?SUSPECT_FOR, "the node comes and goes: it is suspect");
            assessment.events.push(suspect(node, SUSPECT_FOR));
            assessment.records.push(LedgerRecord::Suspect { node: node.clone(), span: SUSPECT_FOR });
        }
    }

    fn hold_failover(&mut self, facts: &Facts, orders: &Orders, now: Duration, assessment: &mut Assessment) {
        if orders.policy.failover_paused.is_some() {
            let lost = orders.breaker.as_ref().map(|record| &record.lost);
            let all_are_back = lost.is_none_or(|lost| lost.iter().all(|node| self.membership.is_live(node)));
            if orders.policy.paused_by_breaker && all_are_back {
                let text = "failover goes on: the nodes that were lost are back".to_owned();
                let event = Event { kind: EventKind::FailoverResumed, node: None, tenant: None, text };
                assessment.records.extend([LedgerRecord::ResumeFailover, LedgerRecord::Breaker(None)]);
                assessment.events.push(event);
            }
            return;
        }
        let breaker = self
            .breaker
            .get_or_insert_with(|| FailoverBreaker::resume(self.timing, orders.breaker.as_ref(), now));
        let look_again = match breaker.step(facts, &orders.policy, now) {
            Verdict::Closed => None,
            Verdict::Open { until } => {
                assessment.failover_held = true;
                // Those that are cut off say so anew in the meantime.
                Some(until.saturating_sub(now).min(self.timing.ttl / 2))
            }
            Verdict::HalfOpen { may_start } => {
                assessment.failover_ramp = Some(may_start);
                Some(self.timing.ttl / 10)
            }
            Verdict::Tripped { reason } => {
                tracing::error!(
                    reason,
                    "failover is paused: see to the nodes, then `roost cluster resume-failover`"
                );
                assessment.failover_held = true;
                assessment.events.push(breaker_event(EventKind::FailoverPaused, reason.clone()));
                assessment.records.push(LedgerRecord::PauseFailover { reason });
                None
            }
        };
        let soonest = assessment.recheck_after.into_iter().chain(look_again).min();
        assessment.recheck_after = soonest;
        let record = breaker.record(now);
        if !self.is_noted(record.as_ref(), orders.breaker.as_ref()) {
            let text = described(record.as_ref(), facts);
            tracing::warn!(state = text, "the failover breaker");
            assessment.events.push(breaker_event(EventKind::FailoverBreaker, text));
            assessment.records.push(LedgerRecord::Breaker(record));
        }
    }

    /// Whether the ledger has it like this, but for the time that has passed since it was written.
    fn is_noted(&self, record: Option<&BreakerRecord>, noted: Option<&BreakerRecord>) -> bool {
        match (record, noted) {
            (None, None) => true,
            (Some(record), Some(noted)) => {
                let same = |of: &BreakerRecord| (of.lost.clone(), of.ramp, of.survivors_lost);
                let off = record.held_for.abs_diff(noted.held_for);
                same(record) == same(noted) && off < self.timing.ttl / 4
            }
            _ => false,
        }
    }
}

/// What a pass has seen, as far as it is about nodes.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) nodes: &'a BTreeMap<NodeId, NodeRecord>,
    pub(super) desired_tenants: &'a [DesiredTenant],
    pub(super) orders: &'a Orders,
    /// Asked for when [`FailureDetector::wants_facts`].
    pub(super) failover: &'a FailoverFacts,
    /// Etcd was away for longer than a lease lasts, and is back since two TTLs at most.
    pub(super) after_gap: bool,
}

fn breaker_event(kind: EventKind, text: String) -> Event {
    Event { kind, node: None, tenant: None, text }
}

fn described(record: Option<&BreakerRecord>, facts: &Facts) -> String {
    let Some(record) = record else { return "failover is as usual again".to_owned() };
    let (lost, waiting) = (named(record.lost.iter().map(NodeId::as_str)), facts.waiting);
    if record.ramp == 0 {
        let held = record.held_for.as_secs_f64();
        format!(
            "failover is held for {held:.1} s, for they may be back: {lost} are lost; {waiting} tenants wait"
        )
    } else {
        let ramp = record.ramp;
        format!("failover goes on, {ramp} tenants at a time: {lost} are lost; {waiting} tenants wait")
    }
}

fn of_change(change: &MembershipChange) -> Event {
    match change {
        MembershipChange::Joined { node } => of_node(EventKind::NodeJoined, node, format!("{node} is live")),
        MembershipChange::Left { node } => {
            of_node(EventKind::NodeLeft, node, format!("{node} has left in order"))
        }
        MembershipChange::Lost { node } => {
            of_node(EventKind::NodeLost, node, format!("{node} is gone: its lease has ended"))
        }
    }
}

fn suspect(node: &NodeId, span: Duration) -> Event {
    let minutes = span.as_secs() / 60;
    let text = format!("{node} came and went too often: for {minutes} min it takes tenants last");
    of_node(EventKind::NodeSuspect, node, text)
}

pub(super) fn of_node(kind: EventKind, node: &NodeId, text: String) -> Event {
    Event { kind, node: Some(node.clone()), tenant: None, text }
}

/// Which nodes came, left in order, or were lost.
///
/// ```text
///              its key appears            its key goes, or another life has it
///   unknown ──────────────────► live ──┬── it had said `leaving`, or a restart is awaited ──► left
///                                      └── else ────────────────────────────────────────────► lost
/// ```
///
/// Kept in the memory of a term. At its start, nodes that the ledger has tenants on and that are not there count as
/// lost now: whoever led before has not got to placing their tenants elsewhere.
pub(super) struct Membership {
    ttl: Duration,
    began: bool,
    now: Duration,
    live: BTreeMap<NodeId, Life>,
    /// Of the last minute, two TTLs at least, oldest first.
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
        Self { ttl, began: false, now: Duration::ZERO, live: BTreeMap::new(), lost: Vec::new() }
    }

    /// Compares with what was seen last.
    pub(super) fn observe(
        &mut self,
        nodes: &BTreeMap<NodeId, NodeRecord>,
        expected: &Expectations<'_>,
        now: Duration,
    ) -> Vec<MembershipChange> {
        self.now = now;
        self.lost.retain(|loss| loss.at + LOSS_SPAN.max(self.ttl * 2) > now);
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

    /// Lost at `since` or later and not back, and when the first of them was.
    pub(super) fn missing_since(&self, since: Duration) -> (BTreeSet<&NodeId>, Option<Duration>) {
        let recent = || {
            let recent = self.lost.iter().filter(|loss| loss.at >= since);
            recent.filter(|loss| !self.live.contains_key(&loss.node))
        };
        (recent().map(|loss| &loss.node).collect(), recent().map(|loss| loss.at).min())
    }

    fn is_live(&self, node: &NodeId) -> bool {
        self.live.contains_key(node)
    }

    /// Zones that have lost two nodes or all they had within the last two TTLs.
    pub(super) fn failing_zones(&self) -> BTreeSet<String> {
        let mut lost: BTreeMap<&String, BTreeSet<&NodeId>> = BTreeMap::new();
        for loss in self.lost.iter().filter(|loss| loss.at + self.ttl * 2 > self.now) {
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

/// Restart windows: nodes whose tenants keep their places while they are away.
///
/// A window is for the end of one life. It begins to count when that life says that it is leaving or is gone, and it
/// has served its purpose once another life of the node is there: if that one is lost, its tenants do not wait.
#[derive(Default)]
pub(super) struct RestartWindows {
    /// Windows whose node came back; as long as the ledger tells of them.
    used: BTreeSet<(NodeId, Incarnation)>,
}

/// What the windows come to now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Awaited {
    pub(super) nodes: BTreeSet<NodeId>,
    /// When the first of them is over.
    pub(super) for_at_most: Option<Duration>,
}

impl RestartWindows {
    pub(super) fn awaited(&mut self, orders: &[NodeOrder], live: &BTreeMap<NodeId, NodeRecord>) -> Awaited {
        let ordered: Vec<(&NodeId, RestartWindow)> =
            orders.iter().filter_map(|order| Some((&order.node, order.restart_window?))).collect();
        self.used.retain(|(node, life)| {
            ordered.iter().any(|(other, window)| *other == node && window.incarnation == *life)
        });
        let mut awaited = Awaited::default();
        for (node, window) in ordered {
            let is_back = live.get(node).is_some_and(|record| record.incarnation != window.incarnation);
            let key = (node.clone(), window.incarnation);
            if is_back {
                self.used.insert(key);
            } else if !self.used.contains(&key) && live.get(node).is_none_or(|record| record.leaving) {
                awaited.nodes.insert(key.0);
                let first = awaited.for_at_most.map_or(window.left, |other| other.min(window.left));
                awaited.for_at_most = Some(first);
            }
        }
        awaited
    }
}

/// So many losses ...
const LOSSES: usize = 3;
/// ... within this span make a node suspect ...
const SPAN: Duration = Duration::from_secs(600);
/// ... for so long.
pub(super) const SUSPECT_FOR: Duration = Duration::from_secs(600);

/// Nodes that come and go: whoever places tenants on one places them again soon. The recent losses of each.
#[derive(Default)]
pub(super) struct FlapDetector {
    losses: BTreeMap<NodeId, Vec<Duration>>,
}

impl FlapDetector {
    /// Whether that makes it suspect; the count begins anew then.
    pub(super) fn lost(&mut self, node: &NodeId, now: Duration) -> bool {
        self.losses.retain(|_, losses| {
            losses.retain(|at| *at + SPAN > now);
            !losses.is_empty()
        });
        let losses = self.losses.entry(node.clone()).or_default();
        losses.push(now);
        let is_suspect = losses.len() >= LOSSES;
        if is_suspect {
            self.losses.remove(node);
        }
        is_suspect
    }
}

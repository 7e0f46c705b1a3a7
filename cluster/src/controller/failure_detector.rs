//! What a term makes of the nodes it sees: who came and went, who is waited for, whether too many are gone. Pure: the
//! facts and the time come in, an assessment goes out.
//!
//! Four small machines, brought together by [`FailureDetector`]: which nodes came, left or were lost ([`Membership`]),
//! which are awaited ([`RestartWindows`]), which flap ([`FlapDetector`]), and whether so many are lost that failover waits
//! ([`FailoverBreaker`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use roost_model::ids::{Incarnation, NodeId};

use crate::{
    ledger::{DesiredTenant, Event, EventKind, LedgerRecord, NodeOrder, Orders, Policy, RestartWindow},
    records::NodeRecord,
};

pub(super) struct FailureDetector {
    membership: Membership,
    flap_detector: FlapDetector,
    restart_windows: RestartWindows,
    breaker: FailoverBreaker,
    has_begun: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Assessment {
    pub(super) awaited: BTreeSet<NodeId>,
    /// Tenants of lost nodes wait, whatever the policy says.
    pub(super) failover_held: bool,
    pub(super) failing_zones: BTreeSet<String>,
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
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            membership: Membership::new(ttl),
            flap_detector: FlapDetector::default(),
            restart_windows: RestartWindows::default(),
            breaker: FailoverBreaker::new(ttl),
            has_begun: false,
        }
    }

    pub(super) fn observe(
        &mut self,
        nodes: &BTreeMap<NodeId, NodeRecord>,
        desired_tenants: &[DesiredTenant],
        orders: &Orders,
        now: Duration,
    ) -> Assessment {
        let awaited = self.restart_windows.awaited(&orders.nodes, nodes);
        let is_first = !std::mem::replace(&mut self.has_begun, true);
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
        assessment.awaited = awaited.nodes;
        self.hold_failover(orders, now, &mut assessment);
        assessment
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

    fn hold_failover(&mut self, orders: &Orders, now: Duration, assessment: &mut Assessment) {
        match self.breaker.step(&self.membership, &orders.policy, now) {
            BreakerState::Closed => {}
            BreakerState::Open { until } => {
                assessment.failover_held = true;
                let left = until.saturating_sub(now);
                assessment.recheck_after =
                    Some(assessment.recheck_after.map_or(left, |other| other.min(left)));
            }
            BreakerState::Tripped { reason } => {
                tracing::error!(reason, "failover is paused until an operator resumes it");
                assessment.failover_held = true;
                let event =
                    Event { kind: EventKind::FailoverPaused, node: None, tenant: None, text: reason.clone() };
                assessment
                    .records
                    .extend([LedgerRecord::PauseFailover { reason }, LedgerRecord::Event(event)]);
            }
        }
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

fn of_node(kind: EventKind, node: &NodeId, text: String) -> Event {
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

/// Of live and lost nodes together, in percent; more than this are too many, if they are two at least.
const TOLERATED_PERCENT: usize = 30;
/// So many of the lost nodes are named in the reason.
const NAMED: usize = 10;

/// A circuit breaker against mass loss: when many nodes go at once, the fault is more likely in what they share (a
/// network, a switch, an etcd that was away) than in each of them, and starting all their tenants on the few that remain
/// would take these down too. Closed, failover flows; else tenants whose node is gone wait.
///
/// ```text
///            too many are missing               still too many after a TTL
///   closed ───────────────────────► open ───────────────────────────────────► tripped (until an operator resumes)
///      ▲                              │
///      └────── enough are back ◄──────┘
/// ```
///
/// Open and tripped are the same to the plan. They differ for people: tripped is a pause in the ledger. After an outage
/// of etcd, or at the start of a term, every node may be away for a moment and come back by itself under a new life; that
/// must neither move all tenants nor leave a pause behind that nobody was needed for.
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

//! What operators have ordered, kept on the runtime's clock: cordons, windows, suspects, policy, operations.

use std::{collections::BTreeMap, time::Duration};

use roost_model::ids::{Incarnation, NodeId, OperationId};
use tokio::time::Instant;

use crate::{
    ledger::{
        BreakerRecord, Event, EventKind, LedgerRecord, NodeOrder, Operation, OperationKind, Orders, Outcome,
        Policy, Progress, RestartWindow,
    },
    records::ImpairmentKind,
};

/// The limits of a rebalance that the policy starts.
const AUTO_REBALANCE: OperationKind =
    OperationKind::Rebalance { max_concurrent: 4, max_unavailable_percent: 10 };

#[derive(Default)]
pub(super) struct StoredOrders {
    paused: Option<String>,
    paused_by_breaker: bool,
    breaker: Option<(BreakerRecord, Instant)>,
    resumed_at: Option<Instant>,
    brake_off: bool,
    auto_rebalance: bool,
    nodes: BTreeMap<NodeId, StoredNodeOrder>,
    operations: BTreeMap<OperationId, StoredOperation>,
}

#[derive(Default)]
struct StoredNodeOrder {
    cordoned: bool,
    window: Option<(Incarnation, Instant)>,
    suspect_until: Option<Instant>,
    shedding: Option<ImpairmentKind>,
}

struct StoredOperation {
    kind: OperationKind,
    progress: Progress,
    waits_for: String,
    end: Option<OperationEnd>,
    /// Of a drain: from then on it is urgent.
    deadline: Option<Instant>,
    /// Of a drain: what a cancellation puts back.
    was_cordoned: bool,
}

/// How an operation came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationEnd {
    Outcome(Outcome),
    Cancelled,
}

impl StoredOrders {
    pub(super) fn orders(&self, now: Instant) -> Orders {
        let policy = Policy {
            failover_paused: self.paused.clone(),
            paused_by_breaker: self.paused.is_some() && self.paused_by_breaker,
            resumed_ago: self.resumed_at.map(|at| now - at),
            failover_breaker: !self.brake_off,
            auto_rebalance: self.auto_rebalance,
        };
        let nodes = self.nodes.iter().filter_map(|(node, order)| order.order(node, now));
        let running = self.operations.iter().filter(|(_, entry)| entry.end.is_none());
        let operations = running.map(|(&id, entry)| Operation {
            id,
            kind: entry.kind_at(now),
            progress: entry.progress,
            waits_for: entry.waits_for.clone(),
        });
        let breaker = self.breaker.as_ref().map(|(record, noted_at)| BreakerRecord {
            age: record.age + (now - *noted_at),
            held_for: record.held_for.saturating_sub(now - *noted_at),
            ..record.clone()
        });
        Orders {
            policy,
            nodes: nodes.collect(),
            operations: operations.collect(),
            fleet_moves: Vec::new(),
            breaker,
        }
    }

    pub(super) fn start(&mut self, kind: OperationKind, deadline: Option<Instant>) -> OperationId {
        let id = OperationId(self.operations.len() as i64 + 1);
        let mut was_cordoned = false;
        if let OperationKind::Drain { node, .. } = &kind {
            let order = self.nodes.entry(node.clone()).or_default();
            was_cordoned = std::mem::replace(&mut order.cordoned, true);
        }
        let entry = StoredOperation {
            kind,
            progress: Progress::default(),
            waits_for: String::new(),
            end: None,
            deadline,
            was_cordoned,
        };
        self.operations.insert(id, entry);
        id
    }

    /// Whether it was running.
    pub(super) fn cancel(&mut self, id: OperationId) -> bool {
        let Some(entry) = self.operations.get_mut(&id).filter(|entry| entry.end.is_none()) else {
            return false;
        };
        entry.end = Some(OperationEnd::Cancelled);
        if let OperationKind::Drain { node, .. } = &entry.kind {
            self.nodes.entry(node.clone()).or_default().cordoned = entry.was_cordoned;
        }
        true
    }

    pub(super) fn progress(&self, id: OperationId) -> Option<Progress> {
        self.operations.get(&id).map(|entry| entry.progress)
    }

    pub(super) fn waits_for(&self, id: OperationId) -> Option<String> {
        self.operations.get(&id).map(|entry| entry.waits_for.clone())
    }

    pub(super) fn end(&self, id: OperationId) -> Option<OperationEnd> {
        self.operations.get(&id).and_then(|entry| entry.end.clone())
    }

    pub(super) fn cordon(&mut self, node: &NodeId, cordoned: bool) {
        self.nodes.entry(node.clone()).or_default().cordoned = cordoned;
    }

    pub(super) fn set_window(&mut self, node: &NodeId, window: Option<(Incarnation, Instant)>) {
        self.nodes.entry(node.clone()).or_default().window = window;
    }

    pub(super) fn pause(&mut self, reason: &str) {
        self.paused.get_or_insert_with(|| reason.to_owned());
    }

    pub(super) fn resume(&mut self, now: Instant) {
        (self.paused, self.paused_by_breaker) = (None, false);
        self.resumed_at = Some(now);
    }

    pub(super) fn set_brake(&mut self, on: bool) {
        self.brake_off = !on;
    }

    pub(super) fn set_auto_rebalance(&mut self, on: bool) {
        self.auto_rebalance = on;
    }

    /// What a record changes of the orders. The event that the ledger itself has to add, if any.
    pub(super) fn record(&mut self, record: &LedgerRecord, now: Instant) -> Option<Event> {
        match record {
            LedgerRecord::Event(_) | LedgerRecord::Placed { .. } => {}
            LedgerRecord::Progress { operation, progress, waits_for } => {
                if let Some(entry) = self.running(*operation) {
                    entry.progress = *progress;
                    entry.waits_for.clone_from(waits_for);
                }
            }
            LedgerRecord::Ended { operation, progress, outcome } => {
                let entry = self.running(*operation)?;
                entry.progress = *progress;
                entry.end = Some(OperationEnd::Outcome(outcome.clone()));
                let Progress { total, done } = progress;
                let text =
                    format!("operation {operation} is over after {done} of {total} tenants: {outcome:?}");
                return Some(Event { kind: EventKind::OperationEnded, node: None, tenant: None, text });
            }
            LedgerRecord::PauseFailover { reason } => {
                self.paused_by_breaker |= self.paused.is_none();
                self.pause(reason);
            }
            LedgerRecord::ResumeFailover if self.paused_by_breaker => {
                (self.paused, self.paused_by_breaker) = (None, false);
            }
            LedgerRecord::ResumeFailover => {}
            LedgerRecord::Breaker(record) => self.breaker = record.clone().map(|record| (record, now)),
            LedgerRecord::Suspect { node, span } => {
                self.nodes.entry(node.clone()).or_default().suspect_until = Some(now + *span);
            }
            LedgerRecord::Shedding { node, because } => {
                self.nodes.entry(node.clone()).or_default().shedding = *because;
            }
            LedgerRecord::StartRebalance => return self.start_rebalance(),
        }
        None
    }

    fn start_rebalance(&mut self) -> Option<Event> {
        let is_rebalance = |entry: &StoredOperation| matches!(entry.kind, OperationKind::Rebalance { .. });
        if self.operations.values().any(|entry| entry.end.is_none() && is_rebalance(entry)) {
            return None;
        }
        let id = self.start(AUTO_REBALANCE, None);
        let text = format!("rebalance {id} was started by the policy");
        Some(Event { kind: EventKind::OperationStarted, node: None, tenant: None, text })
    }

    fn running(&mut self, id: OperationId) -> Option<&mut StoredOperation> {
        self.operations.get_mut(&id).filter(|entry| entry.end.is_none())
    }
}

impl StoredNodeOrder {
    fn order(&self, node: &NodeId, now: Instant) -> Option<NodeOrder> {
        let left = |until: Instant| until.checked_duration_since(now).filter(|left| *left > Duration::ZERO);
        let order = NodeOrder {
            node: node.clone(),
            cordoned: self.cordoned,
            restart_window: self
                .window
                .and_then(|(incarnation, until)| Some(RestartWindow { incarnation, left: left(until)? })),
            suspect_for: self.suspect_until.and_then(left),
            shedding: self.shedding,
        };
        let is_ordered = order.cordoned || order.restart_window.is_some();
        (is_ordered || order.suspect_for.is_some() || order.shedding.is_some()).then_some(order)
    }
}

impl StoredOperation {
    fn kind_at(&self, now: Instant) -> OperationKind {
        let overdue = self.deadline.is_some_and(|deadline| now >= deadline);
        match &self.kind {
            OperationKind::Drain { node, urgent } => {
                OperationKind::Drain { node: node.clone(), urgent: *urgent || overdue }
            }
            kind @ (OperationKind::Rebalance { .. }
            | OperationKind::Move { .. }
            | OperationKind::Fleet(_)
            | OperationKind::Rollout(_)) => kind.clone(),
        }
    }
}

//! What operators read about afterwards, and what waits for the ledger to take it.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::membership::MembershipChange;
use crate::{
    ledger::{Event, EventKind, LedgerRecord, Orders},
    plan::{Action, Cause, Decision, Plan},
};
use roost_model::ids::{Generation, NodeId, TenantId, Term};

/// Records that wait for the ledger; more than that are dropped, the oldest first.
const MAX_PENDING: usize = 200_000;

/// Records that nothing would lead to again: written again and again until the ledger has taken them.
#[derive(Default)]
pub(super) struct PendingHistory {
    records: Vec<LedgerRecord>,
}

impl PendingHistory {
    pub(super) fn add_events(&mut self, events: impl IntoIterator<Item = Event>) {
        self.extend(events.into_iter().map(LedgerRecord::Event));
    }

    pub(super) fn extend(&mut self, records: impl IntoIterator<Item = LedgerRecord>) {
        self.records.extend(records);
        if let Some(too_many @ 1..) = self.records.len().checked_sub(MAX_PENDING) {
            tracing::warn!(dropped = too_many, "records of the history are dropped: the ledger takes none");
            self.records.drain(..too_many);
        }
    }

    pub(super) fn records(&self) -> &[LedgerRecord] {
        &self.records
    }

    /// The first of them.
    pub(super) fn were_written(&mut self, count: usize) {
        self.records.drain(..count);
    }
}

pub(super) fn of_change(change: &MembershipChange) -> Event {
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

pub(super) fn suspect(node: &NodeId, span: Duration) -> Event {
    let minutes = span.as_secs() / 60;
    let text = format!("{node} came and went too often: for {minutes} min it takes tenants last");
    of_node(EventKind::NodeSuspect, node, text)
}

pub(super) fn elected(holder: &str, term: Term) -> Event {
    let text = format!("{holder} is the controller of term {term}");
    Event { kind: EventKind::ControllerElected, node: None, tenant: None, text }
}

fn of_node(kind: EventKind, node: &NodeId, text: String) -> Event {
    Event { kind, node: Some(node.clone()), tenant: None, text }
}

/// The lines of the history: placements that their nodes were told of.
pub(super) fn placements(
    plan: &Plan,
    orders: &Orders,
    generations: &HashMap<TenantId, Generation>,
    told: &HashSet<NodeId>,
) -> Vec<LedgerRecord> {
    let record = |decision: &Decision| match &decision.action {
        Action::Place { node, cause, choice }
            if told.contains(node) && generations.contains_key(&decision.tenant) =>
        {
            Some(LedgerRecord::Placed {
                tenant: decision.tenant.clone(),
                node: node.clone(),
                because: format!("{cause}; {choice}"),
                operation: match cause {
                    Cause::Moved { from } => orders.cause_of(&decision.tenant, from),
                    Cause::New | Cause::NodeLost { .. } | Cause::Restarted => None,
                },
            })
        }
        _ => None,
    };
    plan.decisions.iter().filter_map(record).collect()
}

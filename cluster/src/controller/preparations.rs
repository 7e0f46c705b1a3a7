//! Preparations of which nothing comes: the node says so, or it is not ready in time. The move is given back. The tenant stays
//! where it runs, and for a while the node is no choice for it, so that the next one is tried.
//!
//! Kept in the memory of a term: a new controller tries once more what the last one had given up.

use std::{collections::BTreeMap, time::Duration};

use roost_model::ids::{Generation, Incarnation, NodeId, OperationId, TenantId};

use super::{
    failure_detector::Assessment,
    names::named,
    plan_inputs::{DesiredByTenant, RegistryView, is_current},
};
use crate::{
    ledger::{Event, EventKind, Operation, OperationKind, Orders},
    records::Phase,
};

/// So long a node that did not get ready for a tenant is not asked to again.
const NOT_AGAIN_FOR: Duration = Duration::from_secs(60);

pub(super) struct Preparations {
    within: Duration,
    /// When each that is not done yet was seen first.
    pending: BTreeMap<(TenantId, NodeId, Generation), Duration>,
    given_up: BTreeMap<(TenantId, NodeId), GivenUp>,
}

struct GivenUp {
    incarnation: Incarnation,
    at: Duration,
    /// For whose sake the tenant was to move.
    operation: Option<OperationId>,
    reason: String,
}

impl Preparations {
    pub(super) fn new(within: Duration) -> Self {
        Self { within, pending: BTreeMap::new(), given_up: BTreeMap::new() }
    }

    /// Adds to the assessment which node is no choice for which tenant, and what is new of it.
    pub(super) fn observe(
        &mut self,
        view: &RegistryView,
        by_tenant: &DesiredByTenant<'_>,
        orders: &Orders,
        now: Duration,
        assessment: &mut Assessment,
    ) {
        let pending = std::mem::take(&mut self.pending);
        for (node, record) in &view.nodes {
            let preparing = view.live_entries(node).iter().filter(|entry| entry.phase == Phase::Preparing);
            for entry in preparing.filter(|entry| is_current(entry, by_tenant)) {
                let key = (entry.tenant.clone(), node.clone(), entry.generation);
                let since = pending.get(&key).copied().unwrap_or(now);
                let reason = match view.failure_to_prepare(node, entry) {
                    Some(reason) => reason.to_owned(),
                    None if view.has_prepared(node, &entry.tenant, entry.generation) => continue,
                    None if since + self.within <= now => format!("not ready within {:?}", self.within),
                    None => {
                        self.pending.insert(key, since);
                        continue;
                    }
                };
                let from = by_tenant.get(&entry.tenant).and_then(|desired| desired.node.as_ref());
                let operation = from.and_then(|from| orders.cause_of(&entry.tenant, from));
                let given_up = GivenUp { incarnation: record.incarnation, at: now, operation, reason };
                assessment.events.push(told(&entry.tenant, node, from, &given_up));
                self.given_up.insert((entry.tenant.clone(), node.clone()), given_up);
            }
        }
        let is_same_life = |node: &NodeId, given_up: &GivenUp| {
            view.nodes.get(node).is_some_and(|record| record.incarnation == given_up.incarnation)
        };
        self.given_up.retain(|(_, node), given_up| {
            let is_fresh = given_up.at + NOT_AGAIN_FOR > now;
            is_same_life(node, given_up) && (is_fresh || given_up.is_final(orders))
        });
        for (tenant, node) in self.given_up.keys() {
            assessment.unprepared.entry(tenant.clone()).or_default().push(node.clone());
        }
        let timeouts = self.pending.values().map(|since| *since + self.within);
        let expiries = self.given_up.values().map(|given_up| given_up.at + NOT_AGAIN_FOR);
        let next = timeouts.chain(expiries).filter(|at| *at > now).map(|at| at - now);
        assessment.recheck_after = assessment.recheck_after.into_iter().chain(next).min();
    }

    /// Why the node did not get ready for the tenant, if it was lately asked to.
    pub(super) fn failure(&self, tenant: &TenantId, node: &NodeId) -> Option<&str> {
        self.given_up.get(&(tenant.clone(), node.clone())).map(|given_up| given_up.reason.as_str())
    }

    /// What the operation could not do, for people: each node with its tenants and the first reason.
    pub(super) fn failures_of(&self, operation: OperationId) -> Option<String> {
        let mut by_node: BTreeMap<&NodeId, (Vec<&str>, &str)> = BTreeMap::new();
        for ((tenant, node), given_up) in &self.given_up {
            if given_up.operation == Some(operation) {
                by_node.entry(node).or_insert((Vec::new(), &given_up.reason)).0.push(tenant.as_str());
            }
        }
        let sentence = |(node, (tenants, reason)): (&NodeId, (Vec<&str>, &str))| {
            format!("{node} did not get ready for {}: {reason}", named(tenants.into_iter()))
        };
        let sentences: Vec<String> = by_node.into_iter().map(sentence).collect();
        (!sentences.is_empty()).then(|| sentences.join("; "))
    }
}

impl GivenUp {
    /// A rebalance does not come back to it: it would never end. A drain has to, for its node is to be empty.
    fn is_final(&self, orders: &Orders) -> bool {
        let is_it = |running: &&Operation| Some(running.id) == self.operation;
        let operation = orders.operations.iter().find(is_it);
        operation.is_some_and(|running| matches!(running.kind, OperationKind::Rebalance { .. }))
    }
}

fn told(tenant: &TenantId, node: &NodeId, from: Option<&NodeId>, given_up: &GivenUp) -> Event {
    let GivenUp { operation, reason, .. } = given_up;
    tracing::warn!(%tenant, %node, reason, "a node did not get ready for a tenant, which stays where it is");
    let stays = from.map_or_else(String::new, |from| format!(", which stays on {from}"));
    let sake = operation.map_or_else(String::new, |id| format!("operation {id}: "));
    let text = format!("{sake}{node} did not get ready for {tenant}{stays}: {reason}");
    Event { kind: EventKind::PreparationFailed, node: Some(node.clone()), tenant: Some(tenant.clone()), text }
}

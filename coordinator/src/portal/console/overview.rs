//! The cluster at a glance: first what cannot go on by itself, then how much there is of everything.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use minijinja::{Value, context, value::Serde};
use roost_model::ids::OperationId;
use roost_store::{ConditionKind, OperationRecord};
use serde::Serialize;

use super::{
    answer::{nothing, page},
    feed::{LETTERS, Seen, key},
    live::{first, stream},
    nodes::{NodeRow, rows},
    operator::Operator,
};
use crate::{
    app::{CONDITIONS, ClusterStatus},
    portal::{moment::Moment, state::Portal},
};

const CALL: &str = "/roost.v1.ClusterService/GetClusterStatus";

pub async fn overview(State(portal): State<Arc<Portal>>, operator: Operator) -> Response {
    if !operator.may(CALL) {
        return nothing(&portal, &operator);
    }
    let seen = first(&portal).await;
    page(&portal, &operator, "overview", "overview.html", content(seen.as_deref()))
}

pub async fn live(State(portal): State<Arc<Portal>>, operator: Operator) -> Response {
    if !operator.may(CALL) {
        return nothing(&portal, &operator);
    }
    stream(&portal, &operator, "overview_live.html", content)
}

/// One thing that cannot go on by itself, named as the catalogue names it: `stuck-node-lost` and `mend-node-lost`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Trouble {
    kind: &'static str,
    /// A name, or how many.
    about: String,
    /// Where it is seen.
    href: String,
    reason: String,
    since: Option<Moment>,
}

impl Trouble {
    fn of(kind: &'static str, about: impl ToString, href: String, reason: &str) -> Self {
        Self { kind, about: about.to_string(), href, reason: reason.to_owned(), since: None }
    }
}

fn content(seen: Option<&Seen>) -> Value {
    let Some(seen) = seen else { return context! { is_known => false, troubles => [0; 0] } };
    let counted = |kind: ConditionKind| {
        let key = key(kind);
        seen.conditions.get(key).map(|count| context! { key, count })
    };
    let conditions: Vec<Value> = CONDITIONS.into_iter().filter_map(counted).collect();
    let nodes: Vec<NodeRow> = seen.nodes.as_deref().map(rows).unwrap_or_default();
    let events = seen.events.iter().map(|event| {
        let at = Moment::shown(event.at);
        context! { at, text => event.text.as_str(), by => event.requested_by.as_str() }
    });
    context! {
        is_known => true,
        events => events.collect::<Vec<_>>(),
        is_whole => seen.is_whole,
        troubles => Value::from(Serde(troubles(seen))),
        conditions,
        stopped => seen.stopped,
        nodes => Value::from(Serde(nodes)),
        ..figures(seen.status.as_ref().ok())
    }
}

fn figures(status: Option<&ClusterStatus>) -> Value {
    let leader = status.and_then(|status| status.leader.as_ref()).map(|leader| leader.holder.clone());
    let counts = status.map(|status| {
        let (nodes, tenants) = (status.nodes, status.tenants);
        context! {
            live => nodes.live, lost => nodes.lost, cordoned => nodes.cordoned, draining => nodes.draining, impaired => nodes.impaired,
            running => tenants.running, placed => tenants.placed, waiting => tenants.waiting, error => tenants.error,
            rebalances => status.policy.auto_rebalance, term => status.term.0,
        }
    });
    let operations: Vec<Value> = status.iter().flat_map(|status| &status.operations).map(under_way).collect();
    context! { leader, counts, operations }
}

fn under_way(operation: &OperationRecord) -> Value {
    let progress = operation.progress;
    context! { id => operation.id.0, done => progress.done, total => progress.total, message => operation.message.as_str() }
}

/// The gravest first.
fn troubles(seen: &Seen) -> Vec<Trouble> {
    let mut all = Vec::new();
    match &seen.status {
        Err(reason) => all.push(Trouble::of("away", "", String::new(), reason)),
        Ok(status) => of_cluster(status, &mut all),
    }
    of_nodes(seen, &mut all);
    if seen.letters > 0 {
        let count =
            if seen.letters > LETTERS as usize { format!("{LETTERS}+") } else { seen.letters.to_string() };
        all.push(Trouble::of("letters", count, "/console/letters".to_owned(), ""));
    }
    for (kind, named) in &seen.stuck {
        for stuck in named {
            let href = format!("/console/tenants/{}", stuck.tenant);
            let trouble = Trouble::of(key(*kind), &stuck.tenant, href, &stuck.condition.reason);
            all.push(Trouble { since: Moment::of(stuck.condition.since), ..trouble });
        }
    }
    all
}

fn of_cluster(status: &ClusterStatus, all: &mut Vec<Trouble>) {
    if status.leader.is_none() {
        all.push(Trouble::of("no-leader", "", String::new(), ""));
    }
    for complaint in &status.complaints {
        let trouble = Trouble::of("complaint", &complaint.holder, String::new(), &complaint.complaint.reason);
        all.push(Trouble { since: Moment::of(complaint.since), ..trouble });
    }
    if let Some(hold) = &status.failover_hold {
        all.push(Trouble::of("failover-held", hold.waiting, "/console/nodes".to_owned(), ""));
    }
    if let Some(pause) = &status.policy.failover_paused {
        all.push(Trouble::of("failover-paused", "", String::new(), &pause.reason));
    }
    let halted = status.operations.iter().filter(|operation| !operation.message.is_empty());
    all.extend(halted.map(|operation| {
        let OperationId(id) = operation.id;
        Trouble::of("operation", id, format!("/console/operations/{id}"), &operation.message)
    }));
}

fn of_nodes(seen: &Seen, all: &mut Vec<Trouble>) {
    for node in seen.nodes.iter().flatten() {
        let href = format!("/console/nodes/{}", node.node);
        match &node.live {
            None if node.tenants > 0 => all.push(Trouble::of("node-lost", &node.node, href, "")),
            None => {}
            Some(record) => {
                for impairment in &record.impairments {
                    all.push(Trouble::of("node-impaired", &node.node, href.clone(), &impairment.reason));
                }
            }
        }
        if node.orders.as_ref().is_some_and(|orders| orders.suspect_until.is_some()) {
            all.push(Trouble::of("node-suspect", &node.node, format!("/console/nodes/{}", node.node), ""));
        }
    }
}

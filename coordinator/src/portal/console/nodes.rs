//! Nodes, and one of them with the workers that are placed on it.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use minijinja::{Value, context, value::Serde};
use roost_model::ids::{NodeId, TenantId};
use roost_store::WorkerFilter;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    answer::{failed, nothing, page},
    feed::Seen,
    live::{first, stream},
    operator::Operator,
    tenants::TenantRow,
};
use crate::{
    app::{Error, NodeStatus, Waits},
    portal::{moment::Moment, state::Portal},
};

const LIST: &str = "/roost.v1.NodeService/ListNodes";
const GET: &str = "/roost.v1.NodeService/GetNode";
/// Workers of a node on one page.
const PAGE: u32 = 100;

#[derive(Debug, Serialize)]
pub struct NodeRow {
    id: String,
    /// As the catalogue names it: `node-live`.
    state: &'static str,
    tenants: usize,
    capacity: Option<u32>,
    weight: Option<u32>,
    zone: String,
    version: String,
    lease: Option<i64>,
    started: Option<Moment>,
    memory: Option<String>,
    impairments: Vec<String>,
    cordoned_by: Option<String>,
    cordon_reason: String,
    drain: Option<i64>,
    suspect_until: Option<Moment>,
    window_until: Option<Moment>,
}

impl NodeRow {
    fn of(node: &NodeStatus) -> Self {
        let orders = node.orders.as_ref();
        let state = match (&node.live, orders) {
            (None, _) => "lost",
            (Some(_), Some(orders)) if orders.drain.is_some() => "draining",
            (Some(record), _) if !record.impairments.is_empty() => "impaired",
            (Some(_), Some(orders)) if orders.suspect_until.is_some() => "suspect",
            (Some(_), Some(orders)) if orders.cordoned => "cordoned",
            (Some(record), _) if record.leaving => "leaving",
            (Some(_), _) => "live",
        };
        let live = node.live.as_ref();
        let millis = live.map(|record| i128::from(record.started_at_ms) * 1_000_000);
        let impairments = live.iter().flat_map(|record| &record.impairments);
        Self {
            id: node.node.to_string(),
            state,
            tenants: node.tenants,
            capacity: live.map(|record| record.capacity),
            weight: live.map(|record| record.weight),
            zone: live.map(|record| record.zone.clone()).unwrap_or_default(),
            version: live.map(|record| record.version.clone()).unwrap_or_default(),
            lease: live.map(|record| record.incarnation.0),
            started: millis
                .and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok())
                .and_then(Moment::of),
            memory: live.and_then(|record| record.memory).map(|memory| mebibytes(memory.allocatable_bytes)),
            impairments: impairments
                .map(|impairment| format!("{}: {}", impairment.kind, impairment.reason))
                .collect(),
            cordoned_by: orders.filter(|orders| orders.cordoned).map(|orders| orders.cordoned_by.clone()),
            cordon_reason: orders.map(|orders| orders.cordon_reason.clone()).unwrap_or_default(),
            drain: orders.and_then(|orders| orders.drain).map(|drain| drain.0),
            suspect_until: orders.and_then(|orders| orders.suspect_until).and_then(Moment::of),
            window_until: orders
                .and_then(|orders| orders.restart_window)
                .and_then(|window| Moment::of(window.until)),
        }
    }
}

pub fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

pub fn rows(nodes: &[NodeStatus]) -> Vec<NodeRow> {
    nodes.iter().map(NodeRow::of).collect()
}

pub async fn list(State(portal): State<Arc<Portal>>, operator: Operator) -> Response {
    if !operator.may(LIST) {
        return nothing(&portal, &operator);
    }
    let seen = first(&portal).await;
    page(&portal, &operator, "nodes", "nodes.html", content(seen.as_deref()))
}

pub async fn live(State(portal): State<Arc<Portal>>, operator: Operator) -> Response {
    if !operator.may(LIST) {
        return nothing(&portal, &operator);
    }
    stream(&portal, &operator, "nodes_live.html", content)
}

fn content(seen: Option<&Seen>) -> Value {
    let away = seen.and_then(|seen| seen.nodes.as_ref().err()).cloned();
    let nodes = seen.and_then(|seen| seen.nodes.as_deref().ok()).map(rows).unwrap_or_default();
    context! { is_known => seen.is_some(), away, nodes => Value::from(Serde(nodes)) }
}

#[derive(Deserialize)]
pub struct Asked {
    /// The tenant after which its workers are listed.
    after: Option<String>,
}

pub async fn node(
    State(portal): State<Arc<Portal>>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    operator: Operator,
) -> Response {
    let Some(id) = NodeId::new(&id).ok().filter(|_| operator.may(GET)) else {
        return nothing(&portal, &operator);
    };
    match read(&portal, &operator, &id, asked.after.as_deref()).await {
        Ok(content) => page(&portal, &operator, "nodes", "node.html", content),
        Err(error) => failed(&portal, &operator, error),
    }
}

async fn read(
    portal: &Portal,
    operator: &Operator,
    id: &NodeId,
    after: Option<&str>,
) -> Result<Value, Error> {
    let node = portal.app.get_node(id).await?;
    let filter = WorkerFilter { node: Some(id.clone()), ..WorkerFilter::default() };
    let after = after.and_then(|after| TenantId::new(after).ok());
    let waits = Waits::new(&portal.app);
    let mut workers = portal.app.list_workers(&waits, &filter, after, PAGE + 1).await?;
    let has_more = workers.len() > PAGE as usize;
    workers.truncate(PAGE as usize);
    let next = workers.last().filter(|_| has_more).map(|worker| worker.tenant.to_string());
    let workers: Vec<TenantRow> = workers.iter().map(TenantRow::of).collect();
    let is_live = node.live.is_some();
    let (node, workers) = (Value::from(Serde(NodeRow::of(&node))), Value::from(Serde(workers)));
    let may_order = operator.may("/roost.v1.OperationService/StartDrain");
    Ok(context! { node, workers, next, is_live, may_order })
}

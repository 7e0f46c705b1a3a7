//! Tenants: looked for by labels, condition and the beginning of an id, a name or a number, a page at a time.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    response::Response,
};
use minijinja::{Value, context, value::Serde};
use roost_model::ids::TenantId;
use roost_store::{DesiredState, SearchedState, Worker};
use serde::{Deserialize, Serialize};

use super::{
    answer::{failed, nothing, page, problem},
    feed::key,
    operator::Operator,
};
use crate::{
    app::{CONDITIONS, TenantQuestion},
    grpc::Checks,
    portal::{moment::Moment, state::Portal},
};

const CALL: &str = "/roost.v1.WorkerService/ListWorkers";
const PAGE: u32 = 100;
/// A longer one finds nothing that a shorter one would not.
const BEGINS_AT_MOST: usize = 100;
const STOPPED: &str = "stopped";

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    q: String,
    labels: String,
    condition: String,
    after: String,
}

/// A worker in a table.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct TenantRow {
    pub id: String,
    name: String,
    phone: String,
    node: String,
    /// Named as the catalogue names it: `condition-failed`.
    condition: &'static str,
    reason: String,
    since: Option<Moment>,
    restarts: u64,
}

impl TenantRow {
    pub fn of(worker: &Worker) -> Self {
        let is_stopped = worker.desired == DesiredState::Stopped;
        Self {
            id: worker.tenant.to_string(),
            name: String::new(),
            phone: String::new(),
            node: worker.node.as_ref().map(ToString::to_string).unwrap_or_default(),
            condition: if is_stopped { STOPPED } else { key(worker.condition.kind) },
            reason: worker.condition.reason.clone(),
            since: Moment::of(worker.condition.since).filter(|_| !is_stopped),
            restarts: worker.restarts,
        }
    }
}

pub async fn list(
    State(portal): State<Arc<Portal>>,
    Query(asked): Query<Asked>,
    operator: Operator,
) -> Response {
    if !operator.may(CALL) {
        return nothing(&portal, &operator);
    }
    let mut checks = Checks::default();
    let Some(selector) = checks.selector(&asked.labels) else {
        let told = checks.refusal().message;
        return problem(&portal, &operator, http::StatusCode::BAD_REQUEST, told);
    };
    let begins: String = asked.q.trim().chars().take(BEGINS_AT_MOST).collect();
    let question = TenantQuestion { begins, labels: selector.labels, state: state(&asked.condition) };
    let after = TenantId::new(&asked.after).ok();
    match portal.app.search_tenants(question, after.as_ref(), PAGE + 1).await {
        Ok(mut found) => {
            let has_more = found.len() > PAGE as usize;
            found.truncate(PAGE as usize);
            let next = found.last().filter(|_| has_more).map(|(found, _)| found.id.to_string());
            let rows: Vec<TenantRow> = found
                .into_iter()
                .map(|(found, worker)| {
                    let (name, phone) = (found.display_name, found.phone);
                    TenantRow { name, phone, ..TenantRow::of(&worker) }
                })
                .collect();
            page(&portal, &operator, "tenants", "tenants.html", content(&operator, &asked, rows, next))
        }
        Err(error) => failed(&portal, &operator, error),
    }
}

fn content(operator: &Operator, asked: &Asked, rows: Vec<TenantRow>, next: Option<String>) -> Value {
    let conditions: Vec<&str> = std::iter::once(STOPPED).chain(CONDITIONS.into_iter().map(key)).collect();
    let Asked { q, labels, condition, .. } = asked;
    let may_order = operator.may("/roost.v1.OperationService/StartFleetOperation");
    context! { q, labels, condition, conditions, next, may_order, tenants => Value::from(Serde(rows)) }
}

fn state(asked: &str) -> Option<SearchedState> {
    if asked == STOPPED {
        return Some(SearchedState::Stopped);
    }
    CONDITIONS.into_iter().find(|kind| key(*kind) == asked).map(SearchedState::Condition)
}

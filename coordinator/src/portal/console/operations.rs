//! Operations: which there are, and how far one has come.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use futures::StreamExt;
use minijinja::{Value, context};
use roost_model::ids::OperationId;
use roost_store::{OperationFilter, OperationOrder, OperationRecord, OperationState};
use serde::Deserialize;

use super::{
    answer::{failed, nothing, page},
    live::parts,
    operator::Operator,
};
use crate::portal::{moment::Moment, state::Portal};

const LIST: &str = "/roost.v1.OperationService/ListOperations";
const GET: &str = "/roost.v1.OperationService/GetOperation";
const CANCEL: &str = "/roost.v1.OperationService/CancelOperation";
const PAGE: u32 = 50;
/// Moves of one that are shown.
const MOVES: usize = 200;

#[derive(Deserialize)]
pub struct Asked {
    before: Option<i64>,
}

pub async fn list(
    State(portal): State<Arc<Portal>>,
    Query(asked): Query<Asked>,
    operator: Operator,
) -> Response {
    if !operator.may(LIST) {
        return nothing(&portal, &operator);
    }
    let before = asked.before.map(OperationId);
    match portal.app.list_operations(&OperationFilter::default(), before, PAGE + 1).await {
        Ok(mut operations) => {
            let has_more = operations.len() > PAGE as usize;
            operations.truncate(PAGE as usize);
            let next = operations.last().filter(|_| has_more).map(|last| last.id.0);
            let operations: Vec<Value> = operations.iter().map(row).collect();
            let may_rebalance = operator.may("/roost.v1.OperationService/StartRebalance");
            let content = context! { operations, next, may_rebalance };
            page(&portal, &operator, "operations", "operations.html", content)
        }
        Err(error) => failed(&portal, &operator, error),
    }
}

pub async fn operation(
    State(portal): State<Arc<Portal>>,
    Path(id): Path<i64>,
    operator: Operator,
) -> Response {
    if !operator.may(GET) {
        return nothing(&portal, &operator);
    }
    match portal.app.get_operation(OperationId(id)).await {
        Ok((operation, moves, failures)) => {
            let moves = moves.iter().take(MOVES).map(|made| {
                let from = made.from.as_ref().map(ToString::to_string);
                context! { tenant => made.tenant.as_str(), from, to => made.to.as_str(), reason => made.reason.as_str() }
            });
            let failures = failures.iter().take(MOVES).map(|failure| {
                context! { tenant => failure.tenant.as_str(), reason => failure.error.as_str() }
            });
            let (moves, failures) = (moves.collect::<Vec<_>>(), failures.collect::<Vec<_>>());
            let content = context! { moves, failures, ..standing(&operator, &operation) };
            page(&portal, &operator, "operations", "operation.html", content)
        }
        Err(error) => failed(&portal, &operator, error),
    }
}

pub async fn live(State(portal): State<Arc<Portal>>, Path(id): Path<i64>, operator: Operator) -> Response {
    if !operator.may(GET) {
        return nothing(&portal, &operator);
    }
    let may_cancel = operator.may(CANCEL);
    match portal.app.watch_operation(OperationId(id)).await {
        Ok(changes) => {
            let changes = changes.take_while(|change| std::future::ready(change.is_ok()));
            let contents = changes.filter_map(move |change| async move {
                change.ok().map(|operation| context! { operation => row(&operation), may_cancel })
            });
            parts(&portal, &operator, "operation_live.html", contents)
        }
        Err(error) => failed(&portal, &operator, error),
    }
}

fn standing(operator: &Operator, operation: &OperationRecord) -> Value {
    context! { operation => row(operation), may_cancel => operator.may(CANCEL) }
}

pub fn row(operation: &OperationRecord) -> Value {
    let state = match operation.state {
        OperationState::Running => "running",
        OperationState::Done => "done",
        OperationState::Failed => "failed",
        OperationState::Cancelled => "cancelled",
    };
    let (kind, about) = match &operation.order {
        OperationOrder::Drain { node, .. } => ("drain", node.to_string()),
        OperationOrder::Rebalance { .. } => ("rebalance", String::new()),
        OperationOrder::Move { tenant, to } => ("move", format!("{tenant} → {to}")),
        OperationOrder::Fleet { action, selector, .. } => ("fleet", format!("{action:?} {selector}")),
        OperationOrder::Rollout(order) => ("rollout", order.version.clone()),
    };
    context! {
        id => operation.id.0,
        state, kind, about,
        done => operation.progress.done,
        total => operation.progress.total,
        message => operation.message.as_str(),
        by => operation.requested_by.as_str(),
        reason => operation.reason.as_str(),
        started => Moment::shown(operation.started_at),
        ended => operation.ended_at.and_then(Moment::shown),
    }
}

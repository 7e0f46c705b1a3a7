//! Orders on many, whose plan is shown before they are given: a drain, a rebalance, an order on the workers of a selection.

use std::sync::Arc;

use axum::{
    Form,
    extract::{ConnectInfo, Path, Query, State},
    response::Response,
};
use http::StatusCode;
use minijinja::{Value, context};
use roost_cluster::ledger::FleetLimits;
use roost_model::ids::NodeId;
use roost_store::{NewDrain, NewRebalance, OperationRecord, WorkerAction};
use serde::Deserialize;

use super::{
    answer::{failed, nothing, page, problem},
    operator::Operator,
    orders::{About, Ordering},
};
use crate::{
    app::{DryRun, FleetOrder},
    grpc::Checks,
    http::peer::Peer,
    portal::state::Portal,
};

/// Of a plan, those that are named.
const NAMED: usize = 100;
/// As the API has it where nothing is said.
const REBALANCE: NewRebalance = NewRebalance { max_concurrent: 4, max_unavailable_percent: 10 };
const WORKERS_AT_ONCE: u32 = 10;
const UNAVAILABLE_PERCENT: u32 = 5;
const PLAN_DRAIN: &str = "/roost.v1.OperationService/PlanDrain";
const DRAIN: &str = "/roost.v1.OperationService/StartDrain";
const PLAN_REBALANCE: &str = "/roost.v1.OperationService/PlanRebalance";
const START_REBALANCE: &str = "/roost.v1.OperationService/StartRebalance";
const PLAN_FLEET: &str = "/roost.v1.OperationService/PlanFleetOperation";
const FLEET: &str = "/roost.v1.OperationService/StartFleetOperation";

/// Named as the catalogue names them: `action-restart`.
pub const ACTIONS: [(&str, WorkerAction); 5] = [
    ("restart", WorkerAction::Restart),
    ("start", WorkerAction::Start),
    ("stop", WorkerAction::Stop),
    ("force-restart", WorkerAction::ForceRestart),
    ("move", WorkerAction::Move),
];

#[derive(Deserialize)]
pub struct Confirmed {
    form_token: String,
    #[serde(default)]
    reason: String,
}

/// Which workers, and what is done with them.
#[derive(Deserialize)]
pub struct Selection {
    #[serde(default)]
    labels: String,
    #[serde(default)]
    action: String,
}

#[derive(Deserialize)]
pub struct FleetGiven {
    form_token: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    labels: String,
    #[serde(default)]
    action: String,
}

pub async fn drain_plan(
    State(portal): State<Arc<Portal>>,
    Path(id): Path<String>,
    operator: Operator,
) -> Response {
    let Some(node) = NodeId::new(&id).ok().filter(|_| operator.may(PLAN_DRAIN)) else {
        return nothing(&portal, &operator);
    };
    match portal.app.plan_drain(&node, false).await {
        Ok(plan) => {
            let about = context! { kind => "drain", about => node.as_str(), action => format!("/console/nodes/{node}/drain") };
            let content =
                context! { may_order => operator.may(DRAIN), ..context! { ..about, ..planned(&plan) } };
            page(&portal, &operator, "nodes", "plan.html", content)
        }
        Err(error) => failed(&portal, &operator, error),
    }
}

pub async fn drain(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    Path(id): Path<String>,
    operator: Operator,
    Form(given): Form<Confirmed>,
) -> Response {
    let Ok(node) = NodeId::new(&id) else { return nothing(&portal, &operator) };
    let ordering = Ordering::of(&portal, &operator, origin, &given.form_token, &given.reason);
    let about = About { tenant: None, node: Some(node.clone()) };
    let order = portal.app.start_drain(NewDrain { node, deadline: None, force: false }, ordering.by.clone());
    ordering.carry_out(DRAIN, about, order, to_operation).await
}

pub async fn rebalance_plan(State(portal): State<Arc<Portal>>, operator: Operator) -> Response {
    if !operator.may(PLAN_REBALANCE) {
        return nothing(&portal, &operator);
    }
    match portal.app.plan_rebalance().await {
        Ok(plan) => {
            let about = context! { kind => "rebalance", about => "", action => "/console/rebalance" };
            let content = context! { may_order => operator.may(START_REBALANCE), ..context! { ..about, ..planned(&plan) } };
            page(&portal, &operator, "operations", "plan.html", content)
        }
        Err(error) => failed(&portal, &operator, error),
    }
}

pub async fn rebalance(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    operator: Operator,
    Form(given): Form<Confirmed>,
) -> Response {
    let ordering = Ordering::of(&portal, &operator, origin, &given.form_token, &given.reason);
    let order = portal.app.start_rebalance(&REBALANCE, &ordering.by);
    ordering.carry_out(START_REBALANCE, About::default(), order, to_operation).await
}

pub async fn fleet_plan(
    State(portal): State<Arc<Portal>>,
    Query(asked): Query<Selection>,
    operator: Operator,
) -> Response {
    if !operator.may(PLAN_FLEET) {
        return nothing(&portal, &operator);
    }
    let (labels, action) = (asked.labels.trim(), asked.action.as_str());
    let actions = ACTIONS.map(|(key, _)| key);
    let may_order = operator.may(FLEET);
    let form = context! { labels, action, actions, may_order };
    if labels.is_empty() {
        let content = context! { chosen => (), told => (), ..form };
        return page(&portal, &operator, "tenants", "fleet.html", content);
    }
    let order = match fleet_order(labels, action) {
        Ok(order) => order,
        Err(told) => return problem(&portal, &operator, StatusCode::BAD_REQUEST, told),
    };
    let content = match portal.app.plan_fleet_operation(&order).await {
        Ok(plan) => {
            let named: Vec<String> =
                plan.workers.iter().take(NAMED).map(|worker| worker.tenant.to_string()).collect();
            let answering = plan.workers.iter().filter(|worker| worker.answers).count();
            let blocked = plan.blocked.iter().take(NAMED).map(|blocked| {
                context! { tenant => blocked.tenant.as_str(), reason => blocked.reason.as_str() }
            });
            let blocked: Vec<Value> = blocked.collect();
            let chosen = context! { count => plan.workers.len(), answering, named, blocked };
            context! { chosen, told => (), ..form }
        }
        Err(error) => {
            let told = roost_proto::error::ApiError::from(error).message;
            context! { chosen => (), told, ..form }
        }
    };
    page(&portal, &operator, "tenants", "fleet.html", content)
}

pub async fn fleet(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    operator: Operator,
    Form(given): Form<FleetGiven>,
) -> Response {
    let order = match fleet_order(given.labels.trim(), &given.action) {
        Ok(order) => order,
        Err(told) => return problem(&portal, &operator, StatusCode::BAD_REQUEST, told),
    };
    let takes_away = !matches!(order.action, WorkerAction::Start | WorkerAction::Stop);
    let limits = FleetLimits {
        max_concurrent: WORKERS_AT_ONCE,
        max_unavailable_percent: if takes_away { UNAVAILABLE_PERCENT } else { 100 },
        pauses_after: None,
    };
    let ordering = Ordering::of(&portal, &operator, origin, &given.form_token, &given.reason);
    let started = async {
        portal.app.start_fleet_operation(order, limits, &ordering.by).await.map(|(started, _)| started)
    };
    ordering.carry_out(FLEET, About::default(), started, to_operation).await
}

/// Or why there is none. Every worker of the cluster is not chosen by leaving something out.
fn fleet_order(labels: &str, action: &str) -> Result<FleetOrder, String> {
    let action = ACTIONS.into_iter().find(|(key, _)| *key == action).map(|(_, action)| action);
    let action = action.unwrap_or(WorkerAction::Restart);
    let mut checks = Checks::default();
    match checks.ordered_workers(labels, false) {
        Some(workers) => {
            Ok(FleetOrder { action, selector: workers.selector, filter: workers.filter, to: None })
        }
        None => Err(checks.refusal().message),
    }
}

fn to_operation(started: OperationRecord) -> String {
    format!("/console/operations/{}", started.id)
}

fn planned(plan: &DryRun) -> Value {
    let moves = plan.moves.iter().take(NAMED).map(|planned| {
        let (from, to) = (planned.from.as_ref(), planned.to.as_ref());
        let (from, to) = (from.map(ToString::to_string), to.map(ToString::to_string));
        context! { tenant => planned.tenant.as_str(), from, to, reason => planned.reason.as_str() }
    });
    let blocked = plan.blocked.iter().take(NAMED).map(|blocked| {
        context! { tenant => blocked.tenant.as_str(), reason => blocked.reason.as_str() }
    });
    let (moves, blocked) = (moves.collect::<Vec<_>>(), blocked.collect::<Vec<_>>());
    context! { moves, blocked, count => plan.moves.len(), blocked_count => plan.blocked.len() }
}

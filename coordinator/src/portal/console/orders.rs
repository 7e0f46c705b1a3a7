//! Orders: the same calls as those of the API, checked by the same table and written in the same audit, refused ones too.

use std::{future::Future, net::IpAddr, sync::Arc};

use axum::{
    Form,
    extract::{ConnectInfo, Path, State},
    response::{IntoResponse, Redirect, Response},
};
use http::StatusCode;
use roost_model::ids::{NodeId, OperationId, TenantId};
use roost_proto::error::ApiError;
use roost_store::{AuditEntry, DeadLetterId, NewMove, Requester};
use serde::Deserialize;
use tonic::Code;

use super::{
    answer::{nothing, problem, refused},
    operator::Operator,
};
use crate::{
    app::{
        Error, Redrive,
        access::{audit, calls},
    },
    grpc::code_name,
    http::{
        ordered::{Asked, ordered},
        peer::Peer,
    },
    portal::state::Portal,
};

/// Letters of one tenant that are tried again by one order.
const LETTERS: u32 = 1_000;

/// An order on one worker, named as the catalogue names it: `order-start`.
pub struct WorkerOrder {
    pub key: &'static str,
    /// By which it is decided who may give it.
    pub call: &'static str,
}

pub const ORDERS: [WorkerOrder; 5] = [
    WorkerOrder { key: "start", call: "/roost.v1.WorkerService/StartWorker" },
    WorkerOrder { key: "stop", call: "/roost.v1.WorkerService/StopWorker" },
    WorkerOrder { key: "restart", call: "/roost.v1.WorkerService/RestartWorker" },
    WorkerOrder { key: "force-restart", call: "/roost.v1.WorkerService/ForceRestartWorker" },
    // The session is forgotten, so it takes another scan.
    WorkerOrder { key: "relink", call: "/roost.v1.WorkerService/ForceRestartWorker" },
];

/// What an order is about.
#[derive(Default)]
pub struct About {
    pub tenant: Option<TenantId>,
    pub node: Option<NodeId>,
}

#[derive(Deserialize)]
pub struct Given {
    form_token: String,
    #[serde(default)]
    order: String,
    /// Where a move goes.
    #[serde(default)]
    to: String,
    #[serde(default)]
    reason: String,
    /// Dead letters: one, or those of a tenant.
    #[serde(default)]
    id: String,
    #[serde(default)]
    tenant: String,
}

/// Who orders, from where, with which form.
pub struct Ordering<'a> {
    pub portal: &'a Portal,
    pub operator: &'a Operator,
    pub origin: IpAddr,
    pub form_token: &'a str,
    pub by: Requester,
}

impl<'a> Ordering<'a> {
    pub fn of(
        portal: &'a Portal,
        operator: &'a Operator,
        origin: IpAddr,
        form_token: &'a str,
        reason: &str,
    ) -> Self {
        Self { portal, operator, origin, form_token, by: operator.requester(reason) }
    }

    /// Carries it out if its giver may, and writes down what came of it. `next`: where the answer leads, by what was done.
    pub async fn carry_out<T>(
        &self,
        call: &str,
        about: About,
        order: impl Future<Output = Result<T, Error>>,
        next: impl FnOnce(T) -> String,
    ) -> Response {
        let Self { portal, operator, .. } = self;
        if self.form_token != operator.form_token {
            return problem(portal, operator, StatusCode::FORBIDDEN, portal.console.text("form-old"));
        }
        let asked = Asked {
            access: &portal.access,
            caller: operator.caller(),
            origin: self.origin,
            call,
            tenant: about.tenant.as_ref(),
            node: about.node.as_ref(),
            by: self.by.clone(),
        };
        let told = |error| {
            let error = ApiError::from(error);
            (error.code.grpc(), error)
        };
        match ordered(asked, order, told).await {
            None => nothing(portal, operator),
            Some(Ok(done)) => Redirect::to(&next(done)).into_response(),
            Some(Err(error)) => refused(portal, operator, error),
        }
    }
}

/// At what is between a tenant and its customers: shown only when it is written down who looked.
pub async fn look(
    portal: &Portal,
    operator: &Operator,
    call: &str,
    tenant: Option<&TenantId>,
    origin: IpAddr,
    reason: &str,
) -> Result<(), Error> {
    let Some(call) = calls::find(call) else { return Ok(()) };
    let entry = audit::entry(call, operator.caller(), origin);
    let result = code_name(Code::Ok).to_owned();
    let (tenant, reason) = (tenant.cloned(), reason.to_owned());
    portal.access.audit(&AuditEntry { tenant, result, reason, ..entry }).await
}

/// On one tenant.
pub async fn tenant(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    Path(id): Path<String>,
    operator: Operator,
    Form(given): Form<Given>,
) -> Response {
    let Ok(tenant) = TenantId::new(&id) else { return nothing(&portal, &operator) };
    let ordering = Ordering::of(&portal, &operator, origin, &given.form_token, &given.reason);
    let about = About { tenant: Some(tenant.clone()), node: None };
    if given.order == "move" {
        let Ok(to) = NodeId::new(given.to.trim()) else {
            return problem(&portal, &operator, StatusCode::BAD_REQUEST, portal.console.text("no-such-node"));
        };
        let about = About { node: Some(to.clone()), ..about };
        let order = NewMove { tenant, to };
        let moving = portal.app.start_move(&order, &ordering.by);
        let next = |started: roost_store::OperationRecord| format!("/console/operations/{}", started.id);
        return ordering.carry_out("/roost.v1.OperationService/StartMove", about, moving, next).await;
    }
    let Some(order) = ORDERS.iter().find(|order| order.key == given.order) else {
        return nothing(&portal, &operator);
    };
    let (app, tenant) = (&portal.app, &tenant);
    let carried_out = async {
        match order.key {
            "start" => app.start_worker(tenant).await.map(drop),
            "stop" => app.stop_worker(tenant).await.map(drop),
            "restart" => app.restart_worker(tenant).await.map(drop),
            "relink" => app.force_restart_worker(tenant, true).await.map(drop),
            _ => app.force_restart_worker(tenant, false).await.map(drop),
        }
    };
    ordering.carry_out(order.call, about, carried_out, |()| format!("/console/tenants/{tenant}")).await
}

/// On one node, but for a drain, whose plan is shown before.
pub async fn node(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    Path(id): Path<String>,
    operator: Operator,
    Form(given): Form<Given>,
) -> Response {
    let Ok(node) = NodeId::new(&id) else { return nothing(&portal, &operator) };
    let ordering = Ordering::of(&portal, &operator, origin, &given.form_token, &given.reason);
    let about = About { tenant: None, node: Some(node.clone()) };
    let next = |_| format!("/console/nodes/{node}");
    match given.order.as_str() {
        "cordon" => {
            let order = portal.app.cordon(&node, &ordering.by);
            ordering.carry_out("/roost.v1.NodeService/Cordon", about, order, next).await
        }
        "uncordon" => {
            let order = portal.app.uncordon(&node, &ordering.by);
            ordering.carry_out("/roost.v1.NodeService/Uncordon", about, order, next).await
        }
        _ => nothing(&portal, &operator),
    }
}

/// On an operation that there is.
pub async fn operation(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    Path(id): Path<i64>,
    operator: Operator,
    Form(given): Form<Given>,
) -> Response {
    let ordering = Ordering::of(&portal, &operator, origin, &given.form_token, &given.reason);
    let next = |_| format!("/console/operations/{id}");
    match given.order.as_str() {
        "cancel" => {
            let order = portal.app.cancel_operation(OperationId(id), &ordering.by);
            let call = "/roost.v1.OperationService/CancelOperation";
            ordering.carry_out(call, About::default(), order, next).await
        }
        "resume" => {
            let order = portal.app.resume_operation(OperationId(id), &ordering.by);
            let call = "/roost.v1.OperationService/ResumeOperation";
            ordering.carry_out(call, About::default(), order, next).await
        }
        _ => nothing(&portal, &operator),
    }
}

/// Tries one dead letter again, or those of a tenant.
pub async fn redrive(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    operator: Operator,
    Form(given): Form<Given>,
) -> Response {
    let ordering = Ordering::of(&portal, &operator, origin, &given.form_token, &given.reason);
    let tenant = TenantId::new(given.tenant.trim()).ok();
    let which = match (given.id.parse::<DeadLetterId>(), &tenant) {
        (Ok(id), _) => Redrive::These(vec![id]),
        (Err(_), Some(tenant)) => Redrive::Of { tenant: tenant.clone(), direction: None, limit: LETTERS },
        (Err(_), None) => return nothing(&portal, &operator),
    };
    let order = portal.app.redrive(which, &ordering.by, false);
    let about = About { tenant, node: None };
    let call = "/roost.v1.MessageService/RedriveDeadLetters";
    ordering.carry_out(call, about, order, |_| "/console/letters".to_owned()).await
}

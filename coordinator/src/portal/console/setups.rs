//! What people ask for: businesses that are to be set up.

use std::sync::Arc;

use axum::{
    Form,
    extract::{ConnectInfo, Path, Query, State},
    response::Response,
};
use http::StatusCode;
use minijinja::{Value, context};
use roost_model::{LanguageCode, TemplateKind, ids::TenantId};
use roost_proto::v1;
use roost_store::{SetupRequest, SetupVerdict};
use serde::Deserialize;

use super::{
    answer::{failed, nothing, page, problem, refused},
    operator::Operator,
    orders::{About, Ordering},
};
use crate::{
    grpc::rejected,
    http::peer::Peer,
    portal::{moment::Moment, state::Portal},
};

const CALL: &str = "/roost.v1.SetupService/ListSetupRequests";
const APPROVE: &str = "/roost.v1.SetupService/ApproveSetupRequest";
const PAGE: u32 = 50;

#[derive(Deserialize)]
pub struct Asked {
    before: Option<i64>,
}

#[derive(Deserialize)]
pub struct Given {
    form_token: String,
    order: String,
    /// Of a rejection, for whoever has asked.
    #[serde(default)]
    reason: String,
    /// The id of the tenant to make; of its name when it is empty.
    #[serde(default)]
    tenant: String,
}

/// Newest first.
pub async fn list(
    State(portal): State<Arc<Portal>>,
    Query(asked): Query<Asked>,
    operator: Operator,
) -> Response {
    if !operator.may(CALL) {
        return nothing(&portal, &operator);
    }
    match portal.app.list_setup_requests(None, asked.before, PAGE + 1).await {
        Ok(mut requests) => {
            let has_more = requests.len() > PAGE as usize;
            requests.truncate(PAGE as usize);
            let next = requests.last().filter(|_| has_more).map(|last| last.id);
            let requests: Vec<Value> = requests.iter().map(row).collect();
            let content = context! { requests, next, may_decide => operator.may(APPROVE) };
            page(&portal, &operator, "setups", "setups.html", content)
        }
        Err(error) => failed(&portal, &operator, error),
    }
}

pub async fn decide(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    Path(id): Path<i64>,
    operator: Operator,
    Form(given): Form<Given>,
) -> Response {
    let ordering = Ordering::of(&portal, &operator, origin, &given.form_token, "");
    let (app, by) = (&portal.app, operator.caller());
    let back = |_: SetupRequest| "/console/setups".to_owned();
    match given.order.as_str() {
        "review" => {
            let order = app.judge_setup_request(id, &SetupVerdict::Reviewing, by);
            let call = "/roost.v1.SetupService/ReviewSetupRequest";
            ordering.carry_out(call, About::default(), order, back).await
        }
        "approve" => {
            let tenant = match given.tenant.trim() {
                "" => None,
                id => match TenantId::new(id) {
                    Ok(tenant) => Some(tenant),
                    Err(error) => {
                        return problem(&portal, &operator, StatusCode::BAD_REQUEST, error.to_string());
                    }
                },
            };
            let about = About { tenant: tenant.clone(), node: None };
            let order = app.approve_setup_request(id, tenant, by);
            let to_tenant = |made: SetupRequest| {
                made.tenant
                    .map_or("/console/setups".to_owned(), |tenant| format!("/console/tenants/{tenant}"))
            };
            ordering.carry_out(APPROVE, about, order, to_tenant).await
        }
        "reject" => {
            let (id, verdict) = match rejected(v1::RejectSetupRequestRequest { id, reason: given.reason }) {
                Ok(judged) => judged,
                Err(error) => return refused(&portal, &operator, error),
            };
            let order = app.judge_setup_request(id, &verdict, by);
            let call = "/roost.v1.SetupService/RejectSetupRequest";
            ordering.carry_out(call, About::default(), order, back).await
        }
        _ => nothing(&portal, &operator),
    }
}

fn row(request: &SetupRequest) -> Value {
    let template = match request.wanted.template {
        TemplateKind::Booking => "booking",
        TemplateKind::Ecommerce => "ecommerce",
        TemplateKind::Support => "support",
    };
    let language = match request.wanted.language {
        LanguageCode::En => "en",
        LanguageCode::Sw => "sw",
    };
    context! {
        id => request.id,
        state => request.state.as_str().to_ascii_lowercase(),
        is_open => request.state.is_open(),
        email => request.email.as_str(),
        name => request.wanted.display_name.as_str(),
        phone => request.wanted.phone.as_str(),
        template,
        language,
        greeting => request.wanted.texts.greeting.as_str(),
        fallback => request.wanted.texts.fallback.as_str(),
        reason => request.reason.as_str(),
        tenant => request.tenant.as_ref().map(|tenant| tenant.as_str()),
        by => request.reviewed.as_ref().map(|(_, by)| by.as_str()),
        at => Moment::shown(request.submitted_at),
    }
}

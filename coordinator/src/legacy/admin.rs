//! What operators order and see, with the tokens of the API.

use std::sync::Arc;

use axum::{
    Json,
    extract::{ConnectInfo, FromRequestParts, Path, Query, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use roost_model::ids::TenantId;
use roost_proto::{error::ApiError, v1};
use roost_store::{MessageFilter, Requester, SetupVerdict, TenantFilter};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    failure::Failure,
    portal::LINES,
    shapes::{BusinessShape, LogShape, QrShape, SetupRequestShape, TenantShape},
    state::Legacy,
};
use crate::{
    app::{
        Error,
        access::{Caller, audit, calls},
    },
    grpc::{new_tenant, rejected},
    http::{
        ordered::{Asked, ordered},
        peer::Peer,
    },
};

/// Tenants, or setup requests, on one page.
const PAGE: u32 = 1_000;

/// A program that has shown a token.
pub struct Program {
    caller: Caller,
    origin: std::net::IpAddr,
}

impl FromRequestParts<Arc<Legacy>> for Program {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, legacy: &Arc<Legacy>) -> Result<Self, Failure> {
        let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = given.and_then(|given| given.strip_prefix("Bearer "));
        let refused = || {
            Failure::new(StatusCode::UNAUTHORIZED, "send a token that counts: authorization: Bearer TOKEN")
        };
        let caller = legacy.access.caller(token.ok_or_else(refused)?, OffsetDateTime::now_utc()).await;
        let origin = parts.extensions.get::<ConnectInfo<Peer>>().map(|ConnectInfo(Peer(origin))| *origin);
        Ok(Self { caller: caller.map_err(|_| refused())?, origin: origin.ok_or_else(refused)? })
    }
}

/// Why a program looks at the message log, as the business reads it.
const LOOKS: &str = "a front end of the first system shows the message log";

impl Program {
    /// As the call of the API that it is; of another's tenant everything is answered as of one that does not exist.
    async fn does<T>(
        &self,
        legacy: &Legacy,
        call: &str,
        tenant: Option<&TenantId>,
        order: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        let (access, caller, origin) = (legacy.access.as_ref(), &self.caller, self.origin);
        // Front ends of that system have no field for it.
        let reason = calls::find(call).filter(|call| audit::is_look(call, caller)).map(|_| LOOKS.to_owned());
        let by = Requester { reason: reason.unwrap_or_default(), ..Requester::default() };
        let asked = Asked { access, caller, origin, call, tenant, node: None, by };
        let told = |error| {
            let error = ApiError::from(error);
            (error.code.grpc(), Failure::from(error))
        };
        match ordered(asked, order, told).await {
            Some(done) => done,
            None if tenant.is_some_and(|tenant| caller.is_foreign_to(tenant)) => Err(Failure::nothing_here()),
            None => Err(Failure::new(StatusCode::FORBIDDEN, "the token's role may not do this")),
        }
    }
}

fn tenant(id: &str) -> Result<TenantId, Failure> {
    TenantId::new(id).map_err(|_| Failure::nothing_here())
}

#[derive(Deserialize)]
pub struct Paged {
    /// The last id of the page before.
    after: Option<String>,
}

pub async fn list(
    State(legacy): State<Arc<Legacy>>,
    program: Program,
    Query(paged): Query<Paged>,
) -> Result<Json<Value>, Failure> {
    let after = paged.after.as_deref().map(tenant).transpose()?;
    let app = &legacy.app;
    let read = async {
        let tenants = app.list_tenants(&TenantFilter::default(), after, PAGE).await?;
        app.with_workers_and_sessions(tenants).await
    };
    let read = program.does(&legacy, "/roost.v1.TenantService/ListTenants", None, read).await?;
    let shapes: Vec<_> =
        read.iter().map(|(tenant, worker, session)| TenantShape::of(tenant, worker, session)).collect();
    Ok(Json(json!({ "tenants": shapes })))
}

pub async fn create(
    State(legacy): State<Arc<Legacy>>,
    program: Program,
    Json(asked): Json<BusinessShape>,
) -> Result<Json<Value>, Failure> {
    let tenant_id = asked.id.clone();
    let new = new_tenant(v1::CreateTenantRequest { tenant_id, tenant: Some(asked.into_tenant()?) })?;
    let id = new.id.clone();
    let app = &legacy.app;
    let make = async {
        let tenant = app.create_tenant(new).await?;
        let (worker, session) = (app.get_worker(&id).await?, app.get_session(&id).await?);
        Ok(TenantShape::of(&tenant, &worker, &session))
    };
    let made = program.does(&legacy, "/roost.v1.TenantService/CreateTenant", Some(&id), make).await?;
    Ok(Json(json!({ "success": true, "tenant": made })))
}

pub async fn order(
    State(legacy): State<Arc<Legacy>>,
    program: Program,
    Path((id, order)): Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    let id = tenant(&id)?;
    let app = &legacy.app;
    let call = match order.as_str() {
        "start" => "/roost.v1.WorkerService/StartWorker",
        "stop" => "/roost.v1.WorkerService/StopWorker",
        "restart" => "/roost.v1.WorkerService/RestartWorker",
        "force-restart" => "/roost.v1.WorkerService/ForceRestartWorker",
        _ => return Err(Failure::nothing_here()),
    };
    let carried_out = async {
        match order.as_str() {
            "start" => app.start_worker(&id).await.map(|(_, runs_already)| runs_already),
            "stop" => app.stop_worker(&id).await.map(|_| false),
            "restart" => app.restart_worker(&id).await.map(|_| false),
            _ => app.force_restart_worker(&id, false).await.map(|_| false),
        }
    };
    let runs_already = program.does(&legacy, call, Some(&id), carried_out).await?;
    Ok(Json(match runs_already {
        true => json!({ "success": true, "message": "it runs already" }),
        false => json!({ "success": true }),
    }))
}

pub async fn qr(
    State(legacy): State<Arc<Legacy>>,
    program: Program,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let id = tenant(&id)?;
    let session = program.does(&legacy, "/roost.v1.SessionService/GetSession", Some(&id), async {
        legacy.app.get_session(&id).await
    });
    let shape = QrShape::of(&session.await?, OffsetDateTime::now_utc());
    legacy.polled.answer(&headers, &id, "qr", async { Ok(shape) }).await
}

pub async fn logs(
    State(legacy): State<Arc<Legacy>>,
    program: Program,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let id = tenant(&id)?;
    let filter = MessageFilter { tenant: Some(id.clone()), ..MessageFilter::default() };
    let read = async {
        legacy.app.check_tenant(Some(&id)).await?;
        legacy.app.list_messages(&filter, None, LINES).await
    };
    let messages = program.does(&legacy, "/roost.v1.MessageService/ListMessages", Some(&id), read).await?;
    let logs: Vec<_> = messages.into_iter().map(LogShape::from).collect();
    Ok(Json(json!({ "logs": logs })))
}

pub async fn setup_requests(
    State(legacy): State<Arc<Legacy>>,
    program: Program,
) -> Result<Json<Value>, Failure> {
    let read = legacy.app.list_setup_requests(None, None, PAGE);
    let requests = program.does(&legacy, "/roost.v1.SetupService/ListSetupRequests", None, read).await?;
    let requests: Vec<_> = requests.into_iter().map(SetupRequestShape::from).collect();
    Ok(Json(json!({ "setupRequests": requests })))
}

pub async fn approve(
    State(legacy): State<Arc<Legacy>>,
    program: Program,
    Path(id): Path<i64>,
) -> Result<Json<Value>, Failure> {
    let approval = legacy.app.approve_setup_request(id, None, &program.caller);
    let request = program.does(&legacy, "/roost.v1.SetupService/ApproveSetupRequest", None, approval).await?;
    Ok(Json(json!({ "success": true, "setupRequest": SetupRequestShape::from(request) })))
}

#[derive(Deserialize)]
pub struct Rejection {
    #[serde(default)]
    reason: String,
}

pub async fn reject(
    State(legacy): State<Arc<Legacy>>,
    program: Program,
    Path(id): Path<i64>,
    Json(Rejection { reason }): Json<Rejection>,
) -> Result<Json<Value>, Failure> {
    let (id, verdict): (i64, SetupVerdict) = rejected(v1::RejectSetupRequestRequest { id, reason })?;
    let rejection = legacy.app.judge_setup_request(id, &verdict, &program.caller);
    let request = program.does(&legacy, "/roost.v1.SetupService/RejectSetupRequest", None, rejection).await?;
    Ok(Json(json!({ "success": true, "setupRequest": SetupRequestShape::from(request) })))
}

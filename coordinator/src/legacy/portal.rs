//! What a user sees of his business, and asks for one.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::HeaderMap;
use roost_store::MessageFilter;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    failure::Failure,
    person::Person,
    shapes::{BusinessShape, LogShape, QrShape, SetupRequestShape, StatusShape, TenantShape},
    state::Legacy,
};
use crate::grpc::wanted_business;

/// Of the log.
pub const LINES: u32 = 100;
/// By which it is decided who sees what, as everywhere.
const STATUS: &str = "/roost.v1.WorkerService/GetWorker";
const LINK: &str = "/roost.v1.SessionService/GetSession";
const LOG: &str = "/roost.v1.MessageService/ListMessages";

pub async fn status(
    State(legacy): State<Arc<Legacy>>,
    headers: HeaderMap,
    person: Person,
) -> Result<Response, Failure> {
    let email = &person.user.email;
    let app = &legacy.app;
    if person.has_no_business() {
        let setup_request = app.setup_request_of(email).await?.map(SetupRequestShape::from);
        return Ok(Json(StatusShape { tenant: None, setup_request }).into_response());
    }
    let tenant = person.tenant_for(STATUS)?;
    let make = async {
        let (about, worker) = (app.get_tenant(tenant).await?, app.get_worker(tenant).await?);
        let session = app.get_session(tenant).await?;
        let tenant = Some(TenantShape::of(&about, &worker, &session));
        let setup_request = app.setup_request_of(email).await?.map(SetupRequestShape::from);
        Ok(StatusShape { tenant, setup_request })
    };
    legacy.polled.answer(&headers, tenant, &format!("status {email}"), make).await
}

pub async fn qr(
    State(legacy): State<Arc<Legacy>>,
    headers: HeaderMap,
    person: Person,
) -> Result<Response, Failure> {
    let tenant = person.tenant_for(LINK)?;
    let make = async { Ok(QrShape::of(&legacy.app.get_session(tenant).await?, OffsetDateTime::now_utc())) };
    legacy.polled.answer(&headers, tenant, "qr", make).await
}

pub async fn logs(State(legacy): State<Arc<Legacy>>, person: Person) -> Result<Json<Value>, Failure> {
    let filter = MessageFilter { tenant: Some(person.tenant_for(LOG)?.clone()), ..MessageFilter::default() };
    let messages = legacy.app.list_messages(&filter, None, LINES).await?;
    let logs: Vec<_> = messages.into_iter().map(LogShape::from).collect();
    Ok(Json(json!({ "logs": logs })))
}

pub async fn setup_request(
    State(legacy): State<Arc<Legacy>>,
    person: Person,
) -> Result<Json<Value>, Failure> {
    let request = legacy.app.setup_request_of(&person.user.email).await?.map(SetupRequestShape::from);
    Ok(Json(json!({ "setupRequest": request })))
}

/// A user of the front end is one of the portal from then on, who signs in there once operators have made him a link.
pub async fn submit(
    State(legacy): State<Arc<Legacy>>,
    person: Person,
    Json(asked): Json<BusinessShape>,
) -> Result<Json<Value>, Failure> {
    let wanted = wanted_business(asked.into_tenant()?)?;
    let email = &person.user.email;
    legacy.app.know_person(email).await?;
    let request = legacy.app.submit_setup_request(email, &wanted).await?;
    Ok(Json(json!({ "success": true, "setupRequest": SetupRequestShape::from(request) })))
}

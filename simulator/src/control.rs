//! The phones' side, as JSON over HTTP under `/control`. `README.md` of the simulator lists the calls.
//!
//! What cannot be done is answered with 400 (the request is wrong), 404 (no such phone, code or path) or 409 (not in
//! this state), and `{"error": "..."}` that says what is wrong and what to do.

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::app_state::AppState;
use crate::clock::UnixMillis;
use crate::hardness::{Hardness, LONGEST_MS, PageSettings};
use crate::journal::Report;
use crate::sent::SentMessage;
use crate::world::{ControlError, Incoming};

const LARGEST_BODY: usize = 256 * 1024;
const LONGEST_TEXT: usize = 65_536;
const RELOAD_AFTER_MS: u64 = 1_000;

type Done = Result<Json<Value>, ControlError>;

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/scan", post(scan))
        .route("/link", post(link))
        .route("/message", post(message))
        .route("/logout", post(log_out))
        .route("/drop", post(cut))
        .route("/conflict", post(conflict))
        .route("/outdated", post(outdated))
        .route("/hang", post(hang))
        .route("/reload", post(reload))
        .route("/hardness", get(hardness).post(harden))
        .route("/sent", get(sent))
        .route("/connections", get(connections))
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "no such call under /control") })
        .method_not_allowed_fallback(|| async {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "the call needs another method")
        })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
}

/// The one question that is the page's own.
pub fn page_routes() -> Router<AppState> {
    Router::new().route("/settings", get(page_settings))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    code: String,
    phone: String,
    pushname: Option<String>,
}

async fn scan(State(state): State<AppState>, Body(scan): Body<Scan>) -> Done {
    let phone = number("phone", &scan.phone)?;
    let pushname = scan.pushname.unwrap_or_else(|| format!("Phone {phone}"));
    let device = state.world.lock().scan(scan.code.trim(), &phone, pushname)?;
    Ok(Json(json!({ "device": device })))
}

/// As a person types it: with a hyphen in the middle, or in small letters.
async fn link(State(state): State<AppState>, Body(Scan { code, phone, pushname }): Body<Scan>) -> Done {
    let phone = number("phone", &phone)?;
    let pushname = pushname.unwrap_or_else(|| format!("Phone {phone}"));
    let code = code.replace(['-', ' '], "").to_uppercase();
    let device = state.world.lock().type_code(&code, &phone, pushname, UnixMillis::now())?;
    Ok(Json(json!({ "device": device })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    phone: String,
    from: String,
    body: String,
    chat: Option<String>,
    id: Option<String>,
}

async fn message(State(state): State<AppState>, Body(message): Body<NewMessage>) -> Done {
    let phone = number("phone", &message.phone)?;
    let from = format!("{}@c.us", number("from", &message.from)?);
    let chat = message.chat.map_or(Ok(from.clone()), |chat| chat_address(&chat))?;
    let length = message.body.chars().count();
    if length > LONGEST_TEXT {
        return Err(invalid("body", format!("has {length} characters; at most {LONGEST_TEXT} are allowed")));
    }
    let id = message.id.map_or_else(|| Ok(random_id()), |id| message_id(&id))?;
    let from_me = from.split('@').next() == Some(phone.as_str());
    if from_me && chat == from {
        return Err(invalid(
            "chat",
            "is needed when a phone writes itself: name the chat it writes to".to_owned(),
        ));
    }
    let participant = if chat.ends_with("@c.us") { String::new() } else { format!("_{from}") };
    let key = format!("{from_me}_{chat}_{id}{participant}");
    let incoming = Incoming { from, chat, body: message.body, id };
    state.world.lock().message(&phone, incoming, UnixMillis::now())?;
    Ok(Json(json!({ "id": key })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Phone {
    phone: String,
}

async fn log_out(State(state): State<AppState>, Body(Phone { phone }): Body<Phone>) -> Done {
    state.world.lock().log_out(&number("phone", &phone)?)?;
    done()
}

async fn conflict(State(state): State<AppState>, Body(Phone { phone }): Body<Phone>) -> Done {
    state.world.lock().conflict(&number("phone", &phone)?)?;
    done()
}

async fn outdated(State(state): State<AppState>, Body(Phone { phone }): Body<Phone>) -> Done {
    state.world.lock().outdated(&number("phone", &phone)?)?;
    done()
}

async fn hang(State(state): State<AppState>, Body(Phone { phone }): Body<Phone>) -> Done {
    state.world.lock().hang(&number("phone", &phone)?)?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cut {
    phone: Option<String>,
    for_ms: u64,
}

async fn cut(State(state): State<AppState>, Body(cut): Body<Cut>) -> Done {
    not_too_long("for_ms", cut.for_ms)?;
    let phone = cut.phone.map(|phone| number("phone", &phone)).transpose()?;
    state.world.lock().cut(phone.as_deref(), Duration::from_millis(cut.for_ms), UnixMillis::now())?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reload {
    phone: String,
    times: Option<u64>,
    after_ms: Option<u64>,
}

async fn reload(State(state): State<AppState>, Body(reload): Body<Reload>) -> Done {
    let Reload { phone, times, after_ms } = reload;
    let (times, after_ms) = (times.unwrap_or(1), after_ms.unwrap_or(RELOAD_AFTER_MS));
    not_too_long("after_ms", after_ms)?;
    state.world.lock().reload(&number("phone", &phone)?, times, after_ms)?;
    done()
}

#[derive(Deserialize)]
struct Harden {
    phone: Option<String>,
    #[serde(flatten)]
    changes: Map<String, Value>,
}

async fn harden(
    State(state): State<AppState>,
    Body(Harden { phone, changes }): Body<Harden>,
) -> Result<Json<Hardness>, ControlError> {
    let phone = phone.map(|phone| number("phone", &phone)).transpose()?;
    Ok(Json(state.world.lock().harden(phone.as_deref(), changes)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfPhone {
    phone: Option<String>,
}

async fn hardness(
    State(state): State<AppState>,
    Query(OfPhone { phone }): Query<OfPhone>,
) -> Result<Json<Hardness>, ControlError> {
    let phone = phone.map(|phone| number("phone", &phone)).transpose()?;
    Ok(Json(state.world.lock().hardness(phone.as_deref()).clone()))
}

/// What the page itself asks for before it connects.
async fn page_settings(
    State(state): State<AppState>,
    Query(OfPhone { phone }): Query<OfPhone>,
) -> Result<Json<PageSettings>, ControlError> {
    let phone = phone.map(|phone| number("phone", &phone)).transpose()?;
    Ok(Json(state.world.lock().page_settings(phone.as_deref())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SentQuery {
    phone: String,
    #[serde(default)]
    after: u64,
}

async fn sent(
    State(state): State<AppState>,
    Query(query): Query<SentQuery>,
) -> Result<Json<Vec<SentMessage>>, ControlError> {
    let phone = number("phone", &query.phone)?;
    Ok(Json(state.world.lock().sent(&phone, query.after)?))
}

async fn connections(State(state): State<AppState>) -> Json<Report> {
    Json(state.world.lock().report())
}

fn done() -> Done {
    Ok(Json(json!({})))
}

pub fn invalid(field: &'static str, problem: String) -> ControlError {
    ControlError::Invalid { field, problem }
}

pub fn not_too_long(field: &'static str, ms: u64) -> Result<(), ControlError> {
    if ms > LONGEST_MS {
        return Err(invalid(field, format!("is {ms}; at most {LONGEST_MS} (an hour) is allowed")));
    }
    Ok(())
}

/// A phone number in international form: `255700000001`, with or without `+` or `@c.us`.
pub fn number(field: &'static str, text: &str) -> Result<String, ControlError> {
    let digits = text.trim_start_matches('+').trim_end_matches("@c.us");
    if !(5..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(field, format!("is {text:?}; it has to be a phone number of 5 to 15 digits")));
    }
    Ok(digits.to_owned())
}

fn chat_address(text: &str) -> Result<String, ControlError> {
    let known = match text.split_once('@') {
        Some((user, "c.us")) => return Ok(format!("{}@c.us", number("chat", user)?)),
        Some((user, "g.us")) => {
            !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
        }
        Some((user, "broadcast")) => {
            user == "status" || (!user.is_empty() && user.bytes().all(|b| b.is_ascii_digit()))
        }
        _ => false,
    };
    if known {
        return Ok(text.to_owned());
    }
    Err(invalid(
        "chat",
        format!("is {text:?}; use 255700000001@c.us, 1203631@g.us, status@broadcast or 1700@broadcast"),
    ))
}

fn message_id(text: &str) -> Result<String, ControlError> {
    if text.is_empty() || text.len() > 64 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(invalid(
            "id",
            format!("is {text:?}; it has to be 1 to 64 letters and digits, or left out"),
        ));
    }
    Ok(text.to_owned())
}

/// In the shape of an Android phone's.
fn random_id() -> String {
    let [a, b]: [u64; 2] = rand::random();
    format!("{a:016X}{b:016X}")
}

fn refusal(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Invalid { .. }
            | Self::ForeignKeys
            | Self::WrongTypedCode { .. }
            | Self::Hardness { .. } => StatusCode::BAD_REQUEST,
            Self::UnknownBuild { .. }
            | Self::UnknownCode
            | Self::NoTypedCode { .. }
            | Self::UnknownPhone { .. } => StatusCode::NOT_FOUND,
            Self::RetiredCode
            | Self::ExpiredTypedCode { .. }
            | Self::VoidTypedCode { .. }
            | Self::NotLinked { .. }
            | Self::NotConnected { .. }
            | Self::AlreadyQueued { .. }
            | Self::QueueFull { .. } => StatusCode::CONFLICT,
        };
        refusal(status, &self.to_string())
    }
}

/// [`Json`] whose refusals are JSON too.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = BadRequest;

    async fn from_request(request: Request, state: &S) -> Result<Self, BadRequest> {
        let Json(body) = Json::from_request(request, state).await?;
        Ok(Self(body))
    }
}

/// [`axum::extract::Query`] whose refusals are JSON.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = BadRequest;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, BadRequest> {
        let axum::extract::Query(query) = axum::extract::Query::from_request_parts(parts, state).await?;
        Ok(Self(query))
    }
}

pub struct BadRequest(StatusCode, String);

impl From<JsonRejection> for BadRequest {
    fn from(rejection: JsonRejection) -> Self {
        // The wrong type of a field is as wrong as bad syntax: the API knows 400 for both.
        let status = match rejection.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            status => status,
        };
        Self(status, rejection.body_text())
    }
}

impl From<QueryRejection> for BadRequest {
    fn from(rejection: QueryRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl IntoResponse for BadRequest {
    fn into_response(self) -> Response {
        refusal(self.0, &self.1)
    }
}

//! The files of the page, embedded in the program.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;

use crate::app_state::AppState;

const INDEX: &str = include_str!("../page/index.html");

macro_rules! scripts {
    ($($name:literal),* $(,)?) => {
        /// Name and text of every script.
        const SCRIPTS: &[(&str, &str)] = &[$(($name, include_str!(concat!("../page/", $name)))),*];
    };
}

scripts![
    "boot.js",
    "connection.js",
    "credentials.js",
    "events.js",
    "ids.js",
    "inbound.js",
    "models.js",
    "modules-messages.js",
    "modules-quiet.js",
    "modules-session.js",
    "outbound.js",
    "registry.js",
    "session.js",
    "storage.js",
];

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(|| async { Html(INDEX) }))
        .route("/page/start-cost.js", get(start_cost))
        .route("/page/{name}", get(script))
}

async fn start_cost(State(state): State<AppState>) -> impl IntoResponse {
    let text = format!("export const startCostMs = {};\n", state.timing.start_cost.as_millis());
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], text)
}

async fn script(Path(name): Path<String>) -> impl IntoResponse {
    match SCRIPTS.iter().find(|(script, _)| *script == name) {
        Some((_, text)) => {
            ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], *text).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such script").into_response(),
    }
}

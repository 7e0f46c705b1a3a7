//! The files of the page, embedded in the program.

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;

pub const INDEX: &str = include_str!("../page/index.html");
/// Stands for a phone, for people who try.
const PHONE: &str = include_str!("../page/phone.html");

macro_rules! scripts {
    ($($name:literal),* $(,)?) => {
        /// Name and text of every script.
        const SCRIPTS: &[(&str, &str)] = &[$(($name, include_str!(concat!("../page/", $name)))),*];
    };
}

scripts![
    "backlog.js",
    "boot.js",
    "build.js",
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
    "phone.js",
    "registry.js",
    "session.js",
    "settings.js",
    "storage.js",
];

pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(|| async { Html(INDEX) }))
        .route("/phone", get(|| async { Html(PHONE) }))
        .route("/page/{name}", get(script))
}

async fn script(Path(name): Path<String>) -> impl IntoResponse {
    match SCRIPTS.iter().find(|(script, _)| *script == name) {
        Some((_, text)) => {
            ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], *text).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such script").into_response(),
    }
}

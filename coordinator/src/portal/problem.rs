//! What is told where there is no page to show.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use minijinja::context;
use roost_model::causes;
use roost_store::StoreError;

use super::{language::of, state::Portal};
use crate::{app::Error, http::retry_after::retry_after};

pub async fn not_found(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    nothing_here(&portal, &headers)
}

/// The same of what is another's and of what there is not.
pub fn nothing_here(portal: &Portal, headers: &HeaderMap) -> Response {
    problem(portal, headers, StatusCode::NOT_FOUND, "not-found", "not-found-told")
}

/// What a business can do nothing about but wait; the log has the reason.
pub fn failed(portal: &Portal, headers: &HeaderMap, error: &Error) -> Response {
    if let Error::Store(StoreError::NotFound { .. }) = error {
        return nothing_here(portal, headers);
    }
    tracing::warn!(error = %causes(error), "a page of the portal cannot be shown");
    problem(portal, headers, StatusCode::SERVICE_UNAVAILABLE, "state-waiting", "away")
}

/// Of a browser that asks for more than a person reads.
pub fn too_often(portal: &Portal, headers: &HeaderMap, wait: Duration) -> Response {
    let mut answer = problem(portal, headers, StatusCode::TOO_MANY_REQUESTS, "state-waiting", "away");
    answer.headers_mut().insert(RETRY_AFTER, retry_after(wait));
    answer
}

pub fn problem(
    portal: &Portal,
    headers: &HeaderMap,
    status: StatusCode,
    title: &str,
    told: &str,
) -> Response {
    let language = of(headers);
    let (title, told) = (portal.templates.text(language, title), portal.templates.text(language, told));
    let page = portal.templates.page(language, "problem.html", context! { title, told });
    (status, Html(page)).into_response()
}

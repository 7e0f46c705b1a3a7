//! Pages: a business, the start, and what is told when there is none.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode};
use minijinja::{Value, context};
use time::OffsetDateTime;

use super::{
    Portal,
    language::{Language, of},
    signed::{Member, Signed},
    view::Status,
};
use crate::app::Error;

pub async fn home(State(portal): State<Arc<Portal>>, headers: HeaderMap, signed: Signed) -> Response {
    match signed.user.memberships.first() {
        Some((tenant, _)) => Redirect::to(&format!("/t/{tenant}")).into_response(),
        None => problem(&portal, &headers, StatusCode::FORBIDDEN, "no-business", "no-business-told"),
    }
}

pub async fn tenant(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path(tenant): Path<String>,
    signed: Signed,
) -> Response {
    let Some(member) = signed.member_of(&tenant) else { return nothing_here(&portal, &headers) };
    business(&portal, &headers, StatusCode::OK, &member, None, |status| status).await
}

/// The page of a business, with a word about what was ordered, and what `change` puts into the card.
pub async fn business(
    portal: &Portal,
    headers: &HeaderMap,
    status: StatusCode,
    member: &Member,
    told: Option<String>,
    change: impl FnOnce(Status) -> Status,
) -> Response {
    let read = async {
        let tenant = portal.app.get_tenant(&member.tenant).await?;
        let worker = portal.app.get_worker(&member.tenant).await?;
        let session = portal.app.get_session(&member.tenant).await?;
        Ok::<_, Error>((tenant, worker, session))
    };
    let (tenant, worker, session) = match read.await {
        Ok(read) => read,
        Err(error) => return failed(portal, headers, error),
    };
    let card = change(Status::of(member, Some(&worker), Some(&session), OffsetDateTime::now_utc()));
    let others: Vec<String> = member.user.memberships.iter().map(|(other, _)| other.to_string()).collect();
    let others: Vec<String> = others.into_iter().filter(|other| *other != member.tenant.as_str()).collect();
    let name = match tenant.settings.display_name.as_str() {
        "" => member.tenant.to_string(),
        name => name.to_owned(),
    };
    let about = context! { name, others, told, email => member.user.email };
    let page = portal.templates.page(of(headers), "tenant.html", context! { ..about, ..Value::from_serialize(card) });
    (status, Html(page)).into_response()
}

/// The card alone, for those who have the page open.
pub fn card(portal: &Portal, language: Language, card: &Status) -> String {
    portal.templates.page(language, "status.html", Value::from_serialize(card))
}

pub async fn not_found(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    nothing_here(&portal, &headers)
}

/// The same of what is another's and of what there is not.
pub fn nothing_here(portal: &Portal, headers: &HeaderMap) -> Response {
    problem(portal, headers, StatusCode::NOT_FOUND, "not-found", "not-found-told")
}

/// What a business can do nothing about but wait; the log has the reason.
pub fn failed(portal: &Portal, headers: &HeaderMap, error: Error) -> Response {
    if let Error::Store(roost_store::StoreError::NotFound { .. }) = error {
        return nothing_here(portal, headers);
    }
    tracing::warn!(%error, "a page of the portal cannot be shown");
    problem(portal, headers, StatusCode::SERVICE_UNAVAILABLE, "state-waiting", "away")
}

fn problem(portal: &Portal, headers: &HeaderMap, status: StatusCode, title: &str, told: &str) -> Response {
    let language = of(headers);
    let (title, told) = (portal.templates.text(language, title), portal.templates.text(language, told));
    let page = portal.templates.page(language, "problem.html", context! { title, told });
    (status, Html(page)).into_response()
}

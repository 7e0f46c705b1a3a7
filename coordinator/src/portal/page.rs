//! The start, and the page of a business.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode};
use minijinja::{Value, context, value::Serde};
use roost_store::MessagesLately;
use time::OffsetDateTime;

use super::{
    business::{Part, frame},
    language::{Language, of},
    moment::Moment,
    problem::{failed, nothing_here},
    signed::{Member, Signed},
    state::Portal,
    view::Status,
};
use crate::app::Error;

/// By which it is decided who sees how many messages there were.
const MESSAGES: &str = "/roost.v1.MessageService/ListMessages";

/// Who runs the cluster has the console, and who has no business yet asks for one.
pub async fn home(signed: Signed) -> Redirect {
    if signed.user.role.is_some() {
        return Redirect::to("/console");
    }
    match signed.user.memberships.first() {
        Some((tenant, _)) => Redirect::to(&format!("/t/{tenant}")),
        None => Redirect::to("/setup"),
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
        let lately = match member.may(MESSAGES) {
            true => Some(portal.app.messages_lately(&member.tenant).await?),
            false => None,
        };
        Ok::<_, Error>((tenant, worker, session, lately))
    };
    let (tenant, worker, session, lately) = match read.await {
        Ok(read) => read,
        Err(error) => return failed(portal, headers, &error),
    };
    let now = OffsetDateTime::now_utc();
    let card = change(Status::of(member, &worker, &session, now));
    let lately = lately.map(|lately| counted(&lately, now));
    let about = context! { ..context! { told, lately }, ..frame(member, &tenant, Part::Status), ..Value::from(Serde(card)) };
    let page = portal.templates.page(of(headers), "tenant.html", about);
    (status, Html(page)).into_response()
}

fn counted(lately: &MessagesLately, until: OffsetDateTime) -> Value {
    let MessagesLately { received, sent, counted_all } = *lately;
    let many = (!counted_all).then_some(received + sent);
    context! { received, sent, many, until => Moment::shown(until) }
}

/// The card alone, for those who have the page open.
pub fn card(portal: &Portal, language: Language, card: &Status) -> String {
    portal.templates.page(language, "status.html", Value::from(Serde(card)))
}

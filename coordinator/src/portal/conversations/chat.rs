//! One chat, its newest lines at the bottom as on the phone.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use http::HeaderMap;
use minijinja::{Value, context, value::Serde};
use serde::Deserialize;

use super::{
    bounds::{CALL, PAGE},
    view::{LineView, name},
};
use crate::{
    app::Error,
    portal::{
        business::{Part, business_page},
        problem::{failed, nothing_here},
        signed::{Member, Signed},
        state::Portal,
    },
};

#[derive(Deserialize)]
pub struct Asked {
    /// The line before which it is read.
    before: Option<i64>,
}

pub async fn chat(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path((tenant, chat)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    signed: Signed,
) -> Response {
    let Some(member) = signed.member_who_may(CALL, &tenant) else { return nothing_here(&portal, &headers) };
    match read(&portal, &member, &chat, asked.before).await {
        Ok(Some(content)) => {
            business_page(&portal, &headers, &member, Part::Conversations, "chat.html", content).await
        }
        Ok(None) => nothing_here(&portal, &headers),
        Err(error) => failed(&portal, &headers, &error),
    }
}

/// None: nothing was ever said there.
async fn read(
    portal: &Portal,
    member: &Member,
    chat: &str,
    before: Option<i64>,
) -> Result<Option<Value>, Error> {
    let mut lines = portal.app.chat_lines(&member.tenant, chat, before, PAGE + 1).await?;
    let has_more = lines.len() > PAGE as usize;
    lines.truncate(PAGE as usize);
    let older = lines.last().filter(|_| has_more).map(|line| line.id);
    lines.reverse();
    if before.is_none() {
        lines.extend(portal.app.unsent_lines(&member.tenant, chat).await?);
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let lines: Vec<LineView> = lines.into_iter().map(LineView::from).collect();
    let (name, address) = (name(chat), lines[0].address.clone());
    Ok(Some(context! { chat => name, address, older, newer => before, lines => Value::from(Serde(lines)) }))
}

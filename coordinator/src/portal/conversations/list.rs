//! Which chats there are, and what a search finds.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use http::{HeaderMap, StatusCode};
use minijinja::{Value, context, value::Serde};
use serde::Deserialize;

use super::{
    bounds::{CALL, PAGE},
    view::{ChatView, LineView},
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

/// A longer one finds nothing that a shorter one would not.
const SEARCH_AT_MOST: usize = 200;

#[derive(Deserialize)]
pub struct Asked {
    /// What is searched for.
    #[serde(default)]
    q: String,
    /// The line before which the search goes on.
    before: Option<i64>,
    /// All, by their addresses, from the one after this on.
    after: Option<String>,
}

pub async fn list(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path(tenant): Path<String>,
    Query(asked): Query<Asked>,
    signed: Signed,
) -> Response {
    let Some(member) = signed.member_who_may(CALL, &tenant) else { return nothing_here(&portal, &headers) };
    let search: String = asked.q.trim().chars().take(SEARCH_AT_MOST).collect();
    let read = match (search.as_str(), asked.after) {
        ("", None) => newest(&portal, &member).await,
        ("", Some(after)) => by_address(&portal, &member, &after).await,
        (search, _) => found(&portal, &member, search, asked.before).await,
    };
    match read {
        Ok(content) => {
            let about = context! { q => search, ..content };
            business_page(
                &portal,
                &headers,
                &member,
                Part::Conversations,
                "chats.html",
                about,
                StatusCode::OK,
            )
            .await
        }
        Err(error) => failed(&portal, &headers, &error),
    }
}

async fn newest(portal: &Portal, member: &Member) -> Result<Value, Error> {
    let chats = portal.app.newest_chats(&member.tenant, PAGE).await?;
    let chats: Vec<ChatView> = chats.into_iter().map(ChatView::from).collect();
    Ok(context! { kind => "newest", chats => Value::from(Serde(chats)) })
}

async fn by_address(portal: &Portal, member: &Member, after: &str) -> Result<Value, Error> {
    let chats = portal.app.chats_by_address(&member.tenant, after, PAGE).await?;
    let is_full = chats.len() == PAGE as usize;
    let next = chats.last().filter(|_| is_full).map(|chat| chat.chat.clone());
    let chats: Vec<ChatView> = chats.into_iter().map(ChatView::from).collect();
    Ok(context! { kind => "all", chats => Value::from(Serde(chats)), next })
}

async fn found(portal: &Portal, member: &Member, search: &str, before: Option<i64>) -> Result<Value, Error> {
    let found = portal.app.search_lines(&member.tenant, search, before, PAGE).await?;
    let lines: Vec<LineView> = found.lines.into_iter().map(LineView::from).collect();
    Ok(context! { kind => "found", lines => Value::from(Serde(lines)), searched_to => found.searched_to })
}

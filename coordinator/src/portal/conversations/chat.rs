//! One chat, its newest lines at the bottom as on the phone, and who answers in it.

use std::{convert::Infallible, future::ready, sync::Arc};

use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse, Response, Sse, sse::Event},
};
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, StatusCode};
use minijinja::{Value, context, value::Serde};
use roost_store::{Line, MessageFilter, StoreError};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    bounds::{CALL, PAGE},
    view::{HoldView, LineView, name},
};
use crate::{
    app::Error,
    portal::{
        business::{Part, business_page},
        language::{Language, of},
        live::keep_alive,
        problem::{failed, nothing_here},
        signed::{Member, Signed},
        state::Portal,
    },
};

/// By which it is decided who may answer in it.
const HOLD: &str = "/roost.v1.ChatService/TakeOverChat";

#[derive(Deserialize)]
pub struct Asked {
    /// The line before which it is read.
    before: Option<i64>,
}

/// What was typed and not said, with the key under which it would be.
pub struct Draft {
    pub text: String,
    pub key: String,
}

impl Default for Draft {
    fn default() -> Self {
        Self { text: String::new(), key: Uuid::now_v7().to_string() }
    }
}

pub async fn chat(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path((tenant, chat)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    signed: Signed,
) -> Response {
    let Some(member) = signed.member_who_may(CALL, &tenant) else { return nothing_here(&portal, &headers) };
    match asked.before {
        None => page(&portal, &headers, &member, &chat, None, Draft::default(), StatusCode::OK).await,
        Some(before) => older(&portal, &headers, &member, &chat, before).await,
    }
}

/// As it is now, with a word about what was ordered.
pub async fn page(
    portal: &Portal,
    headers: &HeaderMap,
    member: &Member,
    chat: &str,
    told: Option<&str>,
    draft: Draft,
    status: StatusCode,
) -> Response {
    let told = told.map(|told| portal.templates.text(of(headers), told));
    let read = async {
        let lines = newest(portal, member, chat).await?;
        let hold = match member.may(HOLD) {
            true => hold(portal, member, chat).await?,
            false => None,
        };
        Ok::<_, Error>((lines, hold))
    };
    match read.await {
        Ok((Some((older, lines)), hold)) => {
            let about = context! {
                told, hold => Value::from(Serde(hold)), text => draft.text, key => draft.key, ..content(chat, &lines, older, false)
            };
            business_page(portal, headers, member, Part::Conversations, "chat.html", about, status).await
        }
        Ok((None, _)) => nothing_here(portal, headers),
        Err(error) => failed(portal, headers, &error),
    }
}

async fn older(portal: &Portal, headers: &HeaderMap, member: &Member, chat: &str, before: i64) -> Response {
    match read(portal, member, chat, Some(before)).await {
        Ok((_, lines)) if lines.is_empty() => nothing_here(portal, headers),
        Ok((older, lines)) => {
            let about = context! { told => (), hold => (), ..content(chat, &lines, older, true) };
            let part = Part::Conversations;
            business_page(portal, headers, member, part, "chat.html", about, StatusCode::OK).await
        }
        Err(error) => failed(portal, headers, &error),
    }
}

fn content(chat: &str, lines: &[LineView], older: Option<i64>, newer: bool) -> Value {
    let address = &lines[0].address;
    context! { chat => name(chat), address, older, newer, lines => Value::from(Serde(lines)) }
}

/// None: nothing was ever said there.
async fn newest(
    portal: &Portal,
    member: &Member,
    chat: &str,
) -> Result<Option<(Option<i64>, Vec<LineView>)>, Error> {
    let (older, mut lines) = read(portal, member, chat, None).await?;
    lines.extend(portal.app.unsent_lines(&member.tenant, chat).await?.into_iter().map(LineView::from));
    Ok((!lines.is_empty()).then_some((older, lines)))
}

/// A page of lines, and the one before which there are more.
async fn read(
    portal: &Portal,
    member: &Member,
    chat: &str,
    before: Option<i64>,
) -> Result<(Option<i64>, Vec<LineView>), Error> {
    let mut lines: Vec<Line> = portal.app.chat_lines(&member.tenant, chat, before, PAGE + 1).await?;
    let has_more = lines.len() > PAGE as usize;
    lines.truncate(PAGE as usize);
    let older = lines.last().filter(|_| has_more).map(|line| line.id);
    Ok((older, lines.into_iter().rev().map(LineView::from).collect()))
}

/// None of a chat from which nothing was received: nobody has it.
async fn hold(portal: &Portal, member: &Member, chat: &str) -> Result<Option<HoldView>, Error> {
    match portal.app.chat_hold(&member.tenant, chat).await {
        Ok(hold) => Ok(Some(HoldView::of(hold, member.caller().name()))),
        Err(Error::Store(StoreError::NotFound { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The lines as they are, and anew whenever one is added.
pub async fn events(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path((tenant, chat)): Path<(String, String)>,
    signed: Signed,
) -> Response {
    let Some(member) = signed.member_who_may(CALL, &tenant) else { return nothing_here(&portal, &headers) };
    let filter = MessageFilter {
        tenant: Some(member.tenant.clone()),
        chat: Some(chat.clone()),
        ..MessageFilter::default()
    };
    match portal.app.watch_messages(filter, 0).await {
        Ok(news) => {
            // At once as well: a line may have come between the page and this.
            let lines_come = stream::once(ready(Ok(()))).chain(news.map(|line| line.map(drop).map_err(drop)));
            let news = portal.access.open_stream(member.caller()).while_it_counts(lines_come);
            let events = lines(portal.clone(), of(&headers), member, chat, Box::pin(news));
            Sse::new(events).keep_alive(keep_alive()).into_response()
        }
        Err(error) => failed(&portal, &headers, &error),
    }
}

/// Ends with its stream; a page that was signed out is led away when it asks again.
fn lines(
    portal: Arc<Portal>,
    language: Language,
    member: Member,
    chat: String,
    news: impl Stream<Item = Result<(), ()>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    stream::unfold((news, portal, member, chat), move |(mut news, portal, member, chat)| async move {
        news.next().await?.ok()?;
        let (_, lines) = newest(&portal, &member, &chat).await.ok()??;
        let about = context! { chat => name(&chat), lines => Value::from(Serde(lines)) };
        let text = portal.templates.page(language, "lines.html", about);
        Some((Ok(Event::default().event("status").data(text)), (news, portal, member, chat)))
    })
}

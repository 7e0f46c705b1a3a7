//! Taking a chat over, answering in it, giving it back.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Form,
    extract::{ConnectInfo, Path, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode};
use roost_proto::v1;
use roost_store::StoreError;
use serde::Deserialize;

use super::{
    chat::{Draft, page},
    view::encoded,
};
use crate::{
    app::Error,
    grpc::said,
    http::{
        ordered::{ordered, told_as},
        peer::Peer,
    },
    portal::{
        problem::{failed, nothing_here},
        signed::{Member, Signed},
        state::Portal,
    },
};

#[derive(Deserialize)]
pub struct Given {
    order: Order,
    /// Of the chat, as the page shows it.
    version: i64,
    form_token: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    TakeOver,
    Release,
}

#[derive(Deserialize)]
pub struct Said {
    text: String,
    /// Made with the page: a form that is sent twice says it once.
    key: String,
    form_token: String,
}

pub async fn hold(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    headers: HeaderMap,
    Path((tenant, chat)): Path<(String, String)>,
    signed: Signed,
    Form(given): Form<Given>,
) -> Response {
    let Some(member) = signed.member_of(&tenant) else { return nothing_here(&portal, &headers) };
    let draft = Draft::default();
    if given.form_token != member.form_token {
        return page(&portal, &headers, &member, &chat, Some("form-old"), draft, StatusCode::FORBIDDEN).await;
    }
    let (app, by) = (&portal.app, member.caller());
    let call = match given.order {
        Order::TakeOver => "/roost.v1.ChatService/TakeOverChat",
        Order::Release => "/roost.v1.ChatService/ReleaseChat",
    };
    let order = async {
        match given.order {
            Order::TakeOver => app.take_chat(&member.tenant, &chat, given.version, by).await,
            Order::Release => app.release_chat(&member.tenant, &chat, given.version, by).await,
        }
    };
    let done = ordered(member.asks(&portal, call, origin), order, told_as(why_not)).await;
    answer(&portal, &headers, &member, &chat, done.map(|done| done.map(drop)), draft).await
}

pub async fn say(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    headers: HeaderMap,
    Path((tenant, chat)): Path<(String, String)>,
    signed: Signed,
    Form(given): Form<Said>,
) -> Response {
    let Some(member) = signed.member_of(&tenant) else { return nothing_here(&portal, &headers) };
    let draft = Draft { text: given.text.clone(), key: given.key.clone() };
    if given.form_token != member.form_token {
        return page(&portal, &headers, &member, &chat, Some("form-old"), draft, StatusCode::FORBIDDEN).await;
    }
    let request = v1::SendChatMessageRequest {
        tenant_id: tenant,
        chat_id: chat.clone(),
        body: given.text.replace("\r\n", "\n"),
        idempotency_key: given.key,
    };
    let Ok(said) = said(request) else {
        return page(&portal, &headers, &member, &chat, Some("say-wrong"), draft, StatusCode::BAD_REQUEST)
            .await;
    };
    let done = says(&portal, &member, origin, said).await;
    answer(&portal, &headers, &member, &chat, done, draft).await
}

async fn says(
    portal: &Portal,
    member: &Member,
    origin: IpAddr,
    said: crate::grpc::Said,
) -> Option<Result<(), &'static str>> {
    let order = portal.app.say_in_chat(&member.tenant, &said.chat, said.body, &said.key, member.caller());
    ordered(member.asks(portal, "/roost.v1.ChatService/SendChatMessage", origin), order, told_as(why_not))
        .await
}

/// Loading the page again orders nothing again; what was typed and is not said stays.
async fn answer(
    portal: &Portal,
    headers: &HeaderMap,
    member: &Member,
    chat: &str,
    done: Option<Result<(), &'static str>>,
    draft: Draft,
) -> Response {
    match done {
        None => nothing_here(portal, headers),
        Some(Ok(())) => {
            let chat = encoded(chat);
            Redirect::to(&format!("/t/{}/chats/{chat}", member.tenant)).into_response()
        }
        Some(Err("chat-away")) => {
            let away = StoreError::NotFound { kind: "chat", id: chat.to_owned() };
            failed(portal, headers, &Error::Store(away))
        }
        Some(Err(told)) => page(portal, headers, member, chat, Some(told), draft, StatusCode::CONFLICT).await,
    }
}

/// By its key in the catalogues.
fn why_not(error: &Error) -> &'static str {
    match error {
        Error::Store(StoreError::ChatChanged { .. }) => "chat-changed",
        Error::Store(StoreError::NotFound { .. }) => "chat-away",
        _ => "away",
    }
}

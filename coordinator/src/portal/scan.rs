//! The page of a link for others: the code as it renews itself, for whoever has the phone, and nothing else of the business.
//!
//! Whoever has the link needs no sign-in, so it shows neither what the business is called elsewhere nor what it may do, and at each
//! change it is asked anew whether the link still counts.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Response, Sse},
};
use futures::StreamExt;
use http::{HeaderMap, StatusCode};
use minijinja::{Value, context, value::Serde};
use roost_store::{ScanLink, Session, Worker};
use serde::Serialize;
use time::OffsetDateTime;

use super::{
    language::of,
    live::{Update, changes, keep_alive, shown},
    problem::{failed, nothing_here},
    state::Portal,
    view::{State as Shows, state},
};
use crate::app::Error;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Card {
    state: Shows,
    qr: Option<String>,
}

impl Card {
    fn of(worker: &Worker, session: &Session) -> Self {
        let code = session.code(OffsetDateTime::now_utc());
        Self { state: state(worker, code.is_some()), qr: code.map(|code| code.data_uri.clone()) }
    }
}

pub async fn page(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path(link): Path<String>,
) -> Response {
    let found = async {
        match portal.app.scan_link(&link).await? {
            ScanLink::Open { tenant } => {
                let tenant_row = portal.app.get_tenant(&tenant).await?;
                let worker = portal.app.get_worker(&tenant).await?;
                let session = portal.app.get_session(&tenant).await?;
                let card = Value::from(Serde(Card::of(&worker, &session)));
                let phone = tenant_row.settings.phone.as_str();
                Ok::<_, Error>((StatusCode::OK, context! { outcome => "open", link, phone, ..card }))
            }
            ScanLink::Linked => Ok((StatusCode::OK, context! { outcome => "linked" })),
            ScanLink::Over => Ok((StatusCode::GONE, context! { outcome => "over" })),
        }
    };
    match found.await {
        Ok((status, about)) => {
            (status, Html(portal.templates.page(of(&headers), "scan.html", about))).into_response()
        }
        Err(error) => failed(&portal, &headers, &error),
    }
}

/// The code anew whenever it is another one, and a last event when the link does not count any more: the page that is loaded again says why.
pub async fn events(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path(link): Path<String>,
) -> Response {
    let begun = async {
        match portal.app.scan_link(&link).await? {
            ScanLink::Open { tenant } => changes(&portal.app, &tenant).await.map(Some),
            ScanLink::Linked | ScanLink::Over => Ok(None),
        }
    };
    match begun.await {
        Ok(Some(news)) => {
            let (language, own) = (of(&headers), portal.clone());
            let news = news.then(move |update| while_open(own.clone(), link.clone(), update));
            let page = move |card: &Card| {
                portal.templates.page(language, "scan_card.html", Value::from(Serde(card)))
            };
            let cards = shown(news, Card::of, page);
            Sse::new(cards).keep_alive(keep_alive()).into_response()
        }
        Ok(None) => nothing_here(&portal, &headers),
        Err(error) => failed(&portal, &headers, &error),
    }
}

/// As it is, unless the link does not count any more.
async fn while_open(portal: Arc<Portal>, link: String, update: Update) -> Update {
    match portal.app.scan_link(&link).await {
        Ok(ScanLink::Open { .. }) => update,
        Ok(ScanLink::Linked | ScanLink::Over) => Update::Over,
        // The page asks again.
        Err(_) => Update::CutOff,
    }
}

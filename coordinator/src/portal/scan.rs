//! The page of a link for others: the code as it renews itself, for whoever has the phone, and nothing else of the business.
//!
//! Whoever has the link needs no sign-in, so it shows neither what the business is called elsewhere nor what it may do, and at each
//! change it is asked anew whether the link still counts.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Response, Sse, sse::Event},
};
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, StatusCode};
use minijinja::{Value, context, value::Serde};
use roost_store::{ScanLink, Session, Worker};
use serde::Serialize;
use time::OffsetDateTime;

use super::{
    language::{Language, of},
    live::{Update, changes, keep_alive},
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
    let shown = async {
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
    match shown.await {
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
            let cards = cards(portal.clone(), of(&headers), link, news);
            Sse::new(cards).keep_alive(keep_alive()).into_response()
        }
        Ok(None) => nothing_here(&portal, &headers),
        Err(error) => failed(&portal, &headers, &error),
    }
}

struct Known {
    portal: Arc<Portal>,
    language: Language,
    link: String,
    worker: Option<Box<Worker>>,
    session: Option<Box<Session>>,
    shown: Option<Card>,
}

fn cards(
    portal: Arc<Portal>,
    language: Language,
    link: String,
    news: impl Stream<Item = Update> + Send + 'static,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    let known = Known { portal, language, link, worker: None, session: None, shown: None };
    stream::unfold((Box::pin(news), Some(known)), |(mut news, known)| async move {
        let mut known = known?;
        loop {
            match news.next().await? {
                Update::Worker(worker) => known.worker = Some(worker),
                Update::Session(session) => known.session = Some(session),
                Update::Over => return Some((Ok(over()), (news, None))),
                Update::CutOff => return None,
            }
            if !known.counts().await? {
                return Some((Ok(over()), (news, None)));
            }
            if let Some(event) = known.event() {
                return Some((Ok(event), (news, Some(known))));
            }
        }
    })
}

fn over() -> Event {
    Event::default().event("over").data("over")
}

impl Known {
    /// None while that cannot be told: the page asks again.
    async fn counts(&self) -> Option<bool> {
        let link = self.portal.app.scan_link(&self.link).await.ok()?;
        Some(matches!(link, ScanLink::Open { .. }))
    }

    fn event(&mut self) -> Option<Event> {
        let card = Card::of(self.worker.as_ref()?, self.session.as_ref()?);
        if self.shown.as_ref() == Some(&card) {
            return None;
        }
        let text = self.portal.templates.page(self.language, "scan_card.html", Value::from(Serde(&card)));
        self.shown = Some(card);
        Some(Event::default().event("status").data(text))
    }
}

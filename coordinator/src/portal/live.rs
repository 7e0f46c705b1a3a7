//! The status of a business while its page is open: a stream of events, each with the card as it is by then.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Path, State},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt, stream};
use http::HeaderMap;
use roost_store::{Session, Worker};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{
    Portal,
    language::{Language, of},
    page::{card, failed, nothing_here},
    signed::{Member, Signed},
    view::Status,
};
use crate::app::{Error, access::LiveToken};

/// Less than what cuts off silent connections on their way.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

enum News {
    Worker(Box<Worker>),
    Session(Box<Session>),
    /// Signed out, deleted, or the coordinator stops: a page that is loaded again learns which.
    Over,
}

pub async fn events(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path(tenant): Path<String>,
    signed: Signed,
) -> Response {
    let Some(member) = signed.member_of(&tenant) else { return nothing_here(&portal, &headers) };
    match news(&portal, &member).await {
        Ok(news) => {
            let cards = cards(portal.clone(), of(&headers), member, news);
            Sse::new(cards).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
        }
        Err(error) => failed(&portal, &headers, error),
    }
}

async fn news(portal: &Portal, member: &Member) -> Result<impl Stream<Item = News> + Send + 'static, Error> {
    let workers = portal.app.watch_worker(member.tenant.clone()).await?;
    let sessions = portal.app.watch_session(member.tenant.clone()).await?;
    let workers = workers.map(|change| match change {
        Ok(change) if !change.deleted => News::Worker(Box::new(change.worker)),
        _ => News::Over,
    });
    let sessions = sessions.map(|session| session.map_or(News::Over, |session| News::Session(Box::new(session))));
    let held = portal.access.open_stream(member.caller());
    let revoked = stream::once(ended(held.ended().clone())).map(|()| News::Over);
    Ok(Held { held, news: stream::select(stream::select(workers, sessions), revoked) }.into_stream())
}

async fn ended(token: CancellationToken) {
    token.cancelled().await;
}

/// The stream counts as its browser's for as long as it is read.
struct Held<S> {
    held: LiveToken,
    news: S,
}

impl<S: Stream<Item = News> + Unpin + Send + 'static> Held<S> {
    fn into_stream(self) -> impl Stream<Item = News> + Send + 'static {
        stream::unfold(self, |mut held| async move {
            let next = held.news.next().await?;
            Some((next, held))
        })
    }
}

/// A card for each change, none for what changes nothing that it shows, and one that says that it is over.
fn cards(
    portal: Arc<Portal>,
    language: Language,
    member: Member,
    news: impl Stream<Item = News> + Send + 'static,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    struct Known {
        worker: Option<Worker>,
        session: Option<Session>,
        shown: Option<Status>,
        is_over: bool,
    }
    let known = Known { worker: None, session: None, shown: None, is_over: false };
    news.scan(known, move |known, news| {
        if known.is_over {
            return std::future::ready(None);
        }
        match news {
            News::Worker(worker) => known.worker = Some(*worker),
            News::Session(session) => known.session = Some(*session),
            News::Over => {
                known.is_over = true;
                return std::future::ready(Some(Some(Event::default().event("over").data("over"))));
            }
        }
        // Half of it would show a state that never was.
        let (Some(worker), Some(session)) = (&known.worker, &known.session) else {
            return std::future::ready(Some(None));
        };
        let status = Status::of(&member, Some(worker), Some(session), OffsetDateTime::now_utc());
        let event = (known.shown.as_ref() != Some(&status))
            .then(|| Event::default().event("status").data(card(&portal, language, &status)));
        known.shown = Some(status);
        std::future::ready(Some(event))
    })
    .filter_map(|event| std::future::ready(event.map(Ok)))
}

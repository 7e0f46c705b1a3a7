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
use roost_model::ids::TenantId;
use roost_store::{Session, StoreError, Worker};
use time::OffsetDateTime;

use super::{
    language::of,
    page::card,
    problem::{failed, nothing_here},
    signed::{Member, Signed},
    state::Portal,
    view::Status,
};
use crate::app::{App, Error};

/// Less than what cuts off silent connections on their way.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub fn keep_alive() -> KeepAlive {
    KeepAlive::new().interval(KEEP_ALIVE)
}

/// What has become of a business.
pub enum Update {
    Worker(Box<Worker>),
    Session(Box<Session>),
    /// Signed out or deleted: a page that is loaded again learns which.
    Over,
    /// A page that asks again goes on, here or at another coordinator.
    CutOff,
}

impl Update {
    fn cut_off(error: &Error) -> Self {
        match error {
            Error::Store(StoreError::NotFound { .. }) => Self::Over,
            _ => Self::CutOff,
        }
    }
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
            let language = of(&headers);
            let now = move |worker: &Worker, session: &Session| {
                Status::of(&member, worker, session, OffsetDateTime::now_utc())
            };
            let cards = shown(news, now, move |status| card(&portal, language, status));
            Sse::new(cards).keep_alive(keep_alive()).into_response()
        }
        Err(error) => failed(&portal, &headers, &error),
    }
}

async fn news(
    portal: &Portal,
    member: &Member,
) -> Result<impl Stream<Item = Update> + Send + 'static, Error> {
    let news = changes(&portal.app, &member.tenant).await?;
    let held = portal.access.open_stream(member.caller());
    let revoked = stream::once(held.ended().clone().cancelled_owned()).map(|()| Update::Over);
    let news = stream::select(news, revoked);
    // It counts as its browser's for as long as it is read.
    Ok(news.map(move |news| {
        let _held = &held;
        news
    }))
}

/// Its worker and its session as they are, then each change of them.
pub async fn changes(
    app: &App,
    tenant: &TenantId,
) -> Result<impl Stream<Item = Update> + Send + use<>, Error> {
    let workers = app.watch_worker(tenant.clone()).await?;
    let sessions = app.watch_session(tenant.clone()).await?;
    let workers = workers.map(|change| match change {
        Ok(change) if change.deleted => Update::Over,
        Ok(change) => Update::Worker(Box::new(change.worker)),
        Err(error) => Update::cut_off(&error),
    });
    let sessions = sessions.map(|session| match session {
        Ok(session) => Update::Session(Box::new(session)),
        Err(error) => Update::cut_off(&error),
    });
    Ok(stream::select(workers, sessions))
}

/// What is shown, whenever it is something else, and a last event where the page is over. Half of it would be a state that never was.
pub fn shown<C: PartialEq + Send + 'static>(
    news: impl Stream<Item = Update> + Send + 'static,
    card: impl Fn(&Worker, &Session) -> C + Send + 'static,
    page: impl Fn(&C) -> String + Send + 'static,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    let known = Known { worker: None, session: None, shown: None };
    stream::unfold((Box::pin(news), Some(known), card, page), |(mut news, known, card, page)| async move {
        let mut known = known?;
        loop {
            match news.next().await? {
                Update::Worker(worker) => known.worker = Some(worker),
                Update::Session(session) => known.session = Some(session),
                Update::Over => {
                    return Some((Ok(Event::default().event("over").data("over")), (news, None, card, page)));
                }
                Update::CutOff => return None,
            }
            if let Some(text) = known.news(&card, &page) {
                let event = Event::default().event("status").data(text);
                return Some((Ok(event), (news, Some(known), card, page)));
            }
        }
    })
}

/// What the page has been told of.
struct Known<C> {
    worker: Option<Box<Worker>>,
    session: Option<Box<Session>>,
    shown: Option<C>,
}

impl<C: PartialEq> Known<C> {
    /// The page of what is shown now, if that is something else.
    fn news(&mut self, card: impl Fn(&Worker, &Session) -> C, page: impl Fn(&C) -> String) -> Option<String> {
        let now = card(self.worker.as_ref()?, self.session.as_ref()?);
        let text = (self.shown.as_ref() != Some(&now)).then(|| page(&now));
        self.shown = Some(now);
        text
    }
}

//! What of a page is renewed while it is open: a stream of events, each with that part as it is by then.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use axum::response::{
    IntoResponse, Response, Sse,
    sse::{Event, KeepAlive},
};
use futures::{Stream, StreamExt, stream as streams};
use minijinja::{Value, context};
use tokio::time::timeout;

use super::{answer::failed, feed::Seen, operator::Operator};
use crate::portal::state::Portal;

/// Less than what cuts off silent connections on their way.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The most that a page waits for the first look.
const FIRST_WITHIN: Duration = Duration::from_secs(6);

/// What the cluster is like, for a page that is not renewed.
pub async fn first(portal: &Portal) -> Option<Arc<Seen>> {
    let mut seen = portal.console_feed.follow();
    timeout(FIRST_WITHIN, seen.wait_for(Option::is_some)).await.ok()?.ok()?.clone()
}

/// A part that shows the cluster.
pub fn stream(
    portal: &Arc<Portal>,
    operator: &Operator,
    template: &'static str,
    content: fn(Option<&Seen>) -> Value,
) -> Response {
    // As every stream of the API takes one.
    let place = match portal.app.streams().place() {
        Ok(place) => place,
        Err(error) => return failed(portal, operator, error),
    };
    let seen = (portal.console_feed.follow(), place, false);
    let news = streams::unfold(seen, move |(mut seen, place, is_told)| async move {
        if is_told {
            seen.changed().await.ok()?;
        }
        seen.wait_for(Option::is_some).await.ok()?;
        let now = content(seen.borrow_and_update().as_deref());
        Some((now, (seen, place, true)))
    });
    parts(portal, operator, template, news)
}

/// One event for each change, none for what changes nothing that is shown, and a last one when the browser is not signed in any more.
pub fn parts(
    portal: &Arc<Portal>,
    operator: &Operator,
    template: &'static str,
    contents: impl Stream<Item = Value> + Send + 'static,
) -> Response {
    let held = portal.access.open_stream(operator.caller());
    let revoked = streams::once(held.ended().clone().cancelled_owned()).map(|()| None);
    let frame = operator.frame("");
    let rendering = portal.clone();
    let parts = contents
        .map(move |content| Some(rendering.console.page(template, context! { ..frame.clone(), ..content })));
    let news: Pin<Box<dyn Stream<Item = Option<String>> + Send>> = Box::pin(streams::select(parts, revoked));
    let events = streams::unfold(Some((news, String::new(), held)), |state| async move {
        let (mut news, shown, held) = state?;
        loop {
            match news.next().await? {
                Some(part) if part == shown => {}
                Some(part) => {
                    let event = Event::default().event("part").data(&part);
                    return Some((Ok::<_, Infallible>(event), Some((news, part, held))));
                }
                None => return Some((Ok(Event::default().event("over").data("over")), None)),
            }
        }
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

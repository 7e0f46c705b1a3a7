//! The log of a business's worker: what there is, and with JavaScript each line that comes, whichever node has the worker.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse, Response, Sse, sse::Event},
};
use futures::{Stream, StreamExt};
use http::{HeaderMap, StatusCode};
use minijinja::context;
use roost_model::LogLevel;
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    business::{Part, business_page},
    language::{Language, of},
    live::keep_alive,
    log_lines::{KeptLines, kept_lines, line},
    problem::{failed, nothing_here},
    signed::{Member, Signed},
    state::Portal,
};
use crate::app::{Error, LogItem, LogLine, LogQuery};

const CALL: &str = "/roost.v1.WorkerInspectionService/ReadWorkerLog";
/// What a browser that asks again names: the id of the last event that it has got.
const LAST_EVENT: &str = "last-event-id";

#[derive(Deserialize)]
pub struct Chosen {
    #[serde(default)]
    level: Least,
    /// The time of the last line that the page shows; of none, the time of the page.
    #[serde(default)]
    after: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Least {
    #[default]
    Info,
    Warn,
}

impl From<Least> for LogLevel {
    fn from(least: Least) -> Self {
        match least {
            Least::Info => Self::Info,
            Least::Warn => Self::Warn,
        }
    }
}

pub async fn log(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path(tenant): Path<String>,
    Query(Chosen { level, .. }): Query<Chosen>,
    signed: Signed,
) -> Response {
    let Some(member) = signed.member_who_may(CALL, &tenant) else { return nothing_here(&portal, &headers) };
    let now = OffsetDateTime::now_utc();
    match kept_lines(&portal.app, &member.tenant, level.into()).await {
        Ok(KeptLines { lines, notices, last }) => {
            let after = rfc3339(last.unwrap_or(now));
            let level = if level == Least::Warn { "warn" } else { "info" };
            let about = context! { lines, notices, after, level };
            business_page(&portal, &headers, &member, Part::Log, "log.html", about, StatusCode::OK).await
        }
        Err(error) => failed(&portal, &headers, &error),
    }
}

/// The lines after those of the page.
pub async fn events(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path(tenant): Path<String>,
    Query(Chosen { level, after }): Query<Chosen>,
    signed: Signed,
) -> Response {
    let Some(member) = signed.member_who_may(CALL, &tenant) else { return nothing_here(&portal, &headers) };
    let after = headers.get(LAST_EVENT).and_then(|last| last.to_str().ok()).unwrap_or(&after);
    let Ok(after) = OffsetDateTime::parse(after, &Rfc3339) else { return nothing_here(&portal, &headers) };
    let query = LogQuery { lines: 0, since: Some(after + time::Duration::NANOSECOND), level: level.into() };
    match portal.app.follow_worker_log(&member.tenant, query).await {
        Ok(items) => {
            let events = told(portal, of(&headers), member, items);
            Sse::new(events).keep_alive(keep_alive()).into_response()
        }
        Err(error) => failed(&portal, &headers, &error),
    }
}

/// Ends with its stream; a page that was signed out is led away when it asks again.
fn told(
    portal: Arc<Portal>,
    language: Language,
    member: Member,
    items: impl Stream<Item = Result<LogItem, Error>> + Send + 'static,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    let items = portal.access.open_stream(member.caller()).while_it_counts(items);
    items.filter_map(move |item| {
        let event = match item {
            Ok(LogItem::Lines(lines)) => some(&portal, language, &lines),
            // Where the lines come from by now matters to whoever reads them by the API.
            Ok(LogItem::Notice(_)) | Err(_) => None,
        };
        async move { event.map(Ok) }
    })
}

fn some(portal: &Portal, language: Language, lines: &[LogLine]) -> Option<Event> {
    let last = lines.last()?;
    let lines: Vec<_> = lines.iter().map(line).collect();
    let text = portal.templates.page(language, "log_lines.html", context! { lines });
    Some(Event::default().id(rfc3339(last.time)).event("more").data(text))
}

fn rfc3339(at: OffsetDateTime) -> String {
    // None of ours is before the year 0 or after 9999.
    at.format(&Rfc3339).unwrap_or_default()
}

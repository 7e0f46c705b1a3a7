//! All of a chat as CSV, read a part at a time while it is sent, so that a long one takes no more memory than a short one.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, stream};
use http::{HeaderMap, header};
use roost_model::ids::TenantId;
use roost_store::{Direction, Line, LineState};
use time::format_description::well_known::Rfc3339;

use super::{bounds::CALL, view::state};
use crate::{
    app::{App, Error},
    portal::{
        problem::{failed, nothing_here},
        signed::Signed,
        state::Portal,
        table,
    },
};

/// Lines read at a time.
const PART: u32 = 500;
const HEAD: &str = "time,chat,direction,state,text,reason,by";

/// Why a table ends before its end: its reader sees the connection break.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    App(#[from] Error),
    #[error("a line cannot be written")]
    Line(#[from] csv::Error),
}

pub async fn export(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path((tenant, chat)): Path<(String, String)>,
    signed: Signed,
) -> Response {
    let Some(member) = signed.member_who_may(CALL, &tenant) else { return nothing_here(&portal, &headers) };
    // The first part is read before anything is told, so that what cannot be read is no table that is cut short.
    match portal.app.chat_lines(&member.tenant, &chat, None, PART).await {
        Ok(first) if first.is_empty() => nothing_here(&portal, &headers),
        Ok(first) => {
            let parts = parts(portal.app.clone(), member.tenant, chat, first);
            let about = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"conversation.csv\""),
            ];
            (about, Body::from_stream(parts)).into_response()
        }
        Err(error) => failed(&portal, &headers, &error),
    }
}

/// Newest first, as it is read.
fn parts(
    app: App,
    tenant: TenantId,
    chat: String,
    first: Vec<Line>,
) -> impl Stream<Item = Result<Bytes, ExportError>> {
    stream::try_unfold(Some((first, table::begun(HEAD))), move |part| {
        let (app, tenant, chat) = (app.clone(), tenant.clone(), chat.clone());
        async move {
            let Some((lines, begun)) = part else { return Ok(None) };
            let text = Bytes::from(table(begun, &lines)?);
            let next = match lines.last().filter(|_| lines.len() == PART as usize) {
                Some(last) => Some((app.chat_lines(&tenant, &chat, Some(last.id), PART).await?, Vec::new())),
                None => None,
            };
            Ok(Some((text, next)))
        }
    })
}

fn table(begun: Vec<u8>, lines: &[Line]) -> csv::Result<Vec<u8>> {
    table::written(begun, lines.iter().map(cells))
}

fn cells(line: &Line) -> Vec<String> {
    let reason = match &line.state {
        LineState::TooOld { reason }
        | LineState::Suppressed { reason }
        | LineState::Held { reason }
        | LineState::Dead { reason } => reason,
        LineState::Answered | LineState::Waiting | LineState::Sent | LineState::Sending => "",
    };
    let direction = match line.direction {
        Direction::In => "in",
        Direction::Out => "out",
    };
    let at = line.at.format(&Rfc3339).unwrap_or_default();
    let by = line.said_by.as_deref().unwrap_or_default();
    [&at, &line.chat, direction, state(&line.state), &line.body, reason, by].map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn row(body: &str, state: LineState) -> String {
        let line = Line {
            id: 1,
            chat: "255600000001@c.us".into(),
            direction: Direction::In,
            body: body.into(),
            at: datetime!(2026-11-30 12:00 UTC),
            state,
            said_by: None,
        };
        String::from_utf8(table(Vec::new(), &[line]).unwrap()).unwrap()
    }

    #[test]
    fn a_cell_is_text_whatever_a_customer_writes() {
        let before = "\"2026-11-30T12:00:00Z\",\"255600000001@c.us\",\"in\",\"answered\",";
        for (given, told) in [
            ("hello", "\"hello\""),
            ("a,\"b\"\nc", "\"a,\"\"b\"\"\nc\""),
            ("=1+1", "\"'=1+1\""),
            ("+2", "\"'+2\""),
            ("-2", "\"'-2\""),
            ("@x", "\"'@x\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            ("a=1", "\"a=1\""),
        ] {
            assert_eq!(row(given, LineState::Answered), format!("{before}{told},\"\",\"\"\r\n"));
        }
    }

    #[test]
    fn a_line_has_its_reason() {
        let told = row("hi", LineState::Suppressed { reason: "10 replies".into() });
        assert!(told.ends_with("\"suppressed\",\"hi\",\"10 replies\",\"\"\r\n"), "{told}");
    }
}

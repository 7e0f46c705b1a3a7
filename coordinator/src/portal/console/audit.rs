//! The audit: a page at a time, and all of it as a table for other programs.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, stream};
use http::header;
use minijinja::{Value, context};
use roost_model::ids::TenantId;
use roost_store::{AuditFilter, AuditRecord};
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;

use super::{
    answer::{failed, nothing, page},
    operator::Operator,
};
use crate::{
    app::{App, Error},
    portal::{moment::Moment, state::Portal, table},
};

const CALL: &str = "/roost.v1.AccessService/ListAuditEntries";
const PAGE: u32 = 100;
/// Entries of the table that are read at a time.
const PART: u32 = 500;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    caller: String,
    tenant: String,
    before: Option<i64>,
}

impl Asked {
    fn filter(&self) -> AuditFilter {
        let caller = Some(self.caller.trim().to_owned()).filter(|caller| !caller.is_empty());
        AuditFilter { tenant: TenantId::new(self.tenant.trim()).ok(), caller }
    }
}

/// Why a table ends before its end: its reader sees the connection break.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    App(#[from] Error),
    #[error("an entry cannot be written")]
    Entry(#[from] csv::Error),
}

pub async fn list(
    State(portal): State<Arc<Portal>>,
    Query(asked): Query<Asked>,
    operator: Operator,
) -> Response {
    if !operator.may(CALL) {
        return nothing(&portal, &operator);
    }
    match portal.app.list_audit(&asked.filter(), asked.before, PAGE + 1).await {
        Ok(mut entries) => {
            let has_more = entries.len() > PAGE as usize;
            entries.truncate(PAGE as usize);
            let next = entries.last().filter(|_| has_more).map(|last| last.id);
            let entries: Vec<Value> = entries.iter().map(row).collect();
            let content = context! { caller => asked.caller, tenant => asked.tenant, entries, next };
            page(&portal, &operator, "audit", "audit.html", content)
        }
        Err(error) => failed(&portal, &operator, error),
    }
}

fn row(record: &AuditRecord) -> Value {
    let entry = &record.entry;
    let node = entry.node.as_ref().map(ToString::to_string);
    let about = entry.tenant.as_ref().map(ToString::to_string).or(node);
    context! {
        at => Moment::shown(record.at),
        caller => entry.caller.as_str(),
        call => entry.call.as_str(),
        about,
        result => entry.result.as_str(),
        origin => entry.origin.as_str(),
        remark => remark(record),
    }
}

fn remark(record: &AuditRecord) -> String {
    let said = [record.entry.requested_by.as_str(), record.entry.reason.as_str()];
    said.into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(": ")
}

pub async fn export(
    State(portal): State<Arc<Portal>>,
    Query(asked): Query<Asked>,
    operator: Operator,
) -> Response {
    if !operator.may(CALL) {
        return nothing(&portal, &operator);
    }
    // The first part is read before anything is told, so that what cannot be read is no table that is cut short.
    match portal.app.list_audit(&asked.filter(), None, PART).await {
        Ok(first) => {
            let about = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""),
            ];
            (about, Body::from_stream(parts(portal.app.clone(), asked.filter(), first))).into_response()
        }
        Err(error) => failed(&portal, &operator, error),
    }
}

/// Newest first, as it is read.
fn parts(
    app: App,
    filter: AuditFilter,
    first: Vec<AuditRecord>,
) -> impl Stream<Item = Result<Bytes, ExportError>> {
    let head = "time,caller,role,call,tenant,node,origin,result,remark";
    stream::try_unfold(Some((first, table::begun(head))), move |part| {
        let (app, filter) = (app.clone(), filter.clone());
        async move {
            let Some((entries, begun)) = part else { return Ok(None) };
            let rows = entries.iter().map(cells);
            let text = Bytes::from(table::written(begun, rows)?);
            let next = match entries.last().filter(|_| entries.len() == PART as usize) {
                Some(last) => Some((app.list_audit(&filter, Some(last.id), PART).await?, Vec::new())),
                None => None,
            };
            Ok(Some((text, next)))
        }
    })
}

fn cells(record: &AuditRecord) -> Vec<String> {
    let entry = &record.entry;
    let of = |id: Option<String>| id.unwrap_or_default();
    vec![
        record.at.format(&Rfc3339).unwrap_or_default(),
        entry.caller.clone(),
        entry.role.as_str().to_owned(),
        entry.call.clone(),
        of(entry.tenant.as_ref().map(ToString::to_string)),
        of(entry.node.as_ref().map(ToString::to_string)),
        entry.origin.clone(),
        entry.result.clone(),
        remark(record),
    ]
}

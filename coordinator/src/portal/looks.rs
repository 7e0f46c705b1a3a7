//! Who of those who run the cluster has looked at a business's conversations, and why.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use http::{HeaderMap, StatusCode};
use minijinja::{Value, context};
use roost_store::AuditRecord;
use serde::Deserialize;

use super::{
    business::{Part, business_page},
    moment::Moment,
    problem::{failed, nothing_here},
    signed::Signed,
    state::Portal,
};

const CALL: &str = "/roost.v1.AccessService/ListLooks";
const PAGE: u32 = 50;

#[derive(Deserialize)]
pub struct Asked {
    /// The look before which they are read.
    before: Option<i64>,
}

pub async fn list(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path(tenant): Path<String>,
    Query(Asked { before }): Query<Asked>,
    signed: Signed,
) -> Response {
    let Some(member) = signed.member_who_may(CALL, &tenant) else { return nothing_here(&portal, &headers) };
    match portal.app.list_looks(&member.tenant, before, PAGE + 1).await {
        Ok(mut looks) => {
            let has_more = looks.len() > PAGE as usize;
            looks.truncate(PAGE as usize);
            let older = looks.last().filter(|_| has_more).map(|last| last.id);
            let looks: Vec<Value> = looks.iter().map(row).collect();
            let about = context! { looks, older };
            business_page(&portal, &headers, &member, Part::Looks, "looks.html", about, StatusCode::OK).await
        }
        Err(error) => failed(&portal, &headers, &error),
    }
}

fn row(AuditRecord { at, entry, .. }: &AuditRecord) -> Value {
    // As the catalogues name it, after `look-`.
    let at_what = match entry.call.as_str() {
        "WorkerInspectionService/TakeScreenshot" => "page",
        "MessageService/ListDeadLetters" | "MessageService/GetDeadLetter" => "given-up",
        _ => "messages",
    };
    context! {
        at => Moment::shown(*at),
        who => entry.caller.as_str(),
        at_what,
        at_all => entry.tenant.is_none(),
        reason => entry.reason.as_str(),
    }
}

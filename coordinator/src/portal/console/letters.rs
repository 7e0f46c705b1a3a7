//! Messages and replies that were given up. They show what customers wrote, so each look at them is in the audit.

use std::sync::Arc;

use axum::{
    extract::{ConnectInfo, Query, State},
    response::Response,
};
use minijinja::{Value, context};
use roost_model::ids::TenantId;
use roost_store::{DeadLetter, DeadLetterFilter, DeadLetterKey, Direction};
use serde::Deserialize;

use super::{
    answer::{failed, nothing, page},
    operator::Operator,
    orders::look,
};
use crate::{
    http::peer::Peer,
    portal::{moment::Moment, state::Portal},
};

/// For letters of every tenant, which a viewer does not see.
const CALL: &str = "/roost.v1.MessageService/ListDeadLetters";
const PAGE: u32 = 50;
const REASON: usize = 200;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    tenant: String,
    after: String,
    /// Why somebody looks, for the business.
    reason: String,
}

pub async fn list(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    Query(asked): Query<Asked>,
    operator: Operator,
) -> Response {
    if !operator.may(CALL) {
        return nothing(&portal, &operator);
    }
    let tenant = TenantId::new(asked.tenant.trim()).ok();
    let reason: String = asked.reason.trim().chars().take(REASON).collect();
    if reason.is_empty() {
        let none = [0; 0];
        let content = context! { tenant => asked.tenant.trim(), reason, letters => none, next => (), may_redrive => false };
        return page(&portal, &operator, "letters", "letters.html", content);
    }
    if let Err(error) = look(&portal, &operator, CALL, tenant.as_ref(), origin, &reason).await {
        return failed(&portal, &operator, error);
    }
    let filter = DeadLetterFilter { tenant, ..DeadLetterFilter::default() };
    match portal.app.list_dead_letters(&filter, after(&asked.after), PAGE + 1).await {
        Ok(mut letters) => {
            let has_more = letters.len() > PAGE as usize;
            letters.truncate(PAGE as usize);
            let next = letters.last().filter(|_| has_more).map(|last| format!("{} {}", last.tenant, last.id));
            let letters: Vec<Value> = letters.iter().map(row).collect();
            let may_redrive = operator.may("/roost.v1.MessageService/RedriveDeadLetters");
            let content = context! { tenant => asked.tenant.trim(), reason, letters, next, may_redrive };
            page(&portal, &operator, "letters", "letters.html", content)
        }
        Err(error) => failed(&portal, &operator, error),
    }
}

fn after(given: &str) -> Option<DeadLetterKey> {
    let (tenant, id) = given.split_once(' ')?;
    Some((TenantId::new(tenant).ok()?, id.parse().ok()?))
}

fn row(letter: &DeadLetter) -> Value {
    let direction = match letter.id.direction {
        Direction::In => "in",
        Direction::Out => "out",
    };
    context! {
        id => letter.id.to_string(),
        tenant => letter.tenant.as_str(),
        direction,
        chat => letter.chat.as_str(),
        body => letter.body.as_str(),
        reason => letter.reason.as_str(),
        attempts => letter.attempts,
        redrivable => letter.redrivable,
        at => Moment::shown(letter.created_at),
    }
}

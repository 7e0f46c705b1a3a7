//! What a business orders: the same calls as those of the API, checked by the same table and written in the same audit.

use std::sync::Arc;

use axum::{
    Form,
    extract::{ConnectInfo, Path, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode};
use roost_store::StoreError;
use serde::Deserialize;

use super::{
    language::of,
    page::business,
    problem::nothing_here,
    signed::{Member, Signed},
    state::Portal,
    view::{Order, Status},
};
use crate::{
    app::{Error, NoPairing, PairingCode, Refusal},
    http::{
        ordered::{ordered, told_as},
        peer::Peer,
    },
};

#[derive(Deserialize)]
pub struct Given {
    order: Order,
    form_token: String,
}

pub async fn give(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    headers: HeaderMap,
    Path(tenant): Path<String>,
    signed: Signed,
    Form(given): Form<Given>,
) -> Response {
    let Some(member) = signed.member_of(&tenant) else { return nothing_here(&portal, &headers) };
    if given.form_token != member.form_token {
        let told = portal.templates.text(of(&headers), "form-old");
        return business(&portal, &headers, StatusCode::FORBIDDEN, &member, Some(told), |card| card).await;
    }
    let order = carry_out(&portal, &member, given.order);
    let told = |error: &Error| {
        let detail = [("detail", detail(error).into())];
        portal.templates.text_with(of(&headers), why_not(error), &detail)
    };
    match ordered(member.asks(&portal, given.order.call(), origin), order, told_as(told)).await {
        None => nothing_here(&portal, &headers),
        Some(Ok(shown)) => done(&portal, &headers, &member, shown).await,
        Some(Err(told)) => {
            business(&portal, &headers, StatusCode::CONFLICT, &member, Some(told), |card| card).await
        }
    }
}

/// What an order has made, to be shown this once.
enum Shown {
    Code(PairingCode),
    Link(String),
}

/// Loading the page again orders nothing again.
async fn done(portal: &Portal, headers: &HeaderMap, member: &Member, shown: Option<Shown>) -> Response {
    let Some(shown) = shown else {
        return Redirect::to(&format!("/t/{}", member.tenant)).into_response();
    };
    let with = |card: Status| match shown {
        Shown::Code(code) => card.with_code(grouped(&code.text), code.phone),
        Shown::Link(link) => card.with_scan_link(link),
    };
    business(portal, headers, StatusCode::OK, member, None, with).await
}

async fn carry_out(portal: &Portal, member: &Member, order: Order) -> Result<Option<Shown>, Error> {
    let (app, tenant) = (&portal.app, &member.tenant);
    match order {
        Order::Pause => app.stop_worker(tenant).await.map(|_| None),
        Order::Resume => app.start_worker(tenant).await.map(|_| None),
        Order::Restart => app.restart_worker(tenant).await.map(|_| None),
        Order::ShowCodes => app.resume_linking(tenant).await.map(|_| None),
        Order::LogOut => app.logout(tenant).await.map(|_| None),
        Order::PairingCode => app.pairing_code(tenant, None).await.map(|code| Some(Shown::Code(code))),
        Order::ScanLink => {
            let (secret, _) = app.create_scan_link(tenant, member.caller()).await?;
            Ok(Some(Shown::Link(portal.address.scan_link(&secret))))
        }
    }
}

/// What a business is told of it, by its key in the catalogues.
fn why_not(error: &Error) -> &'static str {
    match error {
        Error::Refused(Refusal::NoPairing { why, .. }) => match why {
            NoPairing::Stopped => "pairing-paused",
            NoPairing::Linked => "pairing-linked",
            NoPairing::ByWhatsapp { .. } => "pairing-by-whatsapp",
            NoPairing::Overdue | NoPairing::Overtaken | NoPairing::OtherPhone { .. } => "pairing-overdue",
        },
        Error::Store(StoreError::TooManyPairingCodes { .. }) => "pairing-too-often",
        Error::Store(StoreError::NotConnected { .. }) => "order-not-linked",
        Error::Store(StoreError::Unavailable { .. }) | Error::NotMigrated(_) => "away",
        _ => "order-refused",
    }
}

/// In WhatsApp's words.
fn detail(error: &Error) -> String {
    match error {
        Error::Refused(Refusal::NoPairing { why: NoPairing::ByWhatsapp { reason }, .. }) => reason.clone(),
        _ => String::new(),
    }
}

/// As the phone asks for it: in two halves.
fn grouped(code: &str) -> String {
    let half = code.len() / 2;
    match (code.get(..half), code.get(half..)) {
        (Some(first), Some(second)) if code.len() == 8 => format!("{first} {second}"),
        _ => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_shown_as_the_phone_asks_for_it() {
        assert_eq!(grouped("ABCD1234"), "ABCD 1234");
        assert_eq!(grouped("ABC"), "ABC");
    }
}

//! What a business orders: the same calls as those of the API, checked by the same table and written in the same audit.

use std::sync::Arc;

use axum::{
    Form,
    extract::{ConnectInfo, Path, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode};
use roost_proto::error::ApiError;
use roost_store::AuditEntry;
use serde::Deserialize;

use super::{
    Portal,
    language::of,
    page::{business, nothing_here},
    signed::{Member, Signed},
    view::Order,
};
use crate::{
    app::{Error, PairingCode, access::calls},
    grpc::audit_trail,
    http::Peer,
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
    let order = given.order;
    let Some(call) = calls::find(order.call()) else { return nothing_here(&portal, &headers) };
    let entry = AuditEntry { tenant: Some(member.tenant.clone()), ..audit_trail::entry(call, member.caller(), origin) };
    if !member.may(order.call()) {
        write(&portal, AuditEntry { result: "PERMISSION_DENIED".to_owned(), ..entry }).await;
        return nothing_here(&portal, &headers);
    }
    let carried_out = carry_out(&portal, &member, order).await;
    let result = match &carried_out {
        Ok(_) => "OK".to_owned(),
        Err((code, _)) => audit_trail::result(*code),
    };
    write(&portal, AuditEntry { result, ..entry }).await;
    match carried_out {
        // Loading the page again orders nothing again.
        Ok(None) => Redirect::to(&format!("/t/{}", member.tenant)).into_response(),
        Ok(Some(code)) => {
            let shown = |mut card: super::view::Status| {
                card.code = Some(grouped(&code.text));
                card.phone = Some(code.phone);
                card
            };
            business(&portal, &headers, StatusCode::OK, &member, None, shown).await
        }
        Err((_, why)) => {
            let told = portal.templates.text_with_words(of(&headers), "order-refused", "why", &why);
            business(&portal, &headers, StatusCode::CONFLICT, &member, Some(told), |card| card).await
        }
    }
}

/// Why not, as the API would say it.
async fn carry_out(
    portal: &Portal,
    member: &Member,
    order: Order,
) -> Result<Option<PairingCode>, (tonic::Code, String)> {
    let (app, tenant) = (&portal.app, &member.tenant);
    let done = match order {
        Order::Pause => app.stop_worker(tenant).await.map(|_| None),
        Order::Resume => app.start_worker(tenant).await.map(|_| None),
        Order::Restart => app.restart_worker(tenant).await.map(|_| None),
        Order::ShowCodes => app.resume_linking(tenant).await.map(|_| None),
        Order::LogOut => app.logout(tenant).await.map(|_| None),
        Order::PairingCode => app.pairing_code(tenant, None).await.map(Some),
    };
    done.map_err(|error: Error| {
        let error = ApiError::from(error);
        (error.code.grpc(), error.message)
    })
}

/// As the phone asks for it: in two halves.
fn grouped(code: &str) -> String {
    let half = code.len() / 2;
    match (code.get(..half), code.get(half..)) {
        (Some(first), Some(second)) if code.len() == 8 => format!("{first} {second}"),
        _ => code.to_owned(),
    }
}

async fn write(portal: &Portal, entry: AuditEntry) {
    if let Err(error) = portal.access.audit(&entry).await {
        tracing::error!(%error, ?entry, "an order of the portal is not in the audit");
    }
}

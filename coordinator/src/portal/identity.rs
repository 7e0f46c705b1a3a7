//! Signing in by a provider of OpenID Connect: the way there, the way back, and a page on which somebody has his identity bound.
//!
//! All of it is links that are followed, for a policy that lets forms be sent here alone lets none of them end at the provider. The way there changes
//! nothing but for the browser that goes; one that is to bind an identity begins at a page of this server, so that no other site can have a
//! visitor's bound to what it chose.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, Path, Query, State},
    response::{AppendHeaders, Html, IntoResponse, Redirect, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use minijinja::context;
use roost_model::causes;
use serde::Deserialize;

use super::{
    language::of,
    problem::{failed, nothing_here},
    sign_in::next_of,
    signed::{Signed, cookie, cookie_named, form_token, set_cookie},
    state::Portal,
};
use crate::{
    app::people::{Arrived, NotByIdentity, Returned, SentAway},
    http::peer::Peer,
};

/// What a browser that is at the provider keeps. Not of the name by which it is signed in: whoever is stays so meanwhile.
const COOKIE: &str = "__Host-roost-oidc";

/// As a provider sends it back.
#[derive(Deserialize)]
pub struct Answer {
    #[serde(default)]
    state: String,
    code: Option<String>,
    iss: Option<String>,
}

pub async fn go(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> Response {
    let sent = portal.sign_ins.go_to_provider(origin).await;
    away(&portal, &headers, sent)
}

pub async fn go_with_link(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    headers: HeaderMap,
    Path(link): Path<String>,
) -> Response {
    let is_good = portal.sign_ins.link(&link).await.is_ok();
    with_link(&portal, &headers, &link, is_good, "/welcome", origin).await
}

pub async fn go_with_user_link(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    headers: HeaderMap,
    Path(link): Path<String>,
) -> Response {
    let is_good = portal.sign_ins.user_link(&link).await.is_ok();
    with_link(&portal, &headers, &link, is_good, "/console/welcome", origin).await
}

async fn with_link(
    portal: &Portal,
    headers: &HeaderMap,
    link: &str,
    is_good: bool,
    page: &str,
    origin: IpAddr,
) -> Response {
    if !is_good || !is_from_own_page(headers) {
        // The page says what the link is for, or why it is for nothing. In a path a secret has letters, digits, '-' and '_'.
        let link: String = link.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
        return Redirect::to(&format!("{page}/{link}")).into_response();
    }
    let sent = portal.sign_ins.go_to_provider_with_link(link, origin).await;
    away(portal, headers, sent)
}

/// Whether this browser's user has one here, and how to.
pub async fn page(State(portal): State<Arc<Portal>>, headers: HeaderMap, signed: Signed) -> Response {
    if portal.sign_ins.provider_name().is_none() {
        return nothing_here(&portal, &headers);
    }
    match portal.sign_ins.has_identity(&signed.cookie).await {
        Ok(is_bound) => {
            let form_token = form_token(&signed.cookie);
            let context = context! { is_bound, form_token, email => signed.user.email };
            Html(portal.templates.page(of(&headers), "identity.html", context)).into_response()
        }
        Err(error) => failed(&portal, &headers, &error),
    }
}

pub async fn go_to_bind(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    headers: HeaderMap,
    signed: Signed,
) -> Response {
    if !is_from_own_page(&headers) {
        return Redirect::to("/identity").into_response();
    }
    let sent = portal.sign_ins.go_to_provider_to_bind(&signed.cookie, origin).await;
    away(&portal, &headers, sent)
}

pub async fn come_back(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Response {
    let returned = Returned {
        cookie: cookie_named(&headers, COOKIE),
        session: cookie(&headers),
        state: &answer.state,
        code: answer.code.as_deref(),
        issuer: answer.iss.as_deref(),
    };
    let over = (header::SET_COOKIE, kept(""));
    match portal.sign_ins.come_back(returned, origin).await {
        Ok(Arrived::SignedIn(signed)) => {
            let cookies = [(header::SET_COOKIE, set_cookie(Some(&signed.cookie))), over];
            (AppendHeaders(cookies), Redirect::to(next_of(signed.next))).into_response()
        }
        Ok(Arrived::Bound) => (AppendHeaders([over]), Redirect::to("/identity")).into_response(),
        Err(why) => (AppendHeaders([over]), told(&portal, &headers, why)).into_response(),
    }
}

fn away(portal: &Portal, headers: &HeaderMap, sent: Result<SentAway, NotByIdentity>) -> Response {
    match sent {
        Ok(SentAway { cookie, to }) => {
            ([(header::SET_COOKIE, kept(&cookie))], Redirect::to(&to)).into_response()
        }
        Err(why) => told(portal, headers, why),
    }
}

/// Empty: no more. It comes back from another site by a link that is followed, which Lax allows.
fn kept(secret: &str) -> HeaderValue {
    let age = if secret.is_empty() { 0 } else { roost_store::IDENTITY_SIGN_IN_WITHIN.as_secs() };
    let cookie = format!("{COOKIE}={secret}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={age}");
    // A secret of ours has no other characters.
    HeaderValue::from_str(&cookie).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// As a browser says of every link that is followed.
fn is_from_own_page(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin")
}

fn told(portal: &Portal, headers: &HeaderMap, why: NotByIdentity) -> Response {
    let (status, key) = match why {
        NotByIdentity::NoProvider => return nothing_here(portal, headers),
        NotByIdentity::TooOften { wait } => {
            let minutes = [("minutes", wait.as_secs().div_ceil(60).max(1).into())];
            let told = portal.templates.text_with(of(headers), "identity-too-often", &minutes);
            return not_signed_in(portal, headers, StatusCode::TOO_MANY_REQUESTS, &told);
        }
        NotByIdentity::Away => (StatusCode::SERVICE_UNAVAILABLE, "identity-away"),
        NotByIdentity::Refused => (StatusCode::FORBIDDEN, "identity-refused"),
        NotByIdentity::Over => (StatusCode::FORBIDDEN, "identity-over"),
        NotByIdentity::Unknown => (StatusCode::FORBIDDEN, "identity-unknown"),
        NotByIdentity::OfAnother => (StatusCode::CONFLICT, "identity-of-another"),
        NotByIdentity::HasAnother => (StatusCode::CONFLICT, "identity-has-another"),
        NotByIdentity::NotTheInvited => (StatusCode::FORBIDDEN, "identity-not-invited"),
        NotByIdentity::LinkOver => (StatusCode::GONE, "link-over"),
        NotByIdentity::SignedOut => (StatusCode::FORBIDDEN, "identity-signed-out"),
        NotByIdentity::Failed(error) => {
            tracing::warn!(error = %causes(&error), "nobody can sign in by the provider");
            (StatusCode::SERVICE_UNAVAILABLE, "away")
        }
    };
    not_signed_in(portal, headers, status, &portal.templates.text(of(headers), key))
}

fn not_signed_in(portal: &Portal, headers: &HeaderMap, status: StatusCode, told: &str) -> Response {
    let language = of(headers);
    let title = portal.templates.text(language, "sign-in");
    let page = portal.templates.page(language, "problem.html", context! { title, told });
    (status, Html(page)).into_response()
}

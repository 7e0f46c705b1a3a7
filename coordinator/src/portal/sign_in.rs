//! Signing in and out, and the links by which people come in.

use std::sync::Arc;

use axum::{
    Form,
    extract::{ConnectInfo, Path, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode, header};
use minijinja::context;
use roost_model::causes;
use roost_store::Purpose;
use serde::Deserialize;

use super::{
    language::of,
    problem::failed,
    signed::{cookie, form_token, set_cookie},
    state::Portal,
};
use crate::{
    app::people::{Next, NotSignedIn, PasswordProblem, SignedIn},
    http::peer::Peer,
};

#[derive(Deserialize)]
pub struct SignIn {
    email: String,
    password: String,
}

#[derive(Deserialize)]
pub struct Welcomed {
    pub password: String,
    /// Only of a password that is chosen.
    pub again: Option<String>,
}

#[derive(Deserialize)]
pub struct SignOut {
    form_token: String,
}

pub async fn form(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    sign_in_page(&portal, &headers, StatusCode::OK, "", None)
}

pub async fn sign_in(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    headers: HeaderMap,
    Form(given): Form<SignIn>,
) -> Response {
    match portal.sign_ins.sign_in(&given.email, &given.password, origin).await {
        Ok(signed) => signed_in(&signed),
        Err(why) => {
            let (status, told) = told(&portal, &headers, why);
            sign_in_page(&portal, &headers, status, &given.email, Some(told))
        }
    }
}

pub async fn sign_out(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Form(given): Form<SignOut>,
) -> Response {
    if let Some(cookie) = cookie(&headers).filter(|cookie| form_token(cookie) == given.form_token)
        && let Err(error) = portal.sign_ins.sign_out(cookie).await
    {
        return failed(&portal, &headers, &error);
    }
    ([(header::SET_COOKIE, set_cookie(None))], Redirect::to("/sign-in")).into_response()
}

pub async fn welcome(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path(link): Path<String>,
) -> Response {
    welcome_page(&portal, &headers, &link, StatusCode::OK, None).await
}

pub async fn use_link(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    headers: HeaderMap,
    Path(link): Path<String>,
    Form(given): Form<Welcomed>,
) -> Response {
    if given.again.is_some_and(|again| again != given.password) {
        let told = portal.templates.text(of(&headers), "password-differs");
        return welcome_page(&portal, &headers, &link, StatusCode::BAD_REQUEST, Some(told)).await;
    }
    match portal.sign_ins.use_link(&link, &given.password, origin).await {
        Ok(signed) => signed_in(&signed),
        Err(why) => {
            let (status, told) = told(&portal, &headers, why);
            welcome_page(&portal, &headers, &link, status, Some(told)).await
        }
    }
}

pub fn signed_in(signed: &SignedIn) -> Response {
    let cookie = [(header::SET_COOKIE, set_cookie(Some(&signed.cookie)))];
    (cookie, Redirect::to(next_of(signed.next))).into_response()
}

pub fn next_of(next: Next) -> &'static str {
    match next {
        Next::Home => "/",
        Next::Code => "/console/code",
        Next::Enrolment => "/console/phone",
    }
}

fn told(portal: &Portal, headers: &HeaderMap, why: NotSignedIn) -> (StatusCode, String) {
    let text = |key| portal.templates.text(of(headers), key);
    match why {
        NotSignedIn::WrongAddressOrPassword => (StatusCode::FORBIDDEN, text("sign-in-wrong")),
        NotSignedIn::TooOften { wait } => {
            let minutes = wait.as_secs().div_ceil(60).max(1);
            let told =
                portal.templates.text_with(of(headers), "sign-in-too-often", &[("minutes", minutes.into())]);
            (StatusCode::TOO_MANY_REQUESTS, told)
        }
        NotSignedIn::LinkOver => (StatusCode::GONE, text("link-over")),
        NotSignedIn::Password(problem) => {
            let key = match problem {
                PasswordProblem::TooShort => "password-too-short",
                PasswordProblem::TooLong => "password-too-long",
                PasswordProblem::IsTheAddress => "password-is-address",
                PasswordProblem::Common => "password-common",
            };
            (StatusCode::BAD_REQUEST, text(key))
        }
        NotSignedIn::NoSecondFactor => (StatusCode::FORBIDDEN, text("sign-in-no-phone")),
        // The console's own page tells of codes.
        NotSignedIn::WrongCode | NotSignedIn::NotHalfSignedIn => {
            (StatusCode::FORBIDDEN, text("sign-in-wrong"))
        }
        NotSignedIn::NoSecretsKey => (StatusCode::SERVICE_UNAVAILABLE, text("away")),
        NotSignedIn::NotHashed => {
            tracing::error!("a password cannot be hashed: the machine gives no random bytes");
            (StatusCode::SERVICE_UNAVAILABLE, text("away"))
        }
        NotSignedIn::Failed(error) => {
            tracing::warn!(error = %causes(&error), "nobody can sign in");
            (StatusCode::SERVICE_UNAVAILABLE, text("away"))
        }
    }
}

fn sign_in_page(
    portal: &Portal,
    headers: &HeaderMap,
    status: StatusCode,
    email: &str,
    problem: Option<String>,
) -> Response {
    let page = portal.templates.page(of(headers), "sign_in.html", context! { email, problem });
    (status, Html(page)).into_response()
}

/// With what the link is for, as things are now.
async fn welcome_page(
    portal: &Portal,
    headers: &HeaderMap,
    link: &str,
    status: StatusCode,
    problem: Option<String>,
) -> Response {
    let about = match portal.sign_ins.link(link).await {
        Ok(about) => about,
        Err(why) => {
            let (status, told) = told(portal, headers, why);
            let page = portal.templates.page(
                of(headers),
                "welcome.html",
                context! { problem => told, purpose => () },
            );
            return (status, Html(page)).into_response();
        }
    };
    let (purpose, tenant) = match about.purpose {
        Purpose::SignUp { tenant } => ("sign-up", tenant.map(String::from)),
        Purpose::Join { tenant } => ("join", tenant.map(String::from)),
        Purpose::Reset => ("reset", None),
    };
    let here = format!("/welcome/{link}");
    let context = context! { problem, purpose, tenant, here, email => about.email };
    (status, Html(portal.templates.page(of(headers), "welcome.html", context))).into_response()
}

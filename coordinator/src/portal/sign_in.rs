//! Signing in and out, and the link by which a password is set.

use std::sync::Arc;

use axum::{
    Form,
    extract::{ConnectInfo, Path, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode, header};
use minijinja::context;
use serde::Deserialize;

use super::{
    Portal,
    language::of,
    page,
    signed::{Signed, cookie, form_token, set_cookie},
};
use crate::{app::people::NotSignedIn, http::Peer};

#[derive(Deserialize)]
pub struct SignIn {
    email: String,
    password: String,
}

#[derive(Deserialize)]
pub struct NewPassword {
    password: String,
    again: String,
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
        Ok(secret) => signed_in(&secret),
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
        return page::failed(&portal, &headers, error);
    }
    ([(header::SET_COOKIE, set_cookie(None))], Redirect::to("/sign-in")).into_response()
}

pub async fn welcome(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path(link): Path<String>,
) -> Response {
    match portal.sign_ins.link_owner(&link).await {
        Ok(owner) => welcome_page(&portal, &headers, StatusCode::OK, Some(&owner), None),
        Err(why) => {
            let (status, told) = told(&portal, &headers, why);
            welcome_page(&portal, &headers, status, None, Some(told))
        }
    }
}

pub async fn set_password(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path(link): Path<String>,
    Form(given): Form<NewPassword>,
) -> Response {
    let owner = portal.sign_ins.link_owner(&link).await.ok();
    if given.password != given.again {
        let told = portal.templates.text(of(&headers), "password-differs");
        return welcome_page(&portal, &headers, StatusCode::BAD_REQUEST, owner.as_deref(), Some(told));
    }
    match portal.sign_ins.set_password(&link, &given.password).await {
        Ok(secret) => signed_in(&secret),
        Err(why) => {
            let (status, told) = told(&portal, &headers, why);
            welcome_page(&portal, &headers, status, owner.as_deref(), Some(told))
        }
    }
}

fn signed_in(secret: &str) -> Response {
    ([(header::SET_COOKIE, set_cookie(Some(secret)))], Redirect::to("/")).into_response()
}

fn told(portal: &Portal, headers: &HeaderMap, why: NotSignedIn) -> (StatusCode, String) {
    let text = |key| portal.templates.text(of(headers), key);
    match why {
        NotSignedIn::WrongAddressOrPassword => (StatusCode::FORBIDDEN, text("sign-in-wrong")),
        NotSignedIn::TooOften { wait } => {
            let minutes = wait.as_secs().div_ceil(60).max(1);
            let told = portal.templates.text_with(of(headers), "sign-in-too-often", "minutes", minutes);
            (StatusCode::TOO_MANY_REQUESTS, told)
        }
        NotSignedIn::LinkOver => (StatusCode::GONE, text("link-over")),
        NotSignedIn::Password(problem) => {
            use crate::app::people::PasswordProblem as Problem;
            let key = match problem {
                Problem::TooShort => "password-too-short",
                Problem::TooLong => "password-too-long",
                Problem::IsTheAddress => "password-is-address",
                Problem::Common => "password-common",
            };
            (StatusCode::BAD_REQUEST, text(key))
        }
        NotSignedIn::Failed(error) => {
            tracing::warn!(%error, "nobody can sign in");
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

fn welcome_page(
    portal: &Portal,
    headers: &HeaderMap,
    status: StatusCode,
    owner: Option<&str>,
    problem: Option<String>,
) -> Response {
    let page = portal.templates.page(of(headers), "welcome.html", context! { owner, problem });
    (status, Html(page)).into_response()
}

impl Signed {
    pub fn form_token(&self) -> String {
        form_token(&self.cookie)
    }
}

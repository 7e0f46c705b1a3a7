//! Coming in: by a link, with a phone that makes codes, and by a code after the password.

use std::sync::Arc;

use axum::{
    Form,
    extract::{ConnectInfo, Path, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, StatusCode, header};
use minijinja::context;
use qrcode::{QrCode, render::svg};
use roost_model::causes;
use roost_store::UserLinkPurpose;
use serde::Deserialize;

use crate::{
    app::people::{Enrolment, NotSignedIn, PasswordProblem},
    http::peer::Peer,
    portal::{
        sign_in::{Welcomed, signed_in},
        signed::{cookie, set_cookie},
        state::Portal,
    },
};

/// Units of the picture's side.
const PICTURE: u32 = 264;

#[derive(Deserialize)]
pub struct Code {
    code: String,
}

pub async fn welcome(State(portal): State<Arc<Portal>>, Path(link): Path<String>) -> Response {
    welcome_page(&portal, &link, StatusCode::OK, None).await
}

pub async fn use_link(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    Path(link): Path<String>,
    Form(given): Form<Welcomed>,
) -> Response {
    if given.again.is_some_and(|again| again != given.password) {
        let told = portal.console.text("password-differs");
        return welcome_page(&portal, &link, StatusCode::BAD_REQUEST, Some(told)).await;
    }
    match portal.sign_ins.use_user_link(&link, &given.password, origin).await {
        Ok(signed) => signed_in(&signed),
        Err(why) => {
            let (status, told) = told(&portal, why);
            welcome_page(&portal, &link, status, Some(told)).await
        }
    }
}

/// What the phone is to take in.
pub async fn phone(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    phone_page(&portal, &headers, StatusCode::OK, None).await
}

pub async fn enrol(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    headers: HeaderMap,
    Form(given): Form<Code>,
) -> Response {
    match take(&portal, &headers, &given, origin).await {
        Ok(signed) => signed,
        Err((status, told)) => phone_page(&portal, &headers, status, Some(told)).await,
    }
}

pub async fn code(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    if cookie(&headers).is_none() {
        return to_sign_in();
    }
    code_page(&portal, StatusCode::OK, None)
}

pub async fn take_code(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    headers: HeaderMap,
    Form(given): Form<Code>,
) -> Response {
    match take(&portal, &headers, &given, origin).await {
        Ok(signed) => signed,
        Err((status, told)) => code_page(&portal, status, Some(told)),
    }
}

/// What is told where the code does not count.
async fn take(
    portal: &Portal,
    headers: &HeaderMap,
    given: &Code,
    origin: std::net::IpAddr,
) -> Result<Response, (StatusCode, String)> {
    let Some(half) = cookie(headers) else { return Ok(to_sign_in()) };
    match portal.sign_ins.take_code(half, &given.code, origin).await {
        Ok(secret) => {
            let cookie = [(header::SET_COOKIE, set_cookie(Some(&secret)))];
            Ok((cookie, Redirect::to("/console")).into_response())
        }
        Err(NotSignedIn::NotHalfSignedIn) => Ok(to_sign_in()),
        Err(why) => Err(told(portal, why)),
    }
}

fn to_sign_in() -> Response {
    Redirect::to("/sign-in").into_response()
}

fn told(portal: &Portal, why: NotSignedIn) -> (StatusCode, String) {
    let text = |key| portal.console.text(key);
    match why {
        NotSignedIn::WrongAddressOrPassword => (StatusCode::FORBIDDEN, text("password-wrong")),
        NotSignedIn::WrongCode => (StatusCode::FORBIDDEN, text("code-wrong")),
        NotSignedIn::NotHalfSignedIn => (StatusCode::FORBIDDEN, text("link-over")),
        NotSignedIn::NoSecondFactor => (StatusCode::FORBIDDEN, text("no-phone")),
        NotSignedIn::TooOften { wait } => {
            let minutes = wait.as_secs().div_ceil(60).max(1);
            let told = portal.console.text_with("too-often", &[("minutes", minutes.into())]);
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
        NotSignedIn::NoSecretsKey => (StatusCode::SERVICE_UNAVAILABLE, text("no-secrets-key")),
        NotSignedIn::NotHashed => {
            tracing::error!("no password or secret can be made: the machine gives no random bytes");
            (StatusCode::SERVICE_UNAVAILABLE, text("away"))
        }
        NotSignedIn::Failed(error) => {
            tracing::warn!(error = %causes(&error), "nobody can sign in to the console");
            (StatusCode::SERVICE_UNAVAILABLE, text("away"))
        }
    }
}

/// With what the link is for, as things are now.
async fn welcome_page(portal: &Portal, link: &str, status: StatusCode, problem: Option<String>) -> Response {
    let about = match portal.sign_ins.user_link(link).await {
        Ok(about) => about,
        Err(why) => {
            let (status, told) = told(portal, why);
            let page = portal.console.page("welcome.html", context! { problem => told, purpose => () });
            return (status, Html(page)).into_response();
        }
    };
    let purpose = match about.purpose {
        UserLinkPurpose::SignUp => "sign-up",
        UserLinkPurpose::Join => "join",
        UserLinkPurpose::Reset => "reset",
    };
    let here = format!("/console/welcome/{link}");
    let context = context! { problem, purpose, here, role => about.role.as_str(), email => about.email };
    (status, Html(portal.console.page("welcome.html", context))).into_response()
}

async fn phone_page(
    portal: &Portal,
    headers: &HeaderMap,
    status: StatusCode,
    problem: Option<String>,
) -> Response {
    let Some(half) = cookie(headers) else { return to_sign_in() };
    match portal.sign_ins.enrolment(half).await {
        Ok(Some(Enrolment { uri, secret })) => {
            let context = context! { problem, picture => picture(&uri), secret => grouped(&secret) };
            (status, Html(portal.console.page("phone.html", context))).into_response()
        }
        Ok(None) => Redirect::to("/console/code").into_response(),
        Err(NotSignedIn::NotHalfSignedIn) => to_sign_in(),
        Err(why) => {
            let (status, told) = told(portal, why);
            code_page(portal, status, Some(told))
        }
    }
}

fn code_page(portal: &Portal, status: StatusCode, problem: Option<String>) -> Response {
    (status, Html(portal.console.page("code.html", context! { problem }))).into_response()
}

/// None of what is too long for a code, which no address of a user is: the secret stands beside it in letters.
fn picture(uri: &str) -> Option<String> {
    let modules = QrCode::new(uri).ok()?;
    let svg = modules.render::<svg::Color>().min_dimensions(PICTURE, PICTURE).quiet_zone(true).build();
    Some(format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg)))
}

/// As people type it.
fn grouped(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    letters.chunks(4).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

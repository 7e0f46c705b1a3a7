//! Asking for a business: a form, and what becomes of it.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Form,
    extract::{Query, State},
    response::{Html, IntoResponse, Redirect, Response, Sse, sse::Event},
};
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, StatusCode};
use minijinja::{Value, context, value::Serde};
use roost_proto::{error::Violation, v1};
use roost_store::{SetupRequest, SetupState, StoreError, WantedBusiness};
use serde::{Deserialize, Serialize};

use super::{
    language::of,
    live::keep_alive,
    problem::{failed, nothing_here},
    signed::{Signed, form_token},
    state::Portal,
    typed::{SpokenLanguage, Template, unwrapped},
};
use crate::{
    app::{Error, access::secret},
    grpc::wanted_business,
};

/// As it is typed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Typed {
    name: String,
    phone: String,
    template: Template,
    language: SpokenLanguage,
    greeting: String,
    fallback: String,
    #[serde(skip_serializing)]
    form_token: String,
}

/// The state that the page shows.
#[derive(Deserialize)]
pub struct Seen {
    seen: String,
}

pub async fn form(State(portal): State<Arc<Portal>>, headers: HeaderMap, signed: Signed) -> Response {
    match portal.app.setup_request_of(&signed.user.email).await {
        Ok(request) => {
            let typed = match &request {
                Some(request) if request.state == SetupState::Rejected => request.wanted.clone().into(),
                _ => Typed::default(),
            };
            page(&portal, &headers, &signed, request.as_ref(), &typed, StatusCode::OK, &[])
        }
        Err(error) => failed(&portal, &headers, &error),
    }
}

pub async fn submit(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    signed: Signed,
    Form(typed): Form<Typed>,
) -> Response {
    let again =
        |status, problems: &[&'static str]| page(&portal, &headers, &signed, None, &typed, status, problems);
    if typed.form_token != form_token(&signed.cookie) {
        return again(StatusCode::FORBIDDEN, &["form-old"]);
    }
    let wanted = match wanted_business(typed.clone().into()) {
        Ok(wanted) => wanted,
        Err(wrong) => return again(StatusCode::BAD_REQUEST, &problems(&wrong.violations)),
    };
    match portal.app.submit_setup_request(&signed.user.email, &wanted).await {
        // One that is open already is what the page then shows.
        Ok(_) | Err(Error::Store(StoreError::AlreadyExists { field: "setup request", .. })) => {
            Redirect::to("/setup").into_response()
        }
        Err(Error::Store(StoreError::AlreadyExists { .. })) => {
            again(StatusCode::CONFLICT, &["setup-phone-taken"])
        }
        Err(Error::Store(StoreError::TooManySetupRequests { .. })) => {
            again(StatusCode::TOO_MANY_REQUESTS, &["setup-too-many"])
        }
        Err(error) => failed(&portal, &headers, &error),
    }
}

/// One event when something has become of it: the page is then another one.
pub async fn events(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Query(Seen { seen }): Query<Seen>,
    signed: Signed,
) -> Response {
    match decided(&portal, &signed, &seen).await {
        Ok(Some(decided)) => Sse::new(decided).keep_alive(keep_alive()).into_response(),
        Ok(None) => nothing_here(&portal, &headers),
        Err(error) => failed(&portal, &headers, &error),
    }
}

async fn decided(
    portal: &Portal,
    signed: &Signed,
    seen: &str,
) -> Result<Option<impl Stream<Item = Result<Event, Infallible>> + Send + use<>>, Error> {
    let Some(request) = portal.app.setup_request_of(&signed.user.email).await? else { return Ok(None) };
    // Something has become of it between the page and this.
    let at_once = stream::iter((state(request.state) != seen).then_some(true));
    let news = portal.app.watch_setup_request(request)?;
    let held = portal.access.open_page(&secret::digest(&signed.cookie));
    let signed_out = stream::once(held.ended().clone().cancelled_owned()).map(|()| true);
    // Cut off for another reason, a page asks again.
    let news = news.map(|news| !matches!(news, Err(Error::Stopping | Error::TooSlow)));
    let first = at_once.chain(stream::select(news, signed_out)).take(1).filter_map(move |is_over| {
        let _held = &held;
        async move { is_over.then(|| Ok(Event::default().event("over").data("over"))) }
    });
    Ok(Some(first))
}

fn page(
    portal: &Portal,
    headers: &HeaderMap,
    signed: &Signed,
    request: Option<&SetupRequest>,
    typed: &Typed,
    status: StatusCode,
    problems: &[&'static str],
) -> Response {
    let language = of(headers);
    let problems: Vec<_> = problems.iter().map(|key| portal.templates.text(language, key)).collect();
    let about = context! {
        problems,
        typed => Value::from(Serde(typed)),
        email => &signed.user.email,
        form_token => form_token(&signed.cookie),
        state => request.map(|request| state(request.state)),
        reason => request.map(|request| request.reason.as_str()),
        wanted => request.map(|request| request.wanted.display_name.as_str()),
        tenant => request.and_then(|request| request.tenant.as_ref()).map(|tenant| tenant.as_str()),
    };
    (status, Html(portal.templates.page(language, "setup.html", about))).into_response()
}

/// Named as the catalogues name them: `setup-submitted`.
fn state(state: SetupState) -> String {
    state.as_str().to_ascii_lowercase()
}

/// What is wrong, by its keys in the catalogues, each once.
fn problems(violations: &[Violation]) -> Vec<&'static str> {
    let mut problems: Vec<_> = violations
        .iter()
        .map(|violation| match violation.field.as_str() {
            "tenant.display_name" => "setup-name-wrong",
            "tenant.phone" => "setup-phone-wrong",
            _ => "setup-text-wrong",
        })
        .collect();
    problems.dedup();
    problems
}

impl From<Typed> for v1::Tenant {
    fn from(typed: Typed) -> Self {
        let (greeting, fallback) = (unwrapped(&typed.greeting), unwrapped(&typed.fallback));
        Self {
            display_name: typed.name.trim().to_owned(),
            phone: dialled(&typed.phone),
            template: v1::Template::from(typed.template).into(),
            language: v1::Language::from(typed.language).into(),
            texts: Some(v1::BusinessTexts { greeting, fallback, ..v1::BusinessTexts::default() }),
            ..Self::default()
        }
    }
}

impl From<WantedBusiness> for Typed {
    fn from(wanted: WantedBusiness) -> Self {
        Self {
            name: wanted.display_name,
            phone: wanted.phone,
            template: wanted.template.into(),
            language: wanted.language.into(),
            greeting: wanted.texts.greeting,
            fallback: wanted.texts.fallback,
            form_token: String::new(),
        }
    }
}

/// As people write a number: `+255 700-000 001`, `00255…`.
fn dialled(phone: &str) -> String {
    let dialled: String =
        phone.chars().filter(|sign| !sign.is_whitespace() && !"-.()/".contains(*sign)).collect();
    match dialled.strip_prefix("00") {
        Some(abroad) => format!("+{abroad}"),
        None => dialled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_as_people_write_it() {
        for written in ["+255 700-000 001", "00255 (700) 000.001", "+255700000001"] {
            assert_eq!(dialled(written), "+255700000001");
        }
        assert_eq!(dialled("0700 000 001"), "0700000001");
    }

    #[test]
    fn what_is_wrong_is_told_by_field_and_once() {
        let typed = Typed { greeting: "a".repeat(5_000), fallback: "b".repeat(5_000), ..Typed::default() };
        let wrong = wanted_business(typed.into()).unwrap_err();
        assert_eq!(
            problems(&wrong.violations),
            ["setup-name-wrong", "setup-phone-wrong", "setup-text-wrong"]
        );
    }
}

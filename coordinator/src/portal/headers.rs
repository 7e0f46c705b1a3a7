//! What every request has to say of where it comes from, and what every answer says to the browser: what it may load, and that nobody
//! keeps it.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::time::timeout;

use super::state::Portal;
use crate::app::people::PortalAddress;

/// How long a form may take to come in and be answered: longer than a code that is typed on the phone.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// Only what this server sends; pictures may stand in a page, for QR codes do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
];

/// Around everything, refusals too.
pub async fn secure(State(portal): State<Arc<Portal>>, request: Request, next: Next) -> Response {
    let mut answer = match refused(&request, &portal.address) {
        Some(refusal) => refusal.into_response(),
        None => timeout(ANSWERED_WITHIN, next.run(request)).await.unwrap_or_else(|_elapsed| {
            (StatusCode::REQUEST_TIMEOUT, "the form did not come in in time\n").into_response()
        }),
    };
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Pages are their readers' own. What is the same for all says so itself.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

fn refused<B>(request: &http::Request<B>, address: &PortalAddress) -> Option<(StatusCode, String)> {
    let said = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    // Whoever has a name of his own lead here could have his pages read the answers.
    if !said(header::HOST).is_some_and(|host| host.eq_ignore_ascii_case(address.authority())) {
        let told = format!("this portal is at {} and under no other name\n", address.origin());
        return Some((StatusCode::MISDIRECTED_REQUEST, told));
    }
    let changes_something = ![Method::GET, Method::HEAD].contains(request.method());
    (changes_something && !comes_from_here(request, address))
        .then(|| (StatusCode::FORBIDDEN, "this form was sent from another site\n".to_owned()))
}

/// A browser says from where a form is sent, and no page of another site can have it say something else. A caller that says nothing is
/// no browser of these years, and is refused as well.
fn comes_from_here<B>(request: &http::Request<B>, address: &PortalAddress) -> bool {
    let said = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    match (said("sec-fetch-site"), said("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => origin.eq_ignore_ascii_case(address.origin()),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(method: Method, headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = http::Request::builder().method(method).uri("/t/asha/orders");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let address = "https://portal.example:8443".parse().unwrap();
        refused(&request.body(()).unwrap(), &address).map(|(status, _)| status.as_u16())
    }

    #[test]
    fn a_form_counts_from_a_page_of_this_server_alone() {
        let host = ("host", "portal.example:8443");
        for own in [("sec-fetch-site", "same-origin"), ("origin", "https://portal.example:8443")] {
            assert_eq!(answered(Method::POST, &[own, host]), None, "{own:?}");
        }
        for foreign in [
            &[host][..],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://portal.example:8443"), host],
            &[("sec-fetch-site", "same-site"), host],
            &[("sec-fetch-site", "none"), host],
            &[("origin", "https://evil.example"), host],
            &[("origin", "http://portal.example:8443"), host],
            &[("origin", "null"), host],
            &[("origin", "https://portal.example:8443.evil.example"), host],
        ] {
            assert_eq!(answered(Method::POST, foreign), Some(403), "{foreign:?}");
            assert_eq!(answered(Method::GET, foreign), None, "{foreign:?}");
        }
    }

    #[test]
    fn nothing_is_answered_under_another_name() {
        for host in ["evil.example", "portal.example", "portal.example:8443.evil.example", ""] {
            assert_eq!(answered(Method::GET, &[("host", host)]), Some(421), "{host}");
        }
        assert_eq!(answered(Method::GET, &[]), Some(421));
        assert_eq!(answered(Method::GET, &[("host", "Portal.Example:8443")]), None);
    }
}

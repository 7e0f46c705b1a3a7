//! What every answer says to the browser: what it may load, from where it may be called, and that nobody keeps it.

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

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
pub async fn secure(request: Request, next: Next) -> Response {
    let is_foreign = request.method() == Method::POST && !comes_from_here(&request);
    let mut answer = if is_foreign {
        let mut refused = Response::new("this form was sent from another site\n".into());
        *refused.status_mut() = StatusCode::FORBIDDEN;
        refused
    } else {
        next.run(request).await
    };
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Pages are their readers' own. What is the same for all says so itself.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// A browser says from where a form is sent, and no page of another site can have it say something else. A caller that says nothing is
/// no browser of these years, and is refused as well.
fn comes_from_here<B>(request: &http::Request<B>) -> bool {
    let said = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    match (said("sec-fetch-site"), said("origin"), said("host")) {
        (Some(site), _, _) => site == "same-origin",
        (None, Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host))
        }
        (None, _, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_counts_from_a_page_of_this_server_alone() {
        let from = |headers: &[(&str, &str)]| {
            let mut request = http::Request::builder().method(Method::POST).uri("/t/asha/orders");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            comes_from_here(&request.body(()).unwrap())
        };
        let host = ("host", "portal.example:8443");
        assert!(from(&[("sec-fetch-site", "same-origin"), host]));
        assert!(from(&[("origin", "https://portal.example:8443"), host]));
        for foreign in [
            &[host][..],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://portal.example:8443"), host],
            &[("sec-fetch-site", "same-site"), host],
            &[("sec-fetch-site", "none"), host],
            &[("origin", "https://evil.example"), host],
            &[("origin", "null"), host],
            &[("origin", "https://portal.example:8443.evil.example"), host],
        ] {
            assert!(!from(foreign), "{foreign:?}");
        }
    }
}

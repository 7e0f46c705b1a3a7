//! The bearer token, asked for on every call.
//!
//! A layer around the whole server and not an interceptor on each service: a service that is added later is closed
//! until someone opens it here. Open to all are health and reflection, which tell nothing about tenants, so that load
//! balancers and `buf curl` work without a secret.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::Either;
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use roost_proto::error::{ApiError, ErrorCode};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::app::tokens::{Refusal, TokenFile};

const OPEN: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// How soon a caller should try again while the token file is unusable: a person has to mend it.
const FILE_RETRY: Duration = Duration::from_secs(10);

/// Wraps the server with the check.
#[derive(Clone)]
pub struct AuthLayer {
    tokens: Arc<TokenFile>,
}

impl AuthLayer {
    pub fn new(tokens: TokenFile) -> Self {
        Self { tokens: Arc::new(tokens) }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { inner, tokens: self.tokens.clone() }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Auth<S> {
    inner: S,
    tokens: Arc<TokenFile>,
}

impl<S, B> Service<Request<B>> for Auth<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match admit(&self.tokens, request.uri().path(), request.headers(), OffsetDateTime::now_utc()) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(error) => Either::Right(ready(Ok(Status::from(error).into_http()))),
        }
    }
}

fn admit(tokens: &TokenFile, path: &str, headers: &HeaderMap, now: OffsetDateTime) -> Result<(), ApiError> {
    if OPEN.iter().any(|open| path.starts_with(open)) {
        return Ok(());
    }
    let refused = |message: String| Err(ApiError::new(ErrorCode::Unauthenticated, message));
    let Some(given) = headers.get(AUTHORIZATION) else {
        return refused("there is no token: send the metadata `authorization: Bearer TOKEN`".to_owned());
    };
    let Some(token) = given.to_str().ok().and_then(bearer) else {
        return refused("the authorization metadata is not of the form `Bearer TOKEN`".to_owned());
    };
    match tokens.check(token, now) {
        Ok(()) => Ok(()),
        Err(Refusal::Unknown) => {
            refused("the token is not known: use one of the coordinator's token file".to_owned())
        }
        Err(Refusal::Lapsed { at }) => {
            let at = at.format(&Rfc3339).unwrap_or_else(|_| at.to_string());
            refused(format!("the token lapsed at {at}: ask the operator for a new one"))
        }
        Err(Refusal::FileUnusable) => {
            let message =
                "the coordinator's token file is unusable: its operator finds the reason in its log";
            Err(ApiError::unavailable("token file", FILE_RETRY, message))
        }
    }
}

/// The scheme is compared without case (RFC 9110).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);
    const CALL: &str = "/roost.v1.TenantService/GetTenant";

    fn admitted(path: &str, authorization: Option<&str>) -> Result<(), ApiError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens");
        std::fs::write(&file, "good\nlate expires 2026-11-20T00:00:00Z\n").unwrap();
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
        }
        admit(&TokenFile::open(&file).unwrap(), path, &headers, NOW)
    }

    #[test]
    fn a_known_token_is_admitted_whatever_the_case_of_its_scheme() {
        for value in ["Bearer good", "bearer good", "BEARER  good"] {
            assert_eq!(admitted(CALL, Some(value)), Ok(()), "{value}");
        }
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        for (value, said) in [
            (None, "there is no token"),
            (Some("good"), "not of the form `Bearer TOKEN`"),
            (Some("Basic good"), "not of the form `Bearer TOKEN`"),
            (Some("Bearer "), "not of the form `Bearer TOKEN`"),
            (Some("Bearer bad"), "the token is not known"),
            (Some("Bearer late"), "the token lapsed at 2026-11-20T00:00:00Z"),
        ] {
            let error = admitted(CALL, value).unwrap_err();
            assert_eq!(error.code, ErrorCode::Unauthenticated);
            assert!(error.message.contains(said), "{value:?}: {}", error.message);
        }
    }

    #[test]
    fn only_health_and_reflection_are_open() {
        for path in
            ["/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"]
        {
            assert_eq!(admitted(path, None), Ok(()), "{path}");
        }
        for path in [CALL, "/", "", "/roost.v1.NewService/Call", "/grpc.health.v1.HealthX/Check"] {
            assert!(admitted(path, None).is_err(), "{path}");
        }
    }
}

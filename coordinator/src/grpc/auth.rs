//! The bearer token, asked for on every call.
//!
//! A layer around the whole server and not an interceptor on each service: a service that is added later is closed
//! until someone opens it here. Open to all is the health check, one short answer from memory, so that load balancers
//! work without a secret. Watching health and reflection hold streams open, and so take a token like all else.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, Either};
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use roost_proto::error::{ApiError, ErrorCode};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tonic::{Status, body::Body, transport::server::TcpConnectInfo};
use tower::{Layer, Service};

use super::refusals::Refusals;
use crate::app::tokens::{Refusal, TokenFile};

const OPEN: &str = "/grpc.health.v1.Health/Check";

/// How soon a caller should try again while the token file is unusable: a person has to mend it.
const FILE_RETRY: Duration = Duration::from_secs(10);

/// Wraps the server with the check.
#[derive(Clone)]
pub struct AuthLayer {
    door: Arc<Door>,
}

struct Door {
    tokens: TokenFile,
    refusals: Refusals,
}

impl AuthLayer {
    pub fn new(tokens: TokenFile) -> Self {
        Self { door: Arc::new(Door { tokens, refusals: Refusals::default() }) }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { inner, door: self.door.clone() }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Auth<S> {
    inner: S,
    door: Arc<Door>,
}

impl<S, B> Service<Request<B>> for Auth<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (path, now) = (request.uri().path(), OffsetDateTime::now_utc());
        match admit(&self.door.tokens, path, request.headers(), now) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(error) => {
                let delay = match error.code {
                    ErrorCode::Unauthenticated => self.door.refusals.note(peer(&request), Instant::now()),
                    // The fault is not the caller's.
                    _ => Duration::ZERO,
                };
                Either::Right(Box::pin(refuse(error, delay)))
            }
        }
    }
}

async fn refuse<E>(error: ApiError, delay: Duration) -> Result<Response<Body>, E> {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    Ok(Status::from(error).into_http())
}

/// Where the call comes from. Those of which that is not known are one peer together.
fn peer<B>(request: &Request<B>) -> IpAddr {
    let info = request.extensions().get::<TcpConnectInfo>();
    info.and_then(TcpConnectInfo::remote_addr).map_or(Ipv4Addr::UNSPECIFIED.into(), |addr| addr.ip())
}

fn admit(tokens: &TokenFile, path: &str, headers: &HeaderMap, now: OffsetDateTime) -> Result<(), ApiError> {
    if path == OPEN {
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
    use std::{
        convert::Infallible,
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
        path::PathBuf,
    };

    use tempfile::TempDir;
    use time::macros::datetime;
    use tower::{ServiceExt, service_fn};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);
    const CALL: &str = "/roost.v1.TenantService/GetTenant";

    fn token_file() -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens");
        fs::write(&file, "good\nlate expires 2026-11-20T00:00:00Z\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        (dir, file)
    }

    fn admitted(path: &str, authorization: Option<&str>) -> Result<(), ApiError> {
        let (_dir, file) = token_file();
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
    fn only_the_health_check_is_open() {
        assert_eq!(admitted(OPEN, None), Ok(()));
        for path in [
            CALL,
            "/",
            "",
            "/roost.v1.NewService/Call",
            "/grpc.health.v1.HealthX/Check",
            "/grpc.health.v1.Health/Watch",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert!(admitted(path, None).is_err(), "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_refused_again_and_again_waits_and_a_right_token_beside_it_does_not() {
        let (_dir, file) = token_file();
        let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Body::empty())));
        let auth = AuthLayer::new(TokenFile::open(&file).unwrap()).layer(inner);
        let call = async |token: &str| {
            let value = format!("Bearer {token}");
            let request = Request::builder().uri(CALL).header(AUTHORIZATION, value).body(()).unwrap();
            let begun = tokio::time::Instant::now();
            auth.clone().oneshot(request).await.unwrap();
            begun.elapsed()
        };
        for _ in 0..20 {
            call("bad").await;
        }
        assert!(call("bad").await >= Duration::from_secs(5));
        assert_eq!(call("good").await, Duration::ZERO);
    }
}

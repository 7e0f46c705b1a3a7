//! Who calls: asked on every call, before anything of it is read.
//!
//! A layer around the whole server and not an interceptor on each service: a service that is added later is closed
//! until someone opens it. Open to all is the health check, one short answer from memory, so that load balancers
//! work without a secret. Watching health and reflection hold streams open, and so take a token like all else. What a caller may do is
//! asked behind this one (`admit`).

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use roost_proto::error::{ApiError, ErrorCode};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tonic::{body::Body, transport::server::TcpConnectInfo};
use tower::Service;

use super::{
    gate::{Gate, GateLayer, answer},
    refusals::Refusals,
};
use crate::app::access::{Access, Caller, Unadmitted};

pub(super) const OPEN: &str = "/grpc.health.v1.Health/Check";

/// How soon a caller should try again while the token file is unusable: a person has to mend it.
const FILE_RETRY: Duration = Duration::from_secs(10);

/// Wraps the server with the question.
pub type AuthLayer = GateLayer<Door>;

/// See the module.
pub struct Door {
    access: Arc<Access>,
    refusals: Refusals,
}

impl Gate for Door {
    /// What is behind the door knows who calls.
    async fn serve<S>(&self, inner: S, mut request: Request<Body>) -> Result<Response<Body>, ApiError>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
        S::Future: Send,
    {
        if request.uri().path() != OPEN {
            let caller = match self.caller(request.headers()).await {
                Ok(caller) => caller,
                Err(error) => {
                    self.delay(&error, peer(&request)).await;
                    return Err(error);
                }
            };
            request.extensions_mut().insert(caller);
        }
        Ok(answer(inner, request).await)
    }
}

impl Door {
    pub fn new(access: Arc<Access>) -> Self {
        Self { access, refusals: Refusals::default() }
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let token = bearer(headers)?;
        self.access.caller(token, OffsetDateTime::now_utc()).await.map_err(unadmitted)
    }

    /// Whoever guesses waits.
    async fn delay(&self, error: &ApiError, origin: IpAddr) {
        if error.code == ErrorCode::Unauthenticated {
            tokio::time::sleep(self.refusals.note(origin, Instant::now())).await;
        }
    }
}

/// Where the call comes from. Those of which that is not known are one peer together.
pub(super) fn peer<B>(request: &Request<B>) -> IpAddr {
    let info = request.extensions().get::<TcpConnectInfo>();
    info.and_then(TcpConnectInfo::remote_addr).map_or(Ipv4Addr::UNSPECIFIED.into(), |addr| addr.ip())
}

fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let refused = |message: &str| ApiError::new(ErrorCode::Unauthenticated, message);
    let given = headers
        .get(AUTHORIZATION)
        .ok_or_else(|| refused("there is no token: send the metadata `authorization: Bearer TOKEN`"))?;
    given
        .to_str()
        .ok()
        .and_then(bearer_token)
        .ok_or_else(|| refused("the authorization metadata is not of the form `Bearer TOKEN`"))
}

/// The scheme is compared without case (RFC 9110).
fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn unadmitted(why: Unadmitted) -> ApiError {
    let refused = |message: &str| ApiError::new(ErrorCode::Unauthenticated, message);
    match why {
        Unadmitted::Unknown => refused(
            "the token is not known: use one of `roost token create`, or of the coordinator's token file",
        ),
        Unadmitted::Lapsed { at } => {
            let at = at.format(&Rfc3339).unwrap_or_else(|_| at.to_string());
            refused(&format!("the token lapsed at {at}: ask an admin for a new one"))
        }
        Unadmitted::Revoked => refused("the token was revoked: ask an admin for a new one"),
        Unadmitted::FileUnusable => {
            let message =
                "the coordinator's token file is unusable: its operator finds the reason in its log";
            ApiError::unavailable("token file", FILE_RETRY, message)
        }
        Unadmitted::NotLookedUp(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(authorization: Option<&str>) -> HeaderMap {
        let value = authorization.map(|value| (AUTHORIZATION, value.parse().unwrap()));
        value.into_iter().collect()
    }

    #[test]
    fn the_scheme_is_compared_without_case() {
        for value in ["Bearer good", "bearer good", "BEARER  good"] {
            assert_eq!(bearer(&headers(Some(value))), Ok("good"), "{value}");
        }
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        for (value, said) in [
            (None, "there is no token"),
            (Some("good"), "not of the form `Bearer TOKEN`"),
            (Some("Basic good"), "not of the form `Bearer TOKEN`"),
            (Some("Bearer "), "not of the form `Bearer TOKEN`"),
        ] {
            let error = bearer(&headers(value)).unwrap_err();
            assert_eq!(error.code, ErrorCode::Unauthenticated);
            assert!(error.message.contains(said), "{value:?}: {}", error.message);
        }
        let at = time::macros::datetime!(2026-11-20 0:00 UTC);
        for (why, said) in [
            (Unadmitted::Unknown, "is not known"),
            (Unadmitted::Lapsed { at }, "lapsed at 2026-11-20T00:00:00Z"),
            (Unadmitted::Revoked, "was revoked"),
        ] {
            let error = unadmitted(why);
            assert_eq!(error.code, ErrorCode::Unauthenticated);
            assert!(error.message.contains(said), "{}", error.message);
        }
        assert_eq!(unadmitted(Unadmitted::FileUnusable).code, ErrorCode::Unavailable);
    }
}

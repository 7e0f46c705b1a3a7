//! Who calls, and whether that caller may: asked on every call.
//!
//! A layer around the whole server and not an interceptor on each service: a service that is added later is closed
//! until someone opens it in [`calls`]. Open to all is the health check, one short answer from memory, so that load balancers
//! work without a secret. Watching health and reflection hold streams open, and so take a token like all else.

use std::{
    convert::Infallible,
    mem,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use roost_model::{causes, ids::TenantId};
use roost_proto::error::{ApiError, ErrorCode, Violation};
use roost_store::{AuditEntry, StoreError};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::Semaphore;
use tonic::{Code, Status, body::Body, transport::server::TcpConnectInfo};
use tower::{Layer, Service};

use super::{
    audit_trail::{self, RefusalQuota},
    refusals::Refusals,
    revocable::Revocable,
    subject::{self, ReadRequest},
    trace,
};
use crate::app::{
    Error,
    access::{
        Access, Caller, Unadmitted,
        calls::{self, Audited, Call},
    },
};

const OPEN: &str = "/grpc.health.v1.Health/Check";

/// How soon a caller should try again while the token file is unusable: a person has to mend it.
const FILE_RETRY: Duration = Duration::from_secs(10);

/// Orders that wait to be written down while the database is away, and for how long they do.
const LATE_ENTRIES: usize = 1_000;
const LATE_RETRY: Duration = Duration::from_secs(5);
const LATE_TRIES: u32 = 120;

/// Wraps the server with the check.
#[derive(Clone)]
pub struct AuthLayer {
    door: Arc<Door>,
}

struct Door {
    access: Arc<Access>,
    refusals: Refusals,
    quota: RefusalQuota,
    late: Arc<Semaphore>,
}

impl AuthLayer {
    pub fn new(access: Arc<Access>) -> Self {
        let late = Arc::new(Semaphore::new(LATE_ENTRIES));
        let door = Door { access, refusals: Refusals::default(), quota: RefusalQuota::default(), late };
        Self { door: Arc::new(door) }
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

impl<S> Service<Request<Body>> for Auth<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that is ready, and not its copy.
        let fresh = self.inner.clone();
        let inner = mem::replace(&mut self.inner, fresh);
        let door = self.door.clone();
        Box::pin(async move {
            Ok(door.serve(inner, request).await.unwrap_or_else(|error| Status::from(error).into_http()))
        })
    }
}

impl Door {
    /// The answer of what is behind the door, or why it is not asked.
    async fn serve<S>(&self, mut inner: S, mut request: Request<Body>) -> Result<Response<Body>, ApiError>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        if request.uri().path() == OPEN {
            return answer(&mut inner, request).await;
        }
        let origin = peer(&request);
        let caller = match self.caller(request.headers()).await {
            Ok(caller) => caller,
            Err(error) => {
                self.delay(&error, origin).await;
                return Err(error);
            }
        };
        request.extensions_mut().insert(caller.clone());
        // What does not exist is nobody's to refuse.
        let Some(call) = calls::find(request.uri().path()) else {
            return answer(&mut inner, request).await;
        };
        let mut entry = audit_trail::entry(call, &caller, origin);
        let request = match admit(&caller, call, request, &mut entry).await {
            Ok(request) => request,
            Err(error) => {
                self.note_refusal(entry, &error).await;
                return Err(error);
            }
        };
        let answer = answer(&mut inner, request).await?;
        if audit_trail::is_audited(call, &caller) {
            let code = trace::status(answer.headers()).unwrap_or(Code::Ok);
            self.write(AuditEntry { result: audit_trail::result(code), ..entry }, call).await?;
        }
        if !subject::answers_with_stream(call.path) {
            return Ok(answer);
        }
        let token = self.access.open_stream(&caller);
        Ok(answer.map(|body| Body::new(Revocable::new(body, token))))
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

    async fn note_refusal(&self, entry: AuditEntry, error: &ApiError) {
        if self.quota.allows(&entry.caller, Instant::now()) {
            let entry = AuditEntry { result: audit_trail::result(error.code.grpc()), ..entry };
            if let Err(lost) = self.access.audit(&entry).await {
                tracing::error!(error = %causes(&lost), ?entry, "a refusal is not in the audit");
            }
        }
    }

    /// An order may have been carried out by then, and its caller is to know. What is only shown is not shown unless it is written
    /// down.
    async fn write(&self, entry: AuditEntry, call: &Call) -> Result<(), ApiError> {
        let Err(error) = self.access.audit(&entry).await else { return Ok(()) };
        if call.audited == Audited::Content {
            return Err(error.into());
        }
        tracing::error!(error = %causes(&error), ?entry, "an order is not in the audit yet");
        if let Ok(place) = self.late.clone().try_acquire_owned() {
            let access = self.access.clone();
            tokio::spawn(async move {
                let _place = place;
                write_late(&access, &entry).await;
            });
        }
        Ok(())
    }
}

/// The log has it in any case.
async fn write_late(access: &Access, entry: &AuditEntry) {
    for _ in 0..LATE_TRIES {
        tokio::time::sleep(LATE_RETRY).await;
        if access.audit(entry).await.is_ok() {
            return;
        }
    }
}

async fn answer<S>(inner: &mut S, request: Request<Body>) -> Result<Response<Body>, ApiError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let Ok(answer) = inner.call(request).await;
    Ok(answer)
}

/// The request that is to be answered, if this caller may make it. What is read of it is told in `entry`.
async fn admit(
    caller: &Caller,
    call: &Call,
    request: Request<Body>,
    entry: &mut AuditEntry,
) -> Result<Request<Body>, ApiError> {
    let role = caller.grant().role();
    if !call.roles.contains(&role) {
        let may: Vec<_> = call.roles.iter().map(|role| role.as_str()).collect();
        let message = format!(
            "the role {} may not call {}: that takes {}; ask an admin for a token of such a role",
            role.as_str(),
            call.name(),
            may.join(", ")
        );
        return Err(ApiError::new(ErrorCode::PermissionDenied, message));
    }
    let own = caller.grant().tenant().zip(call.subject.tenant());
    let wanted = own.is_some() || audit_trail::is_audited(call, caller);
    let Some(descriptor) = wanted.then(|| subject::message_of(call.path)).flatten() else {
        return Ok(request);
    };
    let (parts, body) = request.into_parts();
    let read = subject::read(descriptor, body).await?;
    audit_trail::say(entry, call, &read);
    let body = match own {
        Some((own, field)) => {
            held_to(own, field, &read)?;
            read.into_written_anew()
        }
        None => read.into_body(),
    };
    Ok(Request::from_parts(parts, body))
}

/// A caller of one tenant names it and no other. Whether there is the one that it names instead is not looked up, so the answer
/// says nothing of that.
fn held_to(own: &TenantId, field: &str, request: &ReadRequest) -> Result<(), ApiError> {
    let given = request.text(field);
    if request.is_readable() && given == own.as_str() {
        return Ok(());
    }
    if TenantId::new(&given).is_err() {
        let description = format!("has to be {own}, of which alone this token is");
        return Err(ApiError::invalid(vec![Violation { field: field.to_owned(), description }]));
    }
    Err(Error::from(StoreError::NotFound { kind: "tenant", id: given }).into())
}

/// Where the call comes from. Those of which that is not known are one peer together.
fn peer<B>(request: &Request<B>) -> IpAddr {
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
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use prost::Message;
    use roost_model::{Grant, Role};
    use roost_proto::v1;

    use super::*;

    const STOP: &str = "/roost.v1.WorkerService/StopWorker";

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

    fn caller(role: Role, tenant: Option<&str>) -> Caller {
        let tenant = tenant.map(|id| TenantId::new(id).unwrap());
        Caller::of_database("test", Grant::new(role, tenant).unwrap(), [0; 32])
    }

    /// What becomes of the order to stop this tenant's worker: what goes on to the handler, and what the audit is told.
    async fn stop(caller: &Caller, tenant: &str) -> (Result<Bytes, ApiError>, AuditEntry) {
        let payload = v1::StopWorkerRequest { tenant_id: tenant.into() }.encode_to_vec();
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let body = Full::new(Bytes::from([&[0][..], &length, &payload].concat()));
        let body = Body::new(body.map_err(|never| match never {}));
        let request = Request::builder().uri(STOP).body(body).unwrap();
        let call = calls::find(STOP).unwrap();
        let mut entry = audit_trail::entry(call, caller, Ipv4Addr::LOCALHOST.into());
        let admitted = match admit(caller, call, request, &mut entry).await {
            Ok(request) => Ok(request.into_body().collect().await.unwrap().to_bytes().slice(5..)),
            Err(error) => Err(error),
        };
        (admitted, entry)
    }

    #[tokio::test]
    async fn a_role_that_is_not_enough_is_told_which_are() {
        for (role, tenant) in [(Role::Viewer, None), (Role::Staff, Some("asha"))] {
            let error = stop(&caller(role, tenant), "asha").await.0.unwrap_err();
            assert_eq!(error.code, ErrorCode::PermissionDenied);
            assert!(error.message.contains("takes admin, operator, owner"), "{}", error.message);
        }
    }

    #[tokio::test]
    async fn whoever_is_of_one_tenant_reaches_no_other_and_does_not_learn_which_there_are() {
        let owner = caller(Role::Owner, Some("asha"));
        let (admitted, entry) = stop(&owner, "asha").await;
        let handed_on = v1::StopWorkerRequest::decode(admitted.unwrap()).unwrap();
        assert_eq!((handed_on.tenant_id.as_str(), entry.tenant.unwrap().as_str()), ("asha", "asha"));
        let (refused, entry) = stop(&owner, "bola").await;
        let not_there = Error::from(StoreError::NotFound { kind: "tenant", id: "bola".into() });
        assert_eq!(refused.unwrap_err(), ApiError::from(not_there));
        assert_eq!(entry.tenant.unwrap().as_str(), "bola");
        for none in ["", "No Such"] {
            assert_eq!(stop(&owner, none).await.0.unwrap_err().code, ErrorCode::InvalidArgument);
        }
    }

    #[tokio::test]
    async fn whoever_is_of_the_cluster_reaches_all() {
        for role in [Role::Admin, Role::Operator] {
            assert!(stop(&caller(role, None), "bola").await.0.is_ok());
        }
    }
}

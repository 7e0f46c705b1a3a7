//! Whether a caller may make a call, by the one table of that ([`calls`]), and what the call leaves in the audit.
//!
//! Behind `auth`, which knows the caller by then, and behind whatever makes a request of gRPC of one that came in another form: what a call is about is
//! read here, from the message that the handler will have.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, Response};
use roost_model::{causes, ids::TenantId};
use roost_proto::error::{ApiError, ErrorCode, Violation};
use roost_store::{AuditEntry, StoreError};
use tokio::sync::Semaphore;
use tonic::{Code, body::Body};
use tower::Service;

use super::{
    audit_trail::{self, RefusalQuota},
    auth::{OPEN, peer},
    code_name::code_name,
    gate::{Gate, GateLayer, answer},
    revocable::Revocable,
    subject::{self, ReadRequest},
    trace,
};
use crate::app::{
    Error,
    access::{
        Access, Caller, audit,
        calls::{self, Audited, Call},
    },
};

/// Orders that wait to be written down while the database is away, and for how long they do.
const LATE_ENTRIES: usize = 1_000;
const LATE_RETRY: Duration = Duration::from_secs(5);
const LATE_TRIES: u32 = 120;

/// Wraps the services with the question.
pub type AdmitLayer = GateLayer<Desk>;

/// The tenant that an answer is about, where its request does not name it.
#[derive(Debug, Clone)]
pub struct About(pub TenantId);

/// See the module.
pub struct Desk {
    access: Arc<Access>,
    quota: RefusalQuota,
    late: Arc<Semaphore>,
}

impl Gate for Desk {
    async fn serve<S>(&self, inner: S, request: Request<Body>) -> Result<Response<Body>, ApiError>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
        S::Future: Send,
    {
        // What does not exist is nobody's to refuse.
        let call = calls::find(request.uri().path());
        let Some(call) = call.filter(|call| call.path != OPEN) else {
            return Ok(answer(inner, request).await);
        };
        let caller = request.extensions().get::<Caller>().cloned();
        let caller = caller
            .ok_or_else(|| ApiError::new(ErrorCode::Internal, "it is not known who calls: report it"))?;
        let mut entry = audit::entry(call, &caller, peer(&request));
        let request = match admit(&caller, call, request, &mut entry).await {
            Ok(request) => request,
            Err(error) => {
                self.note_refusal(entry, &error).await;
                return Err(error);
            }
        };
        let answer = answer(inner, request).await;
        if audit::is_audited(call, &caller) {
            let code = trace::status(answer.headers()).unwrap_or(Code::Ok);
            let entry = match answer.extensions().get::<About>() {
                Some(About(tenant)) => AuditEntry { tenant: Some(tenant.clone()), ..entry },
                None => entry,
            };
            self.write(AuditEntry { result: code_name(code).to_owned(), ..entry }, call).await?;
        }
        if !subject::answers_with_stream(call.path) {
            return Ok(answer);
        }
        let token = self.access.open_stream(&caller);
        Ok(answer.map(|body| Body::new(Revocable::new(body, token))))
    }
}

impl Desk {
    pub fn new(access: Arc<Access>) -> Self {
        Self { access, quota: RefusalQuota::default(), late: Arc::new(Semaphore::new(LATE_ENTRIES)) }
    }

    async fn note_refusal(&self, entry: AuditEntry, error: &ApiError) {
        if self.quota.allows(&entry.caller, Instant::now()) {
            let entry = AuditEntry { result: code_name(error.code.grpc()).to_owned(), ..entry };
            if let Err(lost) = self.access.audit(&entry).await {
                tracing::error!(error = %causes(&lost), ?entry, "a refusal is not in the audit");
            }
        }
    }

    /// An order may have been carried out by then, and its caller is to know. What is only shown is not shown unless it is written
    /// down.
    async fn write(&self, entry: AuditEntry, call: &Call) -> Result<(), ApiError> {
        let Err(error) = self.access.audit(&entry).await else { return Ok(()) };
        if call.audited != Audited::Order {
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
    let wanted = own.is_some() || audit::is_audited(call, caller);
    let descriptor = wanted.then(|| subject::message_of(call.path)).flatten();
    let descriptor = match (descriptor, own) {
        (Some(descriptor), _) => descriptor,
        (None, None) => return Ok(request),
        // Whoever cannot be held to a tenant is not let through to all of them.
        (None, Some(_)) => {
            let message = format!("what {} is about cannot be read: report it", call.name());
            return Err(ApiError::new(ErrorCode::Internal, message));
        }
    };
    let (parts, body) = request.into_parts();
    let read = subject::read(descriptor, body).await?;
    audit_trail::say(entry, call, &read);
    if entry.is_look && entry.reason.trim().is_empty() {
        return Err(no_reason());
    }
    let body = match own {
        Some((own, field)) => {
            held_to(own, field, &read)?;
            read.into_written_anew()
        }
        None => read.into_body(),
    };
    Ok(Request::from_parts(parts, body))
}

fn no_reason() -> ApiError {
    let description =
        "is required of whoever runs the cluster: 1 to 200 characters that the business can read".to_owned();
    ApiError::invalid(vec![Violation { field: "reason".to_owned(), description }])
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use prost::Message;
    use roost_model::{Grant, Role};
    use roost_proto::v1;

    use super::*;

    const STOP: &str = "/roost.v1.WorkerService/StopWorker";

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
        let mut entry = audit::entry(call, caller, Ipv4Addr::LOCALHOST.into());
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

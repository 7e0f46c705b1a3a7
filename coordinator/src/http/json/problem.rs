//! A failure as an answer: a problem document (RFC 9457).

use bytes::Bytes;
use http::{
    HeaderValue, Method, Response,
    header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use roost_proto::error::{ApiError, ErrorCode, Violation};
use serde::Serialize;
use tonic::{Code, Status, body::Body};

use super::kind::{Kind, METHOD_NOT_ALLOWED};
use crate::{grpc::code_name, http::retry_after::retry_after};

pub const PROBLEM_JSON: &str = "application/problem+json";

/// What is told, and in which headers.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    error: Box<ApiError>,
    allowed: Vec<Method>,
}

/// The document.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    uri: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<Wrong<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<Resource<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dependency: Option<&'a str>,
}

/// A field that is wrong.
#[derive(Serialize)]
struct Wrong<'a> {
    field: &'a str,
    description: &'a str,
}

/// The thing that it is about.
#[derive(Serialize)]
struct Resource<'a> {
    kind: &'a str,
    id: &'a str,
}

impl Problem {
    /// One of HTTP's own kinds.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let code = ErrorCode::from_grpc(kind.code).unwrap_or(ErrorCode::Internal);
        Self { kind, error: Box::new(ApiError::new(code, detail)), allowed: Vec::new() }
    }

    /// The fields of a request that are wrong.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        ApiError::invalid(violations).into()
    }

    /// A request that is wrong as a whole.
    pub fn malformed(detail: impl Into<String>) -> Self {
        ApiError::new(ErrorCode::InvalidArgument, detail).into()
    }

    pub fn method_not_allowed(allowed: Vec<Method>) -> Self {
        let names: Vec<_> = allowed.iter().map(Method::as_str).collect();
        let detail = format!("this path takes {}", names.join(", "));
        Self { allowed, ..Self::new(METHOD_NOT_ALLOWED, detail) }
    }

    /// What a call has failed with. `field` says how the caller knows a field of its request.
    pub fn of_call(status: &Status, field: impl Fn(&str) -> String) -> Self {
        let kind = Kind::of(status.code());
        let error = ApiError::from_status(status)
            .unwrap_or_else(|| ApiError::new(ErrorCode::Internal, status.message()));
        Self { kind, error: Box::new(renamed(error, field)), allowed: Vec::new() }
    }

    /// As a call fails with it, for what logs calls by that.
    pub fn status(&self) -> Status {
        Status::new(self.kind.code, self.error.message.clone())
    }

    /// The document, in one line.
    pub fn document(&self) -> Bytes {
        let ApiError { message, violations, resource, unavailable, .. } = &*self.error;
        let document = Document {
            uri: self.kind.uri(),
            title: self.kind.title,
            status: self.kind.status,
            detail: message,
            code: code_name(self.kind.code),
            reason: self.kind.reason,
            violations: violations
                .iter()
                .map(|Violation { field, description }| Wrong { field, description })
                .collect(),
            resource: resource.as_ref().map(|about| Resource { kind: &about.kind, id: &about.id }),
            dependency: unavailable.as_ref().map(|away| away.dependency.as_str()),
        };
        // It has strings and numbers alone, which are always JSON.
        serde_json::to_vec(&document).map_or_else(|_| Bytes::from_static(b"{}"), Bytes::from)
    }

    pub fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::new(http_body_util::Full::new(self.document())));
        *response.status_mut() = self.kind.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if self.kind.code == Code::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(away) = &self.error.unavailable {
            headers.insert(RETRY_AFTER, retry_after(away.retry_after));
        }
        let allowed: Vec<_> = self.allowed.iter().map(Method::as_str).collect();
        if let (false, Ok(value)) = (allowed.is_empty(), HeaderValue::try_from(allowed.join(", "))) {
            headers.insert(ALLOW, value);
        }
        response
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        Self { kind: Kind::of(error.code.grpc()), error: Box::new(error), allowed: Vec::new() }
    }
}

/// A message that names fields by the paths of the proto names them as the violations do.
fn renamed(mut error: ApiError, field: impl Fn(&str) -> String) -> ApiError {
    let told = ApiError::invalid(error.violations.clone()).message;
    for violation in &mut error.violations {
        violation.field = field(&violation.field);
    }
    if error.message == told {
        error.message = ApiError::invalid(error.violations.clone()).message;
    }
    error
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    fn told(problem: &Problem) -> Value {
        serde_json::from_slice(&problem.document()).unwrap()
    }

    #[test]
    fn a_refused_call_is_told_with_all_that_it_carries_by_the_names_of_its_caller() {
        let violation = Violation { field: "tenant.display_name".into(), description: "is empty".into() };
        let status = Status::from(ApiError::invalid(vec![violation]).about("tenant", "a"));
        let problem = Problem::of_call(&status, |_| "displayName".into());
        assert_eq!(
            told(&problem),
            json!({
                "type": "/v1/openapi.json#/components/responses/INVALID_ARGUMENT",
                "title": "Something in the request is wrong",
                "status": 400,
                "detail": "displayName: is empty",
                "code": "INVALID_ARGUMENT",
                "reason": "INVALID_ARGUMENT",
                "violations": [{"field": "displayName", "description": "is empty"}],
                "resource": {"kind": "tenant", "id": "a"},
            })
        );
        let response = problem.response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[CONTENT_TYPE]),
            (400, &HeaderValue::from_static(PROBLEM_JSON))
        );
    }

    #[test]
    fn what_is_away_is_named_with_a_time_that_is_not_sooner_than_its_own() {
        let away = ApiError::unavailable("etcd", Duration::from_millis(1_100), "etcd does not answer");
        let problem = Problem::of_call(&away.into(), str::to_owned);
        let response = problem.response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[RETRY_AFTER]),
            (503, &HeaderValue::from(2))
        );
        assert_eq!(told(&problem)["dependency"], "etcd");
    }

    #[test]
    fn a_status_that_is_not_ours_has_its_code_and_message() {
        let problem = Problem::of_call(&Status::permission_denied("only for operators"), str::to_owned);
        let told = told(&problem);
        assert_eq!((&told["status"], &told["code"]), (&json!(403), &json!("PERMISSION_DENIED")));
        assert_eq!(told["detail"], "only for operators");
    }

    #[test]
    fn another_method_is_told_which_there_are() {
        let response = Problem::method_not_allowed(vec![Method::GET, Method::POST]).response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[ALLOW]),
            (405, &HeaderValue::from_static("GET, POST"))
        );
    }
}

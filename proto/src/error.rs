//! Errors on the wire: one code per kind of failure, and what goes with it.
//!
//! [`ErrorCode`] and the gRPC code are one-to-one, so either side can be computed from the other. The details travel
//! as google.rpc messages: ErrorInfo always (its reason is the code's name, its domain [`DOMAIN`]), BadRequest for
//! fields, ResourceInfo for things, RetryInfo for a dependency that is down. A server builds an [`ApiError`] and turns
//! it into a [`Status`]; a client turns the status back and has the same value.

use std::{collections::HashMap, fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// The ErrorInfo domain of every error of this API.
pub const DOMAIN: &str = "roost.v1";

/// ErrorInfo metadata key that holds [`Unavailable::dependency`].
const DEPENDENCY: &str = "dependency";

/// What kind of failure it is, and so what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// A field is wrong; the same call never succeeds.
    InvalidArgument,
    /// The request is larger than the server takes.
    TooLarge,
    /// No token, an unknown one, or one that has lapsed.
    Unauthenticated,
    /// The token is right, and its role is not enough for this call.
    PermissionDenied,
    /// There is no such thing.
    NotFound,
    /// The id or another unique field is taken.
    AlreadyExists,
    /// The thing is in a state in which the call makes no sense.
    FailedPrecondition,
    /// A newer owner or controller has taken over; the write did nothing.
    Superseded,
    /// Too many at once; fewer work.
    Exhausted,
    /// A dependency is down or the server is stopping; the same call may succeed later.
    Unavailable,
    /// Something stored cannot be read.
    Corrupt,
    /// A fault of Roost's own.
    Internal,
}

impl ErrorCode {
    /// Every code, for tests and documentation.
    pub const ALL: [ErrorCode; 12] = [
        ErrorCode::InvalidArgument,
        ErrorCode::TooLarge,
        ErrorCode::Unauthenticated,
        ErrorCode::PermissionDenied,
        ErrorCode::NotFound,
        ErrorCode::AlreadyExists,
        ErrorCode::FailedPrecondition,
        ErrorCode::Superseded,
        ErrorCode::Exhausted,
        ErrorCode::Unavailable,
        ErrorCode::Corrupt,
        ErrorCode::Internal,
    ];

    /// The gRPC code.
    pub fn grpc(self) -> Code {
        match self {
            ErrorCode::InvalidArgument => Code::InvalidArgument,
            ErrorCode::TooLarge => Code::OutOfRange,
            ErrorCode::Unauthenticated => Code::Unauthenticated,
            ErrorCode::PermissionDenied => Code::PermissionDenied,
            ErrorCode::NotFound => Code::NotFound,
            ErrorCode::AlreadyExists => Code::AlreadyExists,
            ErrorCode::FailedPrecondition => Code::FailedPrecondition,
            ErrorCode::Superseded => Code::Aborted,
            ErrorCode::Exhausted => Code::ResourceExhausted,
            ErrorCode::Unavailable => Code::Unavailable,
            ErrorCode::Corrupt => Code::DataLoss,
            ErrorCode::Internal => Code::Internal,
        }
    }

    /// The code for a gRPC code; None for those that only gRPC itself, a proxy or the caller's own side gives.
    pub fn from_grpc(code: Code) -> Option<Self> {
        match code {
            Code::InvalidArgument => Some(ErrorCode::InvalidArgument),
            Code::OutOfRange => Some(ErrorCode::TooLarge),
            Code::Unauthenticated => Some(ErrorCode::Unauthenticated),
            Code::PermissionDenied => Some(ErrorCode::PermissionDenied),
            Code::NotFound => Some(ErrorCode::NotFound),
            Code::AlreadyExists => Some(ErrorCode::AlreadyExists),
            Code::FailedPrecondition => Some(ErrorCode::FailedPrecondition),
            Code::Aborted => Some(ErrorCode::Superseded),
            Code::ResourceExhausted => Some(ErrorCode::Exhausted),
            Code::Unavailable => Some(ErrorCode::Unavailable),
            Code::DataLoss => Some(ErrorCode::Corrupt),
            Code::Internal => Some(ErrorCode::Internal),
            Code::Ok | Code::Cancelled | Code::Unknown | Code::DeadlineExceeded | Code::Unimplemented => None,
        }
    }

    /// The ErrorInfo reason.
    pub fn reason(self) -> &'static str {
        match self {
            ErrorCode::InvalidArgument => "INVALID_ARGUMENT",
            ErrorCode::TooLarge => "TOO_LARGE",
            ErrorCode::Unauthenticated => "UNAUTHENTICATED",
            ErrorCode::PermissionDenied => "PERMISSION_DENIED",
            ErrorCode::NotFound => "NOT_FOUND",
            ErrorCode::AlreadyExists => "ALREADY_EXISTS",
            ErrorCode::FailedPrecondition => "FAILED_PRECONDITION",
            ErrorCode::Superseded => "SUPERSEDED",
            ErrorCode::Exhausted => "EXHAUSTED",
            ErrorCode::Unavailable => "UNAVAILABLE",
            ErrorCode::Corrupt => "CORRUPT",
            ErrorCode::Internal => "INTERNAL",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

/// A field that is wrong, by its path in the request (`tenant.texts.menu[2].title`), and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub field: String,
    pub description: String,
}

/// The thing that the error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `tenant`, `node`, …
    pub kind: String,
    pub id: String,
}

/// What is down or used up, and when to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// `postgres`, `etcd`, or `coordinator` when it is stopping; of RESOURCE_EXHAUSTED, `rate`.
    pub dependency: String,
    pub retry_after: Duration,
}

/// A failure as the API tells it, small enough to be the error of every call. The message is one line that says what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub code: ErrorCode,
    pub message: String,
    /// All fields that are wrong, not only the first.
    pub violations: Vec<Violation>,
    pub resource: Option<Box<Resource>>,
    pub unavailable: Option<Box<Unavailable>>,
}

impl ApiError {
    /// An error that carries nothing but its message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), violations: Vec::new(), resource: None, unavailable: None }
    }

    /// INVALID_ARGUMENT with one sentence per field.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let message = violations
            .iter()
            .map(|v| format!("{}: {}", v.field, v.description))
            .collect::<Vec<_>>()
            .join("; ");
        Self { violations, ..Self::new(ErrorCode::InvalidArgument, message) }
    }

    /// UNAVAILABLE because of a dependency.
    pub fn unavailable(dependency: &str, retry_after: Duration, message: impl Into<String>) -> Self {
        let unavailable = Some(Box::new(Unavailable { dependency: dependency.to_owned(), retry_after }));
        Self { unavailable, ..Self::new(ErrorCode::Unavailable, message) }
    }

    /// RESOURCE_EXHAUSTED of what is there again in a while.
    pub fn exhausted(quota: &str, retry_after: Duration, message: impl Into<String>) -> Self {
        let unavailable = Some(Box::new(Unavailable { dependency: quota.to_owned(), retry_after }));
        Self { unavailable, ..Self::new(ErrorCode::Exhausted, message) }
    }

    /// Names the thing that the error is about.
    pub fn about(mut self, kind: &str, id: &str) -> Self {
        self.resource = Some(Box::new(Resource { kind: kind.to_owned(), id: id.to_owned() }));
        self
    }

    /// The error that a status carries; None when its code is not one of this API's (see [`ErrorCode::from_grpc`]).
    pub fn from_status(status: &Status) -> Option<Self> {
        let code = ErrorCode::from_grpc(status.code())?;
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        let dependency = details.error_info().and_then(|info| info.metadata.get(DEPENDENCY));
        let retry_after = details.retry_info().and_then(|retry| retry.retry_delay);
        Some(Self {
            code,
            message: status.message().to_owned(),
            violations: violations
                .iter()
                .map(|v| Violation { field: v.field.clone(), description: v.description.clone() })
                .collect(),
            resource: details.resource_info().map(|about| {
                Box::new(Resource { kind: about.resource_type.clone(), id: about.resource_name.clone() })
            }),
            unavailable: dependency.zip(retry_after).map(|(dependency, retry_after)| {
                Box::new(Unavailable { dependency: dependency.clone(), retry_after })
            }),
        })
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let mut metadata = HashMap::new();
        let mut details = ErrorDetails::new();
        if let Some(unavailable) = error.unavailable {
            metadata.insert(DEPENDENCY.to_owned(), unavailable.dependency);
            details.set_retry_info(Some(unavailable.retry_after));
        }
        details.set_error_info(error.code.reason(), DOMAIN, metadata);
        if !error.violations.is_empty() {
            let fields = error.violations.into_iter().map(|v| FieldViolation::new(v.field, v.description));
            details.set_bad_request(fields.collect::<Vec<_>>());
        }
        if let Some(about) = error.resource {
            details.set_resource_info(about.kind, about.id, "", "");
        }
        Status::with_error_details(error.code.grpc(), error.message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_from_grpc_as_itself() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_grpc(code.grpc()), Some(code));
        }
    }

    #[test]
    fn no_two_codes_share_a_grpc_code_or_a_reason() {
        for (i, a) in ErrorCode::ALL.iter().enumerate() {
            for b in &ErrorCode::ALL[i + 1..] {
                assert_ne!(a.grpc(), b.grpc());
                assert_ne!(a.reason(), b.reason());
            }
        }
    }

    #[test]
    fn every_error_survives_the_wire() {
        let violation = |field: &str| Violation { field: field.into(), description: "is empty".into() };
        let bare = ErrorCode::ALL.map(|code| ApiError::new(code, "what is wrong and what to do"));
        let rich = [
            ApiError::invalid(vec![violation("tenant.phone"), violation("tenant.texts.menu[2].title")]),
            ApiError::new(ErrorCode::NotFound, "there is no tenant \"a\"").about("tenant", "a"),
            ApiError::unavailable("etcd", Duration::from_millis(1500), "etcd does not answer; try again"),
        ];
        for error in bare.into_iter().chain(rich) {
            let status = Status::from(error.clone());
            assert_eq!(ApiError::from_status(&status), Some(error));
        }
    }

    #[test]
    fn a_status_that_is_not_ours_is_left_alone() {
        assert_eq!(ApiError::from_status(&Status::cancelled("the caller left")), None);
    }

    #[test]
    fn a_status_without_details_keeps_its_code_and_message() {
        let error = ApiError::from_status(&Status::unavailable("tcp connect error")).unwrap();
        assert_eq!(error, ApiError::new(ErrorCode::Unavailable, "tcp connect error"));
    }
}

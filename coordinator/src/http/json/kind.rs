//! The kinds of failure as HTTP tells them: those of gRPC by its codes, and those of HTTP's own.

use http::StatusCode;
use tonic::Code;

/// The status of a call whose caller has left; nobody's but nginx's, and nobody reads it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What a problem is of, wherever it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name: the last part of a problem's `type`, and its `reason`.
    pub reason: &'static str,
    pub code: Code,
    /// The status of HTTP.
    pub status: u16,
    /// What it is, in a few words that are the same every time.
    pub title: &'static str,
}

/// The address leads to nothing.
pub const UNKNOWN_PATH: Kind = kind("UNKNOWN_PATH", Code::NotFound, 404, "There is nothing at this path");
/// What is at the address is asked for by other methods.
pub const METHOD_NOT_ALLOWED: Kind =
    kind("METHOD_NOT_ALLOWED", Code::Unimplemented, 405, "This path takes other methods");
/// The body is not in a form that is read here.
pub const UNSUPPORTED_MEDIA_TYPE: Kind =
    kind("UNSUPPORTED_MEDIA_TYPE", Code::InvalidArgument, 415, "The body is not sent as JSON");
/// The request did not come to its end in time.
pub const REQUEST_TOO_SLOW: Kind =
    kind("REQUEST_TOO_SLOW", Code::DeadlineExceeded, 408, "The request did not come in time");

const OF_HTTP: [Kind; 4] = [UNKNOWN_PATH, METHOD_NOT_ALLOWED, UNSUPPORTED_MEDIA_TYPE, REQUEST_TOO_SLOW];

/// The codes that a call may fail with.
const CODES: [Code; 16] = [
    Code::Cancelled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
    Code::Unauthenticated,
];

/// As HTTP has it.
pub fn status_of(code: Code) -> u16 {
    Kind::of(code).status
}

impl Kind {
    /// Every one that there is.
    pub fn all() -> impl Iterator<Item = Kind> {
        CODES.into_iter().map(Kind::of).chain(OF_HTTP)
    }

    /// That of a call's code. Our own codes have the names that they have in ErrorInfo (`roost_proto::error`). OUT_OF_RANGE is that of a
    /// request that is too large, and of nothing else; all others have the status that the field gives them.
    pub fn of(code: Code) -> Self {
        match code {
            Code::Ok | Code::Unknown => kind("UNKNOWN", Code::Unknown, 500, "It failed"),
            Code::Cancelled => kind("CANCELLED", code, CLIENT_CLOSED_REQUEST, "The caller has left"),
            Code::InvalidArgument => kind("INVALID_ARGUMENT", code, 400, "Something in the request is wrong"),
            Code::DeadlineExceeded => kind("DEADLINE_EXCEEDED", code, 504, "It took too long"),
            Code::NotFound => kind("NOT_FOUND", code, 404, "There is no such thing"),
            Code::AlreadyExists => kind("ALREADY_EXISTS", code, 409, "It is there already"),
            Code::PermissionDenied => kind("PERMISSION_DENIED", code, 403, "The caller may not do this"),
            Code::ResourceExhausted => kind("EXHAUSTED", code, 429, "Too many at once"),
            Code::FailedPrecondition => {
                kind("FAILED_PRECONDITION", code, 400, "Things stand so that it makes no sense")
            }
            Code::Aborted => kind("SUPERSEDED", code, 409, "Something newer has taken over"),
            Code::OutOfRange => kind("TOO_LARGE", code, 413, "The request is too large"),
            Code::Unimplemented => kind("UNIMPLEMENTED", code, 501, "There is no such call"),
            Code::Internal => kind("INTERNAL", code, 500, "A fault of Roost's own"),
            Code::Unavailable => kind("UNAVAILABLE", code, 503, "Something that it needs is away"),
            Code::DataLoss => kind("CORRUPT", code, 500, "Something stored cannot be read"),
            Code::Unauthenticated => kind("UNAUTHENTICATED", code, 401, "There is no token that is known"),
        }
    }

    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// A reference of a URI that stays the same: the place in the API's description that says what it means.
    pub fn uri(self) -> String {
        format!("/v1/openapi.json#/components/responses/{}", self.reason)
    }
}

const fn kind(reason: &'static str, code: Code, status: u16, title: &'static str) -> Kind {
    Kind { reason, code, status, title }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use roost_proto::error::ErrorCode;

    use super::*;

    #[test]
    fn the_names_of_our_own_codes_are_those_that_travel_over_grpc() {
        for code in ErrorCode::ALL {
            assert_eq!(Kind::of(code.grpc()).reason, code.reason());
        }
    }

    #[test]
    fn every_kind_has_a_name_of_its_own_and_the_status_of_a_failure() {
        let mut reasons = HashSet::new();
        for kind in Kind::all() {
            assert!(reasons.insert(kind.reason), "{kind:?}");
            assert!((400..600).contains(&kind.status), "{kind:?}");
            assert!(
                kind.status == CLIENT_CLOSED_REQUEST || kind.status().canonical_reason().is_some(),
                "{kind:?}"
            );
        }
    }
}

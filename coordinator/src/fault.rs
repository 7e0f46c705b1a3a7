//! What the store's and the registry's errors mean to a caller of the API.
//!
//! Each variant is listed: a new one does not compile until somebody has decided what a caller is told. What a caller
//! cannot mend is logged here, once, with its cause, and the caller is sent to the log.

use std::{error::Error, time::Duration};

use roost_cluster::{ledger::LedgerError, registry::RegistryError};
use roost_model::ids::OperationId;
use roost_proto::error::{ApiError, ErrorCode, Violation};
use roost_store::StoreError;

pub const POSTGRES: &str = "postgres";
pub const ETCD: &str = "etcd";
pub const COORDINATOR: &str = "coordinator";

/// When to try again after a dependency was down: long enough to spare it, short enough for a person who waits.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the caller is told.
pub fn from_store(error: StoreError) -> ApiError {
    match &error {
        StoreError::Unavailable { .. } => {
            tracing::warn!(reason = causes(&error), "call failed for want of the database");
            let message =
                format!("{error}; if the call was to change something, look whether it did, and try again");
            ApiError::unavailable(POSTGRES, RETRY_AFTER, message)
        }
        StoreError::Fenced { tenant, .. } => {
            ApiError::new(ErrorCode::Superseded, format!("{error}; nothing was written"))
                .about("tenant", tenant.as_str())
        }
        StoreError::Deposed { .. } => {
            ApiError::new(ErrorCode::Superseded, format!("{error}; nothing was written"))
        }
        StoreError::NotFound { kind, id } => {
            ApiError::new(ErrorCode::NotFound, format!("{error}; check the id")).about(kind, id)
        }
        StoreError::AlreadyExists { field, value } => already_exists(field, value),
        StoreError::Conflict { operation, .. } => {
            under_way(ErrorCode::FailedPrecondition, *operation, &error)
        }
        StoreError::NotConnected { tenant } => {
            let message =
                format!("{error}; there is nothing to log out, start the worker and scan its QR code first");
            ApiError::new(ErrorCode::FailedPrecondition, message).about("tenant", tenant.as_str())
        }
        StoreError::Corrupt { .. } => {
            tracing::error!(%error, "stored data not readable");
            ApiError::new(ErrorCode::Corrupt, format!("{error}; the coordinator's log has more"))
        }
        StoreError::Url { .. } | StoreError::Refused { .. } | StoreError::Migration { .. } => {
            tracing::error!(reason = causes(&error), "fault in the use of the database");
            ApiError::new(ErrorCode::Internal, format!("{error}; the coordinator's log has the reason"))
        }
    }
}

/// What the caller is told who wanted to start an operation: there is one already.
pub fn from_start(error: StoreError) -> ApiError {
    match &error {
        StoreError::Conflict { operation, .. } => under_way(ErrorCode::AlreadyExists, *operation, &error),
        _ => from_store(error),
    }
}

fn under_way(code: ErrorCode, operation: OperationId, error: &StoreError) -> ApiError {
    let message = format!("{error}; wait for its end, or cancel it");
    ApiError::new(code, message).about("operation", &operation.to_string())
}

/// What the caller is told.
pub fn from_ledger(error: LedgerError) -> ApiError {
    match &error {
        LedgerError::Unavailable { .. } => {
            tracing::warn!(%error, "call failed for want of the database");
            ApiError::unavailable(POSTGRES, RETRY_AFTER, format!("{error}; try again (Postgres)"))
        }
        LedgerError::Deposed { .. } => ApiError::new(ErrorCode::Superseded, error.to_string()),
    }
}

/// What the caller is told.
pub fn from_registry(error: RegistryError) -> ApiError {
    match &error {
        RegistryError::Unavailable { .. } => {
            ApiError::unavailable(ETCD, RETRY_AFTER, format!("{error}; try again"))
        }
        RegistryError::LeaseLost { .. } => ApiError::new(
            ErrorCode::Superseded,
            format!("{error}; what was held under it has passed to others"),
        ),
        RegistryError::Refused { .. } => {
            tracing::error!(%error, "fault in the use of etcd");
            ApiError::new(ErrorCode::Internal, format!("{error}; the coordinator's log has it too"))
        }
        RegistryError::Corrupt { .. } => {
            tracing::error!(%error, "stored data not readable");
            ApiError::new(ErrorCode::Corrupt, format!("{error}; the coordinator's log has it too"))
        }
    }
}

/// The answer until the database has this program's schema.
pub fn not_migrated() -> ApiError {
    let message = "Postgres has not been reached, or its schema not been brought up to date, since the coordinator started; try again";
    ApiError::unavailable(POSTGRES, RETRY_AFTER, message)
}

/// The end of a stream when the coordinator stops.
pub fn stopping() -> ApiError {
    ApiError::unavailable(
        COORDINATOR,
        RETRY_AFTER,
        "the coordinator is stopping; call again, another one may answer",
    )
}

/// An error with everything that caused it, in one line.
pub fn causes(error: &dyn Error) -> String {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The store's field is a column; the caller's is a path in its request.
fn already_exists(field: &str, value: &str) -> ApiError {
    let path = match field {
        "id" => "tenant_id".to_owned(),
        other => format!("tenant.{other}"),
    };
    let description = format!("{value:?} belongs to another tenant; choose another");
    let message = format!("{path}: {description}");
    let violations = vec![Violation { field: path, description }];
    ApiError { violations, ..ApiError::new(ErrorCode::AlreadyExists, message) }.about("tenant", value)
}

#[cfg(test)]
mod tests {
    use roost_model::ids::{Generation, Incarnation, TenantId, Term};

    use super::*;

    fn tenant() -> TenantId {
        TenantId::new("asha").unwrap()
    }

    #[test]
    fn errors_of_the_store_keep_their_meaning() {
        let cases = [
            (StoreError::Fenced { tenant: tenant(), generation: Generation(3) }, ErrorCode::Superseded),
            (StoreError::Deposed { term: Term(3) }, ErrorCode::Superseded),
            (StoreError::NotFound { kind: "tenant", id: "asha".into() }, ErrorCode::NotFound),
            (
                StoreError::AlreadyExists { field: "phone", value: "+255700000001".into() },
                ErrorCode::AlreadyExists,
            ),
            (StoreError::NotConnected { tenant: tenant() }, ErrorCode::FailedPrecondition),
            (StoreError::Corrupt { what: "a column", reason: "x".into() }, ErrorCode::Corrupt),
        ];
        for (error, code) in cases {
            let shown = error.to_string();
            assert_eq!(from_store(error).code, code, "{shown}");
        }
    }

    #[test]
    fn errors_of_the_registry_keep_their_meaning() {
        let reason = || "refused".to_owned();
        let cases = [
            (RegistryError::Unavailable { step: "list", reason: reason() }, ErrorCode::Unavailable),
            (RegistryError::LeaseLost { lease: Incarnation(1) }, ErrorCode::Superseded),
            (RegistryError::Refused { step: "list", reason: reason() }, ErrorCode::Internal),
            (RegistryError::Corrupt { key: "nodes/a".into(), reason: reason() }, ErrorCode::Corrupt),
        ];
        for (error, code) in cases {
            let shown = error.to_string();
            assert_eq!(from_registry(error).code, code, "{shown}");
        }
    }

    #[test]
    fn what_is_down_is_named_with_a_time_to_try_again() {
        let etcd = from_registry(RegistryError::Unavailable { step: "list", reason: "no answer".into() });
        for (error, dependency) in [(not_migrated(), POSTGRES), (etcd, ETCD), (stopping(), COORDINATOR)] {
            let unavailable = error.unavailable.unwrap();
            assert_eq!((unavailable.dependency.as_str(), unavailable.retry_after), (dependency, RETRY_AFTER));
        }
    }

    #[test]
    fn a_taken_value_is_told_by_the_path_of_its_field() {
        let path = |field| {
            from_store(StoreError::AlreadyExists { field, value: "x".into() }).violations[0].field.clone()
        };
        assert_eq!(path("id"), "tenant_id");
        assert_eq!(path("phone"), "tenant.phone");
    }
}

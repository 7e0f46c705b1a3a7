//! What the application's errors mean to a caller of the API.
//!
//! Each variant is listed: a new one does not compile until somebody has decided what a caller is told. What a caller
//! cannot mend is logged here, once, with its cause, and the caller is sent to the log.

use std::time::Duration;

use roost_cluster::{
    ledger::{LedgerError, RefusalKind},
    registry::RegistryError,
};
use roost_model::{
    causes,
    ids::{NodeId, OperationId},
};
use roost_proto::error::{ApiError, ErrorCode, Violation};
use roost_store::{OperationState, RestoreRefusal, StoreError};
use tonic::Status;

use crate::{
    app::{
        Error, FailedMigration, Refusal,
        health::{ETCD, POSTGRES},
    },
    node_rpc::{NodeFailure, NodeSilence},
};

pub const COORDINATOR: &str = "coordinator";
const NODE: &str = "node";

/// When to try again after a dependency was down: long enough to spare it, short enough for a person who waits.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        ApiError::from(error).into()
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => from_store(&error),
            Error::Feed(error) => from_store(&error),
            Error::Ledger(error) => from_ledger(error),
            Error::Registry(error) => from_registry(error),
            Error::NotMigrated(failed) => not_migrated(failed.as_ref()),
            Error::Refused(refusal) => from_refusal(&refusal),
            Error::OperationRuns { operation, what } => under_way(ErrorCode::AlreadyExists, operation, &what),
            Error::OperationOver { id, state } => operation_over(id, state),
            Error::OperationNotPaused { id, state } => not_paused(id, state),
            Error::NoOperation { id } => no_operation(id),
            Error::UnknownNode { node } => unknown_node(&node),
            Error::Node(failure) => node_failed(failure),
            Error::NoNodeForImport { .. } => ApiError::unavailable(
                NODE,
                RETRY_AFTER,
                format!("{error}; see `roost node list`, and try again"),
            ),
            Error::ImportBrokenOff => ApiError::new(ErrorCode::InvalidArgument, error.to_string()),
            Error::TooManyStreams { limit } => too_many_streams(limit),
            Error::TooSlow => too_slow(),
            Error::Stopping => stopping(),
        }
    }
}

fn from_store(error: &StoreError) -> ApiError {
    if let Some(kind) = error.refusal() {
        return refused(kind, error);
    }
    match error {
        StoreError::Unavailable { .. } => {
            tracing::warn!(error = %causes(error), "call failed for want of the database");
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
            under_way(ErrorCode::FailedPrecondition, *operation, &error.to_string())
        }
        StoreError::TooLarge { field } => {
            let description =
                "with what the tenant has already it is too large; remove some first".to_owned();
            let violations = vec![Violation { field: format!("tenant.{field}"), description }];
            ApiError { violations, ..ApiError::new(ErrorCode::InvalidArgument, error.to_string()) }
        }
        StoreError::RequestOverLimit => {
            let description = "is over the tenant's memory_limit_bytes; raise that, or give less".to_owned();
            let violations = vec![Violation { field: "tenant.memory_request_bytes".to_owned(), description }];
            ApiError { violations, ..ApiError::new(ErrorCode::InvalidArgument, error.to_string()) }
        }
        StoreError::NoVersion { kind } => {
            let description = format!("there is no {kind} of this name: see `roost version list`");
            let field = format!("tenant.browser.{}", kind.replace(' ', "_"));
            let violations = vec![Violation { field, description }];
            ApiError { violations, ..ApiError::new(ErrorCode::InvalidArgument, error.to_string()) }
        }
        StoreError::VersionInUse { name } => {
            let message = format!("{error}; `roost version list` says by whom, pin another one first");
            ApiError::new(ErrorCode::FailedPrecondition, message).about("version", name)
        }
        StoreError::VersionTaken { name } => {
            let message = format!("{error}; what is kept under a name stays: choose another");
            ApiError::new(ErrorCode::AlreadyExists, message).about("version", name)
        }
        StoreError::TooManyVersions { .. } => {
            let message = format!("{error}; delete one that nobody has (`roost version delete`)");
            ApiError::new(ErrorCode::FailedPrecondition, message)
        }
        StoreError::TokenNameTaken { name } => {
            let message = format!("{error}; revoke it (`roost token revoke`), or choose another name");
            ApiError::new(ErrorCode::AlreadyExists, message).about("token", name)
        }
        StoreError::TooManyTokens { .. } => {
            let message = format!("{error}; revoke those that nobody uses (`roost token list`)");
            ApiError::new(ErrorCode::FailedPrecondition, message)
        }
        StoreError::ChatChanged { .. } => {
            let message = format!("{error}; look at it, and take it over first (`roost chat take-over`)");
            ApiError::new(ErrorCode::FailedPrecondition, message)
        }
        StoreError::SetupRequestClosed { .. } => {
            let message = format!("{error}: nothing was changed, for only one that is open is decided about");
            ApiError::new(ErrorCode::FailedPrecondition, message)
        }
        StoreError::TooManyPairingCodes { tenant, .. } => {
            let message = format!("{error}; its QR code may be scanned meanwhile");
            ApiError::new(ErrorCode::Exhausted, message).about("tenant", tenant.as_str())
        }
        StoreError::TooManySetupRequests { .. } => {
            ApiError::new(ErrorCode::FailedPrecondition, format!("{error}; try again tomorrow"))
        }
        StoreError::TooManyInvitations { .. } => {
            let message =
                format!("{error}; remove those that nobody uses (`roost member list`, `roost user list`)");
            ApiError::new(ErrorCode::FailedPrecondition, message)
        }
        StoreError::UserExists { email } => {
            let message =
                format!("{error}; `roost user set-role` gives another role, `roost user reset` a new link");
            ApiError::new(ErrorCode::AlreadyExists, message).about("user", email)
        }
        StoreError::UserOfCluster { email } => {
            let message =
                format!("{error}, whose password an admin alone resets, with the phone: `roost user reset`");
            ApiError::new(ErrorCode::FailedPrecondition, message).about("user", email)
        }
        StoreError::BeingDeleted { tenant } => {
            let message = format!("{error}: try again when its messages are removed, or choose another id");
            ApiError::new(ErrorCode::FailedPrecondition, message).about("tenant", tenant.as_str())
        }
        StoreError::NotConnected { tenant } => {
            let message =
                format!("{error}; there is nothing to log out, start the worker and scan its QR code first");
            ApiError::new(ErrorCode::FailedPrecondition, message).about("tenant", tenant.as_str())
        }
        StoreError::NotRestorable { tenant, refusal, .. } => {
            let code = match refusal {
                RestoreRefusal::NotListed => ErrorCode::NotFound,
                RestoreRefusal::Damaged
                | RestoreRefusal::PassedOver
                | RestoreRefusal::OfSessionBefore
                | RestoreRefusal::BeingForgotten => ErrorCode::FailedPrecondition,
            };
            let message = format!("{error}; `roost session snapshots {tenant}` lists which it can");
            ApiError::new(code, message).about("tenant", tenant.as_str())
        }
        StoreError::NotImportable { tenant, .. } => {
            ApiError::new(ErrorCode::FailedPrecondition, error.to_string()).about("tenant", tenant.as_str())
        }
        StoreError::Corrupt { .. } => {
            tracing::error!(error = %causes(error), "stored data not readable");
            ApiError::new(ErrorCode::Corrupt, format!("{error}; the coordinator's log has more"))
        }
        StoreError::Url { .. }
        | StoreError::Unusable { .. }
        | StoreError::Refused { .. }
        | StoreError::Encoding { .. }
        | StoreError::Migration { .. } => {
            tracing::error!(error = %causes(error), "fault in the use of the database");
            ApiError::new(ErrorCode::Internal, format!("{error}; the coordinator's log has the reason"))
        }
    }
}

/// Postgres is up, and nobody need look whether it runs: it has written nothing.
fn refused(kind: RefusalKind, error: &(dyn std::error::Error + 'static)) -> ApiError {
    let why = causes(error);
    match kind {
        RefusalKind::Passing => {
            tracing::warn!(error = %causes(error), "call given up by the database");
            let message =
                format!("Postgres is up and could not do it now: {why}; nothing was written, try again");
            ApiError::unavailable(POSTGRES, RETRY_AFTER, message)
        }
        RefusalKind::Value => {
            let message =
                format!("the database does not take a value of this call: {why}; nothing was written");
            ApiError::new(ErrorCode::InvalidArgument, message)
        }
        RefusalKind::Precondition => {
            tracing::warn!(error = %causes(error), "call refused by the database");
            let message = format!("the database is not as this call needs it: {why}; nothing was written");
            ApiError::new(ErrorCode::FailedPrecondition, message)
        }
        RefusalKind::Fault => {
            tracing::error!(error = %causes(error), "fault in the use of the database");
            let message = format!(
                "Postgres is up and refused: {why}; nothing was written, the coordinator's log has it too"
            );
            ApiError::new(ErrorCode::Internal, message)
        }
    }
}

fn node_failed(failure: NodeFailure) -> ApiError {
    match failure {
        NodeFailure::Refused(error) => error,
        NodeFailure::Silent(silence) => node_silent(&silence),
        NodeFailure::BrokenOff { .. } => ApiError::unavailable(NODE, RETRY_AFTER, failure.to_string()),
    }
}

fn node_silent(silence: &NodeSilence) -> ApiError {
    match silence {
        // It stays so until somebody has done what it says.
        NodeSilence::OldVersion { .. }
        | NodeSilence::ForeignSecret { .. }
        | NodeSilence::WithTls { .. }
        | NodeSilence::WithoutTls { .. }
        | NodeSilence::Tls { .. } => ApiError::new(ErrorCode::FailedPrecondition, silence.to_string()),
        NodeSilence::NotLive { .. } | NodeSilence::Unreachable { .. } | NodeSilence::NotHeld { .. } => {
            ApiError::unavailable(
                NODE,
                RETRY_AFTER,
                format!("{silence}; see `roost node list`, and try again"),
            )
        }
    }
}

fn under_way(code: ErrorCode, operation: OperationId, what: &str) -> ApiError {
    let message = format!("{what}; wait for its end, or cancel it");
    ApiError::new(code, message).about("operation", &operation.to_string())
}

fn from_ledger(error: LedgerError) -> ApiError {
    match &error {
        LedgerError::Unavailable { .. } => {
            tracing::warn!(error = %causes(&error), "call failed for want of the database");
            ApiError::unavailable(POSTGRES, RETRY_AFTER, format!("{error}; try again (Postgres)"))
        }
        LedgerError::Refused { kind, .. } => refused(*kind, &error),
        LedgerError::Corrupt { .. } => {
            tracing::error!(error = %causes(&error), "stored data not readable");
            ApiError::new(ErrorCode::Corrupt, format!("{error}; the coordinator's log has it too"))
        }
        LedgerError::Deposed { .. } => ApiError::new(ErrorCode::Superseded, error.to_string()),
    }
}

fn from_registry(error: RegistryError) -> ApiError {
    match &error {
        // The call that found it out; the next one is answered by the etcd that there is now.
        RegistryError::Unavailable { .. } | RegistryError::Replaced { .. } => {
            ApiError::unavailable(ETCD, RETRY_AFTER, format!("{error}; try again"))
        }
        RegistryError::LeaseLost { .. } => ApiError::new(
            ErrorCode::Superseded,
            format!("{error}; what was held under it has passed to others"),
        ),
        RegistryError::Refused { .. } => {
            tracing::error!(error = %causes(&error), "fault in the use of etcd");
            ApiError::new(ErrorCode::Internal, format!("{error}; the coordinator's log has it too"))
        }
        RegistryError::Corrupt { .. } => {
            tracing::error!(error = %causes(&error), "stored data not readable");
            ApiError::new(ErrorCode::Corrupt, format!("{error}; the coordinator's log has it too"))
        }
    }
}

/// The answer until the database has this program's schema.
fn not_migrated(failed: Option<&FailedMigration>) -> ApiError {
    match failed {
        None => {
            let message = "the coordinator has just started and not reached Postgres yet; try again";
            ApiError::unavailable(POSTGRES, RETRY_AFTER, message)
        }
        Some(FailedMigration { is_away: true, reason }) => {
            let message =
                format!("Postgres has not been reached since the coordinator started: {reason}; try again");
            ApiError::unavailable(POSTGRES, RETRY_AFTER, message)
        }
        // It is up: nobody need look whether it runs.
        Some(FailedMigration { is_away: false, reason }) => {
            let message = format!("Postgres is up, and its schema cannot be brought up to date: {reason}");
            ApiError::new(ErrorCode::Internal, message)
        }
    }
}

/// The end of a stream whose caller did not read for long.
fn too_slow() -> ApiError {
    let message = format!("{}; call again to begin with how things stand", Error::TooSlow);
    ApiError::unavailable(COORDINATOR, RETRY_AFTER, message)
}

/// The end of a stream when the coordinator stops.
fn stopping() -> ApiError {
    ApiError::unavailable(
        COORDINATOR,
        RETRY_AFTER,
        "the coordinator is stopping; call again, another one may answer",
    )
}

/// The answer to a call that took too long to be waited for.
pub fn answer_overdue(within: Duration) -> ApiError {
    let message = format!(
        "the call was given up after {} s; if it was to change something, look whether it did, and try again",
        within.as_secs()
    );
    ApiError::unavailable(COORDINATOR, RETRY_AFTER, message)
}

fn too_many_streams(limit: usize) -> ApiError {
    let message = format!("this coordinator has {limit} streams open already; end some, or call another one");
    ApiError::new(ErrorCode::Exhausted, message)
}

fn unknown_node(node: &NodeId) -> ApiError {
    let message = format!("there is no live node {:?}; check the id, or start the node", node.as_str());
    ApiError::new(ErrorCode::NotFound, message).about("node", node.as_str())
}

fn no_operation(id: OperationId) -> ApiError {
    let message = format!("there is no operation {id}; list them to see which there are");
    ApiError::new(ErrorCode::NotFound, message).about("operation", &id.to_string())
}

fn operation_over(id: OperationId, state: OperationState) -> ApiError {
    let message = format!("operation {id} {} already; there is nothing to cancel", how_it_is(state));
    ApiError::new(ErrorCode::FailedPrecondition, message).about("operation", &id.to_string())
}

fn not_paused(id: OperationId, state: OperationState) -> ApiError {
    let message =
        format!("operation {id} {} and has not paused; there is nothing to resume", how_it_is(state));
    ApiError::new(ErrorCode::FailedPrecondition, message).about("operation", &id.to_string())
}

fn how_it_is(state: OperationState) -> &'static str {
    match state {
        OperationState::Done => "is done",
        OperationState::Failed => "has failed",
        OperationState::Cancelled => "was cancelled",
        OperationState::Running => "runs",
    }
}

fn from_refusal(refusal: &Refusal) -> ApiError {
    let message = refusal.to_string();
    let failed =
        |kind, id: &str| ApiError::new(ErrorCode::FailedPrecondition, message.clone()).about(kind, id);
    match refusal {
        Refusal::NoLiveNode { node } => {
            ApiError::new(ErrorCode::NotFound, message).about("node", node.as_str())
        }
        Refusal::NoTenant { tenant } => {
            ApiError::new(ErrorCode::NotFound, message).about("tenant", tenant.as_str())
        }
        Refusal::NodeAway { node } | Refusal::LastOpenNode { node } | Refusal::NotAdmitted { node, .. } => {
            failed("node", node.as_str())
        }
        Refusal::TenantStopped { tenant }
        | Refusal::NoCode { tenant, .. }
        | Refusal::NoPairing { tenant, .. }
        | Refusal::ScanPaused { tenant }
        | Refusal::NoWorkerRuns { tenant }
        | Refusal::ThereAlready { tenant, .. }
        | Refusal::PinnedElsewhere { tenant, .. } => failed("tenant", tenant.as_str()),
        Refusal::NoRollout { version, .. } => failed("version", version),
        Refusal::AllThereAlready { node } => failed("node", node.as_str()),
        Refusal::NoUndo { operation, .. } => failed("operation", &operation.to_string()),
        Refusal::NoneChosen { .. }
        | Refusal::TooManyChosen { .. }
        | Refusal::NoneCanMove { .. }
        | Refusal::NoSecretsKey { .. } => ApiError::new(ErrorCode::FailedPrecondition, message),
    }
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
mod tests;

//! What can go wrong in a call to etcd, by what the caller can do about it.

use std::time::Duration;

use etcd_client::Error;
use roost_model::{causes, ids::Incarnation};
use roost_tls::advice;
use tonic::{Code, Status};

use crate::registry::RegistryError;

const NO_USER: &str = "etcdserver: user name is empty";
const WRONG_PASSWORD: &str = "etcdserver: authentication failed, invalid user ID or password";

/// [`RegistryError`] before it is known which lease it is about.
#[derive(Debug)]
pub(super) enum Fault {
    Unavailable {
        step: &'static str,
        reason: String,
    },
    LeaseGone {
        step: &'static str,
    },
    Refused {
        step: &'static str,
        code: Option<Code>,
        reason: String,
    },
    Replaced {
        step: &'static str,
        reason: String,
    },
    /// It has forgotten who we are, and a new login is the next call's.
    TokenGone {
        step: &'static str,
        reason: String,
    },
    /// It wants to know a user, or knows ours and does not let it.
    Unauthorised {
        step: &'static str,
        reason: String,
    },
}

impl Fault {
    pub(super) fn timed_out(step: &'static str, after: Duration) -> Self {
        Self::Unavailable { step, reason: format!("no answer within {after:?}") }
    }

    /// An answer without its header: not from an etcd that can be worked with.
    pub(super) fn bare_answer(step: &'static str) -> Self {
        Self::Unavailable { step, reason: "the answer has no header".to_owned() }
    }

    pub(super) fn from_client(step: &'static str, error: Error) -> Self {
        // The client's error is without a source; its transport's has the reason there.
        let reason = match &error {
            Error::TransportError(transport) => causes(transport).to_string(),
            other => causes(other).to_string(),
        };
        match error {
            Error::GRpcStatus(status) if advice(&status).is_some() => {
                let reason = advice(&status).map(|advice| advice.to_string()).unwrap_or(reason);
                Self::Unavailable { step, reason: format!("no TLS with it: {reason}") }
            }
            Error::GRpcStatus(status) => Self::from_status(step, &status),
            // The client says this for one reason only: the keepalive was answered with a time to live of zero.
            Error::LeaseKeepAliveError(_) => Self::LeaseGone { step },
            Error::IoError(_) | Error::TransportError(_) | Error::WatchError(_) | Error::Internal(_) => {
                Self::Unavailable { step, reason }
            }
            Error::InvalidArgs(_)
            | Error::InvalidUri(_)
            | Error::Utf8Error(_)
            | Error::ElectError(_)
            | Error::InvalidMetadataValue(_)
            | Error::EndpointError(_)
            | Error::EndpointsNotManaged => Self::Refused { step, code: None, reason },
        }
    }

    /// `Refused` only where etcd says that nothing was written.
    fn from_status(step: &'static str, status: &Status) -> Self {
        let reason = format!("{:?}: {}", status.code(), status.message());
        match status.code() {
            // Of the calls made here only those that name a lease can be answered so.
            Code::NotFound => Self::LeaseGone { step },
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Self::Unavailable { step, reason },
            Code::Unauthenticated => Self::TokenGone { step, reason },
            Code::PermissionDenied => Self::Unauthorised { step, reason },
            // Of a call without a name, where authentication is on, and of a wrong name; their code is that of any wrong argument.
            Code::InvalidArgument if [NO_USER, WRONG_PASSWORD].contains(&status.message()) => {
                Self::Unauthorised { step, reason }
            }
            Code::InvalidArgument
            | Code::AlreadyExists
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented => Self::Refused { step, code: Some(status.code()), reason },
        }
    }

    /// What etcd says of a revision that has been compacted already, or that has not been yet.
    pub(super) fn is_out_of_range(&self) -> bool {
        matches!(self, Self::Refused { code: Some(Code::OutOfRange), .. })
    }

    pub(super) fn about(self, lease: Option<Incarnation>) -> RegistryError {
        match (self, lease) {
            (Self::Unavailable { step, reason } | Self::TokenGone { step, reason }, _) => {
                RegistryError::Unavailable { step, reason }
            }
            (Self::Refused { step, reason, .. } | Self::Unauthorised { step, reason }, _) => {
                RegistryError::Refused { step, reason }
            }
            (Self::Replaced { step, reason }, _) => RegistryError::Replaced { step, reason },
            (Self::LeaseGone { .. }, Some(lease)) => RegistryError::LeaseLost { lease },
            (Self::LeaseGone { step }, None) => RegistryError::Refused {
                step,
                reason: "it knows no such lease, and none was named".to_owned(),
            },
        }
    }
}

impl From<Fault> for RegistryError {
    fn from(fault: Fault) -> Self {
        fault.about(None)
    }
}

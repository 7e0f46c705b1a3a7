//! How a command fails: one line on stderr that says what is wrong and what to do, and exit code 1.

use std::{error::Error, io, process::ExitCode};

#[cfg(feature = "dev")]
use roost_devcluster::DevError;
use roost_proto::error::ApiError;
use roost_secrets::SecretFileError;
use roost_tls::{Advice, advice};
use tonic::{Code, Status};

use crate::{bot_profile::ProfileError, target::TargetError, text::to_stderr};

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The coordinator answered with an error.
    #[error("{}", of_api(.0))]
    Api(Box<ApiError>),
    /// The coordinator did not answer.
    #[error(
        "no answer from the coordinator: {reason}; is it running, and is the address right, with https:// where it serves TLS? \
         (--addr, ROOST_ADDR)"
    )]
    Unreachable { reason: String },
    /// Certificates are wrong, here or there.
    #[error("no TLS with the coordinator: {advice}; {}", to_do(.advice))]
    Tls { advice: Advice },
    /// gRPC itself failed.
    #[error("the call ended with {code:?}: {message}")]
    Call { code: Code, message: String },
    #[error("cannot print")]
    Print(#[source] io::Error),
    #[error(transparent)]
    SecretFile(SecretFileError),
    #[error("cannot read {what}")]
    Input { what: String, source: io::Error },
    #[error("cannot write {what}")]
    Output { what: String, source: io::Error },
    #[error("{what} is not valid")]
    Invalid { what: String, source: serde_json::Error },
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error("{0}")]
    Refused(String),
    /// Ctrl-C while an operation was followed.
    #[error(
        "stopped watching; operation {operation} goes on (`roost operation watch {operation}`, \
         `roost operation cancel {operation}`)"
    )]
    StoppedWatching { operation: i64 },
    #[cfg(feature = "dev")]
    #[error(transparent)]
    Dev(#[from] DevError),
}

/// What a shell says of a command that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

impl Failure {
    /// Prints it and gives the exit code. A reader that went away (`roost ... | head`) is no error.
    pub fn report(self) -> ExitCode {
        if let Failure::Print(source) = &self
            && source.kind() == io::ErrorKind::BrokenPipe
        {
            return ExitCode::SUCCESS;
        }
        if let Failure::StoppedWatching { .. } = self {
            to_stderr(&self.to_string());
            return ExitCode::from(INTERRUPTED);
        }
        to_stderr(&format!("error: {}", self.line()));
        ExitCode::FAILURE
    }

    /// The error with its causes. Only the errors of the local cluster have more than a line: the end of a log.
    pub fn line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(source) = cause {
            line.push_str(": ");
            line.push_str(&source.to_string());
            cause = source.source();
        }
        match self {
            #[cfg(feature = "dev")]
            Failure::Dev(_) => line.trim_end().to_owned(),
            _ => line.lines().collect::<Vec<_>>().join(" "),
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        // A status that this side made because nothing answered has its cause as source; one from the wire has none.
        if status.source().is_some()
            && matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal)
        {
            let unreachable = || Failure::Unreachable { reason: innermost(&status) };
            return advice(&status).map_or_else(unreachable, |advice| Failure::Tls { advice });
        }
        match ApiError::from_status(&status) {
            Some(error) => Failure::Api(Box::new(error)),
            None => Failure::Call { code: status.code(), message: status.message().to_owned() },
        }
    }
}

/// What mends it.
fn to_do(advice: &Advice) -> &'static str {
    match advice {
        Advice::NotTrusted => "give the file of its authority's certificate with --ca-file (ROOST_CA_FILE)",
        Advice::OtherName { .. } => {
            "give one of these names in --addr, or have the coordinator's certificate made for this one"
        }
        Advice::NotTls => "give its address as http://HOST:PORT, or the one that it serves TLS at",
        Advice::WantsCertificate => {
            "give yours with --cert-file and --key-file (ROOST_CERT_FILE, ROOST_KEY_FILE)"
        }
        Advice::Refused(_) => {
            "give one with --cert-file and --key-file that an authority in the coordinator's --tls-client-ca-file has signed"
        }
        Advice::Ended | Advice::NotYet | Advice::Certificate(_) | Advice::Other(_) => {
            "see --ca-file here, and the files of the coordinator's --tls-cert-file"
        }
    }
}

fn innermost(status: &Status) -> String {
    let mut reason: &dyn Error = status;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

fn of_api(error: &ApiError) -> String {
    let fields: Vec<String> =
        error.violations.iter().map(|wrong| format!("{}: {}", wrong.field, wrong.description)).collect();
    let message = if fields.is_empty() { error.message.clone() } else { fields.join("; ") };
    match &error.unavailable {
        Some(down) => format!("{message} (try again in {})", humantime::format_duration(down.retry_after)),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use roost_proto::error::{ErrorCode, Violation};

    use super::*;

    fn line(error: ApiError) -> String {
        Failure::from(Status::from(error)).line()
    }

    #[test]
    fn all_wrong_fields_are_in_the_line() {
        let wrong = |field: &str, description: &str| Violation {
            field: field.into(),
            description: description.into(),
        };
        let error =
            ApiError::invalid(vec![wrong("tenant.phone", "takes E.164"), wrong("tenant_id", "is too long")]);
        assert_eq!(line(error), "tenant.phone: takes E.164; tenant_id: is too long");
    }

    #[test]
    fn a_dependency_that_is_down_says_when_to_try_again() {
        let error = ApiError::unavailable("postgres", Duration::from_secs(2), "postgres does not answer");
        assert_eq!(line(error), "postgres does not answer (try again in 2s)");
    }

    #[test]
    fn a_message_of_many_lines_becomes_one() {
        let error = ApiError::new(ErrorCode::NotFound, "there is no\ntenant x");
        assert_eq!(line(error), "there is no tenant x");
    }
}

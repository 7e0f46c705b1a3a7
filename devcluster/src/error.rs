//! What can go wrong while a private server is started, stopped or waited for.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

/// Shorthand for the results of this module tree.
pub type Result<T, E = DevError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum DevError {
    #[error("{program} is not installed; run: make deps")]
    MissingProgram { program: String },
    #[error("{program} is not there; it is built with this program: cargo build --workspace", program = .program.display())]
    NotBuilt { program: PathBuf },
    #[error("no {what}; run: make deps (or set {variable})")]
    NotFound { what: &'static str, variable: &'static str },
    #[error("cannot {step} {path}", path = .path.display())]
    File { step: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot start {name}")]
    Spawn { name: String, source: io::Error },
    #[error("cannot signal {name} (pid {pid})")]
    Signal { name: String, pid: u32, source: io::Error },
    #[error("{name} ended with {status} before it was ready; the end of its log {log}:\n{tail}", log = .log.display())]
    Exited { name: String, status: ExitStatus, log: PathBuf, tail: String },
    #[error("{name} was not ready after {waited:?}: {last}; the end of its log {log}:\n{tail}", log = .log.display())]
    NotReady { name: String, waited: Duration, last: String, log: PathBuf, tail: String },
    #[error("the state directory {dir} has a name that is not text (UTF-8), which dev.json could not hold; give another --state-dir", dir = .dir.display())]
    NotText { dir: PathBuf },
    #[error("gave up after {waited:?} waiting until {what}")]
    TimedOut { what: String, waited: Duration },
    #[error("{dir} belongs to a `roost dev` that runs (pid {pid}); stop it, or give another --state-dir", dir = .dir.display())]
    InUse { dir: PathBuf, pid: String },
    #[error("{path} does not hold what was expected", path = .path.display())]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error("there is no node {id} in this cluster")]
    UnknownNode { id: String },
    #[error("there is no simulator: the cluster runs against {page_url}")]
    NoSimulator { page_url: String },
    #[error("the simulator refused {call}: {reason}")]
    Simulator { call: String, reason: String },
    #[error("the simulator does not answer {call}")]
    SimulatorGone { call: String, source: reqwest::Error },
    #[error("{url} does not answer")]
    Unanswered { url: String, source: reqwest::Error },
    #[error("a certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    #[error(transparent)]
    Tls(#[from] roost_tls::TlsFileError),
    #[error(transparent)]
    Admin(#[from] roost_proto::client::AdminError),
    #[error("the coordinator failed to {step}: {}", .status.message())]
    Call { step: String, status: Box<tonic::Status> },
    #[error("{what}\n{diagnosis}")]
    Diagnosed { what: String, diagnosis: String },
    #[error("no free loopback port below the range of outgoing connections")]
    NoFreePort,
    #[error("PostgreSQL does not run as root, and there is neither a user postgres nor nobody to run it as")]
    NoUnprivilegedUser,
    #[error("initdb failed with {status}:\n{output}")]
    Initdb { status: ExitStatus, output: String },
}

impl DevError {
    /// What an operation on a file that failed becomes.
    pub fn file(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { step, path: path.to_owned(), source }
    }

    /// What a call that failed becomes.
    pub fn call(step: impl Into<String>) -> impl FnOnce(tonic::Status) -> Self {
        move |status| Self::Call { step: step.into(), status: Box::new(status) }
    }
}

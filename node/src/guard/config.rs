//! What a guard is to run, and why it ends.

use std::{ffi::OsString, io, path::PathBuf, time::Duration};

use super::restarts::RestartPolicy;

/// The exit code of a child that must not be started again: it was refused, and would be again. The guard's is the same, for
/// whatever would start that again (RestartPreventExitStatus in the shipped unit).
pub const EXIT_REFUSED: u8 = 3;

/// What to run. The standard output of `child` speaks `protocol`.
#[derive(Debug, Clone)]
pub struct GuardConfig {
    pub child: Program,
    /// Ends the leases whose ids it is told: one line on its standard input, once they may end. See [`crate::revoke`].
    pub revoke: Program,
    pub restarts: RestartPolicy,
    /// How long a child that was asked to stop may take.
    pub grace: Duration,
}

#[derive(Debug, Clone)]
pub struct Program {
    pub path: PathBuf,
    pub args: Vec<OsString>,
}

/// Why the guard ended other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error("{program} could not be started", program = program.display())]
    Spawn { program: PathBuf, source: io::Error },
    #[error("a system call of the guard failed")]
    System(#[from] io::Error),
    #[error("the node was refused and is not started again; its own last message says why")]
    Refused,
    #[error("the node was restarted {max} times within {window:?} and is not started again")]
    GaveUp { max: u32, window: Duration },
    #[error("the node had to be killed: it did not stop within {grace:?}")]
    StopOverdue { grace: Duration },
}

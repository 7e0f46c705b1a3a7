//! `roost-node launch`: becomes a browser that dies with the node's child and is not root.
//!
//! The death signal has to be set by the process itself between fork and exec, and hooks there need unsafe code; so this
//! program is the hook. The kernel sends the signal when the *thread* that forked ends, hence the rule for whoever starts
//! one: only from a thread that lives as long as the runtime (a tokio worker thread or the main thread), never within
//! `spawn_blocking` or `block_in_place`.
//!
//! The order matters: a change of user clears the death signal, so it is set last, and only then is the parent's pid a
//! proof that the signal will come.

use std::{ffi::OsString, io, os::unix::process::CommandExt, process::Command};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::run_as::{RunAs, SwitchUserError};

/// Why there is no browser.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    #[error("no program was given")]
    NoProgram,
    #[error(transparent)]
    SwitchUser(#[from] SwitchUserError),
    #[error("the death signal could not be set")]
    DeathSignal(#[source] io::Error),
    /// The death signal came too late to be sent, so this process ends by itself.
    #[error("the process {parent} that asked for it is gone")]
    Orphaned { parent: i32 },
    #[error("{program:?} could not be executed")]
    Exec { program: OsString, source: io::Error },
}

/// Ties this process to its parent: SIGKILL when that dies. Fails when it is dead already.
pub fn die_with(parent: i32) -> Result<(), ExecError> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| ExecError::DeathSignal(error.into()))?;
    // Only after the signal is set is the parent's pid a proof that the signal will come.
    if getppid().map(Pid::as_raw_pid) == Some(parent) { Ok(()) } else { Err(ExecError::Orphaned { parent }) }
}

/// Becomes that user, ties this process to `parent` and becomes `command`. Returns only when that fails.
pub fn exec_with_parent_death(parent: i32, run_as: RunAs, command: &[OsString]) -> ExecError {
    let Some((program, args)) = command.split_first() else { return ExecError::NoProgram };
    if let Err(error) = run_as.become_it().map_err(ExecError::from).and_then(|()| die_with(parent)) {
        return error;
    }
    // The signal survives exec.
    let source = Command::new(program).args(args).exec();
    ExecError::Exec { program: program.clone(), source }
}

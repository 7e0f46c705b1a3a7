//! The program that ends leases: a process of its own, because the guard must never wait for a network. It is started
//! while the browsers are still dying, so that it has its connection by the time that it is told; one that is told
//! nothing, because the guard died first, does nothing.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    process::{ChildStdin, Command, Stdio},
};

use roost_model::causes;
use rustix::process::Pid;

use super::config::{GuardError, Program};

/// Started, and waiting for the word.
#[derive(Debug)]
pub(super) struct Revoker {
    pid: Pid,
    input: ChildStdin,
}

impl Revoker {
    pub(super) fn start(program: &Program) -> Result<Self, GuardError> {
        let failed = |source| GuardError::Spawn { program: program.path.clone(), source };
        let mut started = Command::new(&program.path)
            .args(&program.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let input = started.stdin.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        // Its end is collected by `tree::reap` with all the others, and not waited for.
        Ok(Self { pid: Pid::from_child(&started), input })
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Nothing lives under these leases any more.
    pub(super) fn revoke(mut self, leases: &BTreeSet<i64>) {
        let line: Vec<String> = leases.iter().map(ToString::to_string).collect();
        // A pipe takes so little without waiting; one that nobody reads leaves the leases to their TTL.
        if let Err(error) = writeln!(self.input, "{}", line.join(" ")) {
            tracing::warn!(error = %causes(&error), ?leases, "the leases of the dead node run out by themselves");
        }
    }
}

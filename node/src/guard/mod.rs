//! The guard: the parent of the process that does the work. It makes sure that no browser outlives the node's right to
//! run it (I1), also when that process is killed, hangs, or is frozen, when its own deadline is of no use.
//!
//! Why it can be trusted with that: it is one thread, it waits in one `poll` whose timer is on CLOCK_BOOTTIME, it talks
//! to no network, takes no lock, and writes no log until nothing is left to kill. All it knows comes over one pipe
//! (`protocol`); what it kills it finds in the process tree (`tree`), announced or not.
//!
//! ```text
//!          +-> child runs --- deadline passed, not stood down --+
//!          |      |  \------- cannot be understood -------------+--> kill browsers --> kill child
//!          |      |   \------ asked to stop, too slow ----------+                           |
//!          |      +---------- dead ------------------------------> kill browsers            |
//!          |                                                              \                /
//!          |                                                           wait until none is left
//!          |                                                                     |
//!          +--- back-off --- end the lease (a process of its own) <--------------+--> stop, if asked to
//! ```
//!
//! The browsers that it was told of are killed first, before it looks for others; the process that ends the leases is
//! started while they die.
//!
//! When the guard itself is killed, the kernel kills the child (parent death signal), and with it the browsers (theirs).
//! When guard and child are frozen together nothing of ours runs, so nothing can be promised until they thaw; then the
//! timer fires before the child can have renewed anything.

mod life;
mod link;
mod protocol;
mod restarts;
mod revoker;
mod signals;
mod tree;

use std::{
    error,
    ffi::OsString,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::process::{getpid, set_child_subreaper};

pub use link::GuardLink;
pub use protocol::Message;
pub use restarts::RestartPolicy;

use life::{Ending, Life};
use restarts::Restarts;
use revoker::Revoker;
use signals::Signals;

/// The exit code of a child that must not be started again: it was refused, and would be again.
pub const EXIT_REFUSED: u8 = 3;

/// What to run. The standard output of `child` speaks `protocol`.
#[derive(Debug, Clone)]
pub struct Plan {
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

/// Runs the child until it ends by itself, is asked to stop, is refused, or has crashed too often.
pub fn run(plan: &Plan) -> Result<(), GuardError> {
    let signals = Signals::register()?;
    set_child_subreaper(Some(getpid())).map_err(io::Error::from)?;
    let mut restarts = Restarts::new(plan.restarts);
    loop {
        let mut life = Life::begin(&plan.child)?;
        let ending = match life.watch(&signals, plan.grace) {
            Ok(ending) => ending,
            Err(error) => {
                // A guard that cannot watch must not leave anything unwatched.
                life.end(None)?;
                return Err(error);
            }
        };
        if matches!(ending, Ending::Exited(0)) {
            // It gave its leases back itself.
            return life.end(None);
        }
        end(&mut life, &plan.revoke)?;
        match ending {
            Ending::Exited(code) if code == i32::from(EXIT_REFUSED) => return Err(GuardError::Refused),
            Ending::StopOverdue => return Err(GuardError::StopOverdue { grace: plan.grace }),
            Ending::Exited(_) | Ending::Signalled(_) | Ending::DeadlinePassed | Ending::Garbled(_) => {
                let reason = error::Error::source(&ending).map(ToString::to_string);
                tracing::warn!(%ending, reason, "the node ended; its browsers are dead and its lease is given up");
            }
        }
        if life.was_asked_to_stop() {
            return Ok(());
        }
        let RestartPolicy { max, window } = plan.restarts;
        let delay = restarts.next(Instant::now()).ok_or(GuardError::GaveUp { max, window })?;
        tracing::warn!(?delay, "the node is started again");
        if signals.wait(delay)? {
            return Ok(());
        }
    }
}

/// Ends the life, and with it its leases.
fn end(life: &mut Life, revoke: &Program) -> Result<(), GuardError> {
    // Without one the leases end by their TTL; nothing keeps the browsers alive.
    let revoker = if life.leases().is_empty() { None } else { Some(Revoker::start(revoke)) };
    let revoker = revoker.transpose();
    life.end(revoker.as_ref().ok().and_then(|revoker| Some(revoker.as_ref()?.pid())))?;
    if let Some(revoker) = revoker? {
        revoker.revoke(life.leases());
    }
    Ok(())
}

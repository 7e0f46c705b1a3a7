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
//! When guard and child are stopped together, it kills the child at the same deadline (`dead_mans_timer`).

mod child;
mod config;
mod dead_mans_timer;
mod link;
mod memory_lock;
mod protocol;
mod restarts;
mod revoker;
mod signals;
mod tree;

use std::{error, io, time::Instant};

use roost_model::causes;
use rustix::process::{getpid, set_child_subreaper};

pub use config::{EXIT_REFUSED, GuardConfig, GuardError, Program};
pub use dead_mans_timer::DeadMansTimer;
pub use link::GuardLink;
pub use protocol::GuardMessage;
pub use restarts::RestartPolicy;

use child::{ChildEnd, GuardedChild};
use restarts::Restarts;
use revoker::Revoker;
use signals::Signals;

/// Runs the child until it ends by itself, is asked to stop, is refused, or has crashed too often.
pub fn run(config: &GuardConfig) -> Result<(), GuardError> {
    if let Err(error) = memory_lock::lock_memory() {
        tracing::warn!(error = %causes(&error), "the guard's memory is not locked; a machine that swaps may make it late (LimitMEMLOCK)");
    }
    let signals = Signals::register()?;
    set_child_subreaper(Some(getpid())).map_err(io::Error::from)?;
    let mut restarts = Restarts::new(config.restarts);
    loop {
        let mut child = GuardedChild::begin(&config.child)?;
        let ending = match child.watch(&signals, config.grace) {
            Ok(ending) => ending,
            Err(error) => {
                // A guard that cannot watch must not leave anything unwatched.
                child.end(None)?;
                return Err(error);
            }
        };
        if matches!(ending, ChildEnd::Exited(0)) {
            // It gave its leases back itself.
            return child.end(None);
        }
        end(&mut child, &config.revoke)?;
        match ending {
            ChildEnd::Exited(code) if code == i32::from(EXIT_REFUSED) => return Err(GuardError::Refused),
            ChildEnd::StopOverdue => return Err(GuardError::StopOverdue { grace: config.grace }),
            ChildEnd::Exited(_)
            | ChildEnd::Signalled(_)
            | ChildEnd::DeadlinePassed
            | ChildEnd::Garbled(_) => {
                let reason = error::Error::source(&ending).map(ToString::to_string);
                tracing::warn!(%ending, reason, "the node ended; its browsers are dead and its lease is given up");
            }
        }
        if child.was_asked_to_stop() {
            return Ok(());
        }
        let RestartPolicy { max, window } = config.restarts;
        let delay = restarts.next(Instant::now()).ok_or(GuardError::GaveUp { max, window })?;
        tracing::warn!(?delay, "the node is started again");
        if signals.wait(delay)? {
            return Ok(());
        }
    }
}

/// Ends the child, and with it its leases.
fn end(child: &mut GuardedChild, revoke: &Program) -> Result<(), GuardError> {
    // Without one the leases end by their TTL; nothing keeps the browsers alive.
    let revoker = if child.leases().is_empty() { None } else { Some(Revoker::start(revoke)) };
    let revoker = revoker.transpose();
    child.end(revoker.as_ref().ok().and_then(|revoker| Some(revoker.as_ref()?.pid())))?;
    if let Some(revoker) = revoker? {
        revoker.revoke(child.leases());
    }
    Ok(())
}

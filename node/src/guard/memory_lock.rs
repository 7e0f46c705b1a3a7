//! The guard's pages stay in memory. What it is for comes when the machine is at its worst: on one that swaps, or that drops
//! the pages of programs for want of memory, a guard that has slept for weeks would first have to be read back from a busy disk,
//! and kill late. It is small; the node and its browsers are not, and theirs are not locked (a lock does not outlive exec).

use std::io;

use nix::sys::mman::{MlockAllFlags, mlockall};
use rustix::{
    process::{Resource, getrlimit},
    thread::{CapabilitySet, capabilities},
};

/// Locks what this process has, and what it will have.
pub(super) fn lock_memory() -> io::Result<()> {
    let mut pages = MlockAllFlags::MCL_CURRENT;
    // Under a limit what is locked as it comes is refused as it comes, and a process that is refused memory ends.
    if is_unlimited()? {
        pages |= MlockAllFlags::MCL_FUTURE;
    }
    Ok(mlockall(pages)?)
}

fn is_unlimited() -> io::Result<bool> {
    let may_lock_all = capabilities(None)?.effective.contains(CapabilitySet::IPC_LOCK);
    Ok(may_lock_all || getrlimit(Resource::Memlock).current.is_none())
}

//! The one thread that starts children.
//!
//! The kernel sends the parent-death signal when the *thread* that forked a child ends, not its process. Threads of an
//! async runtime come and go (a worker that was blocked in place retires with the blocking pool), and a child would be
//! killed out of the blue. So all children are forked by one thread that lives as long as the process.

use std::{
    io,
    process::{Child, Command},
    sync::{OnceLock, mpsc},
    thread,
};

struct Job {
    command: Command,
    answer: mpsc::SyncSender<io::Result<Child>>,
}

/// Starts a command on the spawner's thread; takes about a millisecond.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Option<mpsc::SyncSender<Job>>> = OnceLock::new();
    let gone = || io::Error::other("the thread that starts children could not be started");
    let spawner = SPAWNER.get_or_init(start).as_ref().ok_or_else(gone)?;
    let (answer, started) = mpsc::sync_channel(1);
    spawner.send(Job { command, answer }).map_err(|_| gone())?;
    started.recv().map_err(|_| gone())?
}

fn start() -> Option<mpsc::SyncSender<Job>> {
    let (jobs, queue) = mpsc::sync_channel::<Job>(8);
    let serve = move || {
        for Job { mut command, answer } in queue {
            if let Err(mpsc::SendError(Ok(mut unclaimed))) = answer.send(command.spawn()) {
                // The asker is gone (its thread panicked): nobody would ever end this child.
                unclaimed.kill().and_then(|()| unclaimed.wait()).ok();
            }
        }
    };
    thread::Builder::new().name("spawner".into()).spawn(serve).ok().map(|_| jobs)
}

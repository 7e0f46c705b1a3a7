//! The guard's loop: the same as the product's, which waits in `poll` where this one awaits. It hears the product's own
//! messages over a pipe.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use roost_cluster::registry::Registry;
use roost_model::ids::Incarnation;
use roost_node::guard::GuardLink;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{super::process::Process, Machine, pipe::PipeReader, work};

/// What an operator's service manager gives a node that was asked to stop.
const GRACE: Duration = Duration::from_secs(20);

/// The first back-off of the product; the later ones only take longer.
const RESTART_AFTER: Duration = Duration::from_millis(500);

struct Guard {
    machine: Arc<Machine>,
    stop: CancellationToken,
}

enum Ending {
    /// Asked to stop, and it has.
    Done,
    Refused,
    Dead,
    DeadlinePassed,
    StopOverdue,
}

impl Machine {
    /// Starts the node, unless it runs.
    pub fn start(self: &Arc<Self>) {
        let mut power = self.power.lock();
        while power.tasks.try_join_next().is_some() {}
        if power.tasks.is_empty() {
            self.is_asleep.store(false, Relaxed);
            self.whole.thaw();
            power.stop = CancellationToken::new();
            let guard = Guard { machine: self.clone(), stop: power.stop.clone() };
            let whole = self.whole.clone();
            power.tasks.spawn(whole.run(guard.run()));
        }
    }
}

impl Guard {
    async fn run(self) {
        loop {
            let process = Process::default();
            *self.machine.child.lock() = process.clone();
            let (pipe, theirs) = rustix::pipe::pipe().expect("a pipe");
            rustix::io::ioctl_fionbio(&pipe, true).expect("a pipe that does not block");
            let pipe = Arc::new(Mutex::new(PipeReader::new(pipe)));
            *self.machine.pipe.lock() = Some(pipe.clone());
            let link = Arc::new(GuardLink::new(theirs).expect("a pipe that does not block"));
            let mut child = JoinSet::new();
            let work = work::run(self.machine.clone(), link, self.stop.clone());
            child.spawn(process.clone().run(work));
            let ending = self.watch(&mut child, &pipe).await;
            self.machine.browsers.kill_all();
            process.kill();
            drop(child);
            self.machine.browsers.until_none_is_left().await;
            match ending {
                Ending::Done => return,
                Ending::Refused => {
                    self.machine.shared.judge.violated(&format!("{} was refused", self.machine.id));
                    return;
                }
                Ending::Dead | Ending::DeadlinePassed | Ending::StopOverdue => self.end_leases(&pipe),
            }
            if self.stop.is_cancelled() {
                return;
            }
            tokio::time::sleep(RESTART_AFTER).await;
        }
    }

    async fn watch(
        &self,
        child: &mut JoinSet<Result<(), work::Refused>>,
        pipe: &Mutex<PipeReader>,
    ) -> Ending {
        let mut stop_by = None;
        loop {
            let deadline = pipe.lock().read().deadline.filter(|_| self.machine.shared.guards.deadline);
            let left = deadline.map(|at| self.machine.clock.until(at));
            if left == Some(Duration::ZERO) {
                return Ending::DeadlinePassed;
            }
            // A child that has told no deadline has no browser; the first is told soon.
            let look_again = left.unwrap_or(self.machine.shared.timing.keepalive_retry);
            tokio::select! {
                biased;
                () = self.machine.child_killed.notified() => return Ending::Dead,
                ended = child.join_next() => return self.ending_of(ended),
                () = self.stop.cancelled(), if stop_by.is_none() => {
                    stop_by = Some(tokio::time::Instant::now() + GRACE);
                }
                () = sleep_until(stop_by), if stop_by.is_some() => return Ending::StopOverdue,
                () = tokio::time::sleep(look_again) => {}
            }
        }
    }

    fn ending_of(&self, ended: Option<Result<Result<(), work::Refused>, JoinError>>) -> Ending {
        match ended {
            Some(Ok(Ok(()))) => Ending::Done,
            Some(Ok(Err(work::Refused))) => Ending::Refused,
            Some(Err(error)) => {
                self.machine.shared.judge.violated(&format!("{} has panicked: {error}", self.machine.id));
                Ending::Dead
            }
            None => Ending::Dead,
        }
    }

    /// A process of its own, that nobody waits for.
    fn end_leases(&self, pipe: &Mutex<PipeReader>) {
        let leases = pipe.lock().read().leases;
        let registry = self.machine.registry(&Process::default());
        tokio::spawn(async move {
            for lease in leases {
                let _ended_by_its_ttl = registry.revoke(Incarnation(lease)).await;
            }
        });
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

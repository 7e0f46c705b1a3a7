//! The guard's loop: the same as the product's, which waits in `poll` where this one awaits. It hears the product's own
//! messages over a pipe.

use std::{
    collections::BTreeSet,
    io::{ErrorKind, Read},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use roost_cluster::registry::Registry;
use roost_model::ids::Incarnation;
use roost_node::guard::{GuardLink, Message};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{super::process::Process, Machine, work};

/// What an operator's service manager gives a node that was asked to stop.
const GRACE: Duration = Duration::from_secs(20);

/// The first back-off of the product; the later ones only take longer.
const RESTART_AFTER: Duration = Duration::from_millis(500);

pub struct Guard {
    machine: Arc<Machine>,
    stop: CancellationToken,
}

/// What the child has told.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub deadline: Option<Duration>,
    pub leases: BTreeSet<i64>,
}

/// The guard's end of the pipe.
pub struct Ears {
    pipe: std::fs::File,
    told: Told,
}

enum Ending {
    /// Asked to stop, and it has.
    Done,
    Refused,
    Dead,
    DeadlinePassed,
    StopOverdue,
}

impl Guard {
    pub fn new(machine: Arc<Machine>, stop: CancellationToken) -> Self {
        Self { machine, stop }
    }

    pub async fn run(self) {
        loop {
            let process = Process::default();
            *self.machine.child.lock() = process.clone();
            let (pipe, theirs) = rustix::pipe::pipe().expect("a pipe");
            rustix::io::ioctl_fionbio(&pipe, true).expect("a pipe that does not block");
            let ears = Arc::new(Mutex::new(Ears { pipe: pipe.into(), told: Told::default() }));
            *self.machine.ears.lock() = Some(ears.clone());
            let link = Arc::new(GuardLink::new(theirs).expect("a pipe that does not block"));
            let mut child = JoinSet::new();
            let work = work::run(self.machine.clone(), link, self.stop.clone());
            child.spawn(process.clone().run(work));
            let ending = self.watch(&mut child, &ears).await;
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
                Ending::Dead | Ending::DeadlinePassed | Ending::StopOverdue => self.end_leases(&ears),
            }
            if self.stop.is_cancelled() {
                return;
            }
            tokio::time::sleep(RESTART_AFTER).await;
        }
    }

    async fn watch(&self, child: &mut JoinSet<Result<(), work::Refused>>, ears: &Mutex<Ears>) -> Ending {
        let mut stop_by = None;
        loop {
            let deadline = ears.lock().listen().deadline.filter(|_| self.machine.shared.guards.deadline);
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
    fn end_leases(&self, ears: &Mutex<Ears>) {
        let leases = ears.lock().listen().leases;
        let registry = self.machine.registry(&Process::default());
        tokio::spawn(async move {
            for lease in leases {
                let _ended_by_its_ttl = registry.revoke(Incarnation(lease)).await;
            }
        });
    }
}

impl Ears {
    /// Takes in everything that is in the pipe.
    pub fn listen(&mut self) -> Told {
        let mut text = Vec::new();
        match self.pipe.read_to_end(&mut text) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match Message::parse(line).expect("a message of the product's own") {
                Message::Deadline(at) => self.told.deadline = Some(at),
                Message::Lease(id) => drop(self.told.leases.insert(id)),
                Message::Unlease(id) => drop(self.told.leases.remove(&id)),
                Message::StoodDown => self.told.deadline = None,
                Message::Started(_) | Message::Gone(_) => {}
            }
        }
        self.told.clone()
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

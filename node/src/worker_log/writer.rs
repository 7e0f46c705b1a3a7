//! The one thread that writes the tenants' logs, and tells those who follow. What waits for it is bounded; nobody who logs waits
//! for it or for a disk.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::Mutex;
use roost_model::{causes, ids::TenantId};
use serde_json::Map;
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};
use tracing::Level;

use super::{
    files::{LogFiles, OpenLog},
    levels::LogLevels,
    line::{LineFilter, LogLine},
    unsaved::Unsaved,
};

/// Written at once, at most.
const BATCH: usize = 1_024;
/// After so many bytes it is looked whether all files together are within their bound.
const SWEEP_AFTER_BYTES: u64 = 16 << 20;
/// Between two lines of the node's own log about lines that were not written.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Lines that came while there was no room for them, by tenant: only while that lasts.
pub(super) type Dropped = Arc<Mutex<HashMap<TenantId, u64>>>;

#[derive(Debug)]
pub(super) enum Command {
    Line(LogLine),
    /// The files as they are once all lines before this are written, and from here on each line that the follower takes.
    Open {
        tenant: TenantId,
        follower: Option<Follower>,
        reply: oneshot::Sender<io::Result<OpenLog>>,
    },
    /// The tenant's worker of this generation is gone.
    Ended {
        tenant: TenantId,
        generation: i64,
    },
    /// The tenant was deleted.
    Remove {
        tenant: TenantId,
    },
    Sweep,
}

/// What a follower is told.
#[derive(Debug)]
pub enum Followed {
    Line(Arc<LogLine>),
    /// So many lines came while there was no room for them.
    Missed(u64),
}

#[derive(Debug)]
pub(super) struct Follower {
    pub(super) filter: LineFilter,
    pub(super) to: mpsc::Sender<Followed>,
    pub(super) missed: u64,
}

impl Follower {
    /// False once it has left.
    fn tell(&mut self, line: &Arc<LogLine>) -> bool {
        if !self.filter.takes_new(line) {
            return !self.to.is_closed();
        }
        if self.missed > 0
            && self.to.capacity() > 1
            && self.to.try_send(Followed::Missed(self.missed)).is_ok()
        {
            self.missed = 0;
        }
        let told = if self.missed > 0 {
            Err(())
        } else {
            self.to.try_send(Followed::Line(line.clone())).map_err(drop)
        };
        self.missed += u64::from(told.is_err());
        !self.to.is_closed()
    }
}

pub(super) struct Writer {
    pub(super) files: LogFiles,
    pub(super) dropped: Dropped,
    pub(super) unsaved: Arc<Unsaved>,
    pub(super) levels: LogLevels,
    pub(super) followers: HashMap<TenantId, Vec<Follower>>,
    pub(super) since_sweep: u64,
    pub(super) unwritten: Unwritten,
}

/// Lines that are lost, as far as the node's own log does not have them.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    lines: u64,
    told_at: Option<Instant>,
}

impl Writer {
    /// Until nobody can log any more.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        self.sweep();
        let mut batch = Vec::new();
        while let Some(first) = commands.blocking_recv() {
            batch.push(first);
            while batch.len() < BATCH
                && let Ok(next) = commands.try_recv()
            {
                batch.push(next);
            }
            self.take(batch.drain(..));
            self.levels.end_due(SystemTime::now());
        }
    }

    fn take(&mut self, commands: impl Iterator<Item = Command>) {
        let mut lines = BTreeMap::new();
        for command in commands {
            match command {
                Command::Line(line) => {
                    lines.entry(line.tenant.clone()).or_insert_with(Vec::new).push(Arc::new(line));
                    continue;
                }
                // What came before it is written before it.
                other => {
                    self.write_all(std::mem::take(&mut lines));
                    self.obey(other);
                }
            }
        }
        self.write_all(lines);
        self.write_dropped();
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Line(_) => {}
            Command::Open { tenant, follower, reply } => {
                let opened = self.files.open(&tenant);
                if let (Ok(_), Some(follower)) = (&opened, follower) {
                    self.followers.entry(tenant).or_default().push(follower);
                }
                // Whoever asked may have left.
                drop(reply.send(opened));
            }
            Command::Ended { tenant, generation } => {
                self.unsaved.ended(&tenant, generation);
                self.retain_followers(&tenant, |follower| {
                    follower.filter.generation.is_some_and(|followed| followed > generation)
                });
            }
            Command::Remove { tenant } => {
                self.unsaved.forget(&tenant);
                self.retain_followers(&tenant, |_| false);
                if let Err(error) = self.files.remove(&tenant) {
                    tracing::warn!(error = %causes(&error), "the log of a deleted tenant was not removed; the sweep will");
                }
            }
            Command::Sweep => self.sweep(),
        }
    }

    fn write_all(&mut self, lines: BTreeMap<TenantId, Vec<Arc<LogLine>>>) {
        for (tenant, lines) in lines {
            self.write(&tenant, &lines);
        }
    }

    fn write(&mut self, tenant: &TenantId, lines: &[Arc<LogLine>]) {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.json);
            text.push('\n');
        }
        match self.files.append(tenant, &text, OffsetDateTime::now_utc()) {
            Ok(()) => self.unsaved.written(tenant, lines),
            Err(error) => self.not_written(lines.len() as u64, &causes(&error).to_string()),
        }
        // Also when the disk takes nothing.
        self.retain_followers(tenant, |follower| lines.iter().all(|line| follower.tell(line)));
        self.since_sweep += text.len() as u64;
        if self.since_sweep >= SWEEP_AFTER_BYTES {
            self.sweep();
        }
    }

    fn retain_followers(&mut self, tenant: &TenantId, keep: impl FnMut(&mut Follower) -> bool) {
        let Some(followers) = self.followers.get_mut(tenant) else { return };
        followers.retain_mut(keep);
        if followers.is_empty() {
            self.followers.remove(tenant);
        }
    }

    /// For whoever reads the tenant's log, and for whoever reads the node's.
    fn write_dropped(&mut self) {
        let dropped = std::mem::take(&mut *self.dropped.lock());
        for (tenant, lines) in dropped {
            let fields = Map::from_iter([("lines".to_owned(), lines.into())]);
            let message =
                "lines of this log were dropped: they came faster than they could be written".to_owned();
            let line = LogLine::new((tenant.clone(), 0), Level::WARN, module_path!(), message, fields);
            self.write(&tenant, &[Arc::new(line)]);
            self.not_written(lines, "they came faster than they could be written");
        }
    }

    fn not_written(&mut self, lines: u64, reason: &str) {
        self.unwritten.lines += lines;
        if self.unwritten.told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            self.unwritten.told_at = Some(Instant::now());
            let lines = std::mem::take(&mut self.unwritten.lines);
            tracing::warn!(lines, reason, "lines of tenants' logs were not written");
        }
    }

    fn sweep(&mut self) {
        self.since_sweep = 0;
        if let Err(error) = self.files.sweep(SystemTime::now()) {
            tracing::warn!(error = %causes(&error), "the logs of tenants were not swept");
        }
    }
}

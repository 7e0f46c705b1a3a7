//! A worker's log, from wherever it is: its node's disk, or, when that node is gone, what the node has kept in the database. Who
//! follows goes on with the next owner.

use std::{pin::Pin, time::Duration};

use futures::{Stream, StreamExt};
use roost_model::{
    LogLevel,
    ids::{Generation, NodeId, TenantId},
};
use roost_store::{SavedLogTail, Worker};
use time::OffsetDateTime;
use tokio::time::timeout;

use super::{
    App, Error,
    describe::NodeProblem,
    log_line::{LogLine, lines_of_tail},
    watch::{Outlet, Watched, WorkerChange},
};
use crate::node_rpc::{LogChunk, LogRequest, NodeLog};

/// From one attempt to read on at the same owner to the next, doubled up to the longest.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const AGAIN_AT_MOST: Duration = Duration::from_secs(5);
/// Whoever follows a worker is told at once how it stands; one that is on no node is not another owner than nobody.
const FIRST_WORD: Duration = Duration::from_secs(1);
/// Of an owner that another one has followed: what it has still to say is on its way.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Which lines.
#[derive(Debug, Clone, Copy)]
pub struct LogQuery {
    /// Of those that are there, the newest.
    pub lines: u32,
    pub since: Option<OffsetDateTime>,
    /// This one and above.
    pub level: LogLevel,
}

/// What a reader is told.
#[derive(Debug)]
pub enum LogItem {
    Lines(Vec<LogLine>),
    /// Where what follows comes from, or what is missing; for people.
    Notice(String),
}

/// One owner of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    node: NodeId,
    generation: Generation,
}

impl Owner {
    fn of(worker: &Worker) -> Option<Self> {
        Some(Self { node: worker.node.clone()?, generation: worker.generation })
    }
}

impl App {
    /// The log of the present owner or the last one, or of the one before that.
    pub async fn read_worker_log(
        &self,
        tenant: &TenantId,
        query: LogQuery,
        previous: bool,
    ) -> Result<Watched<LogItem>, Error> {
        let store = self.store()?;
        let worker = store.get_worker(tenant).await?;
        let tails = store.log_tails(tenant).await?;
        let last = |tail: &SavedLogTail| Owner { node: tail.node.clone(), generation: tail.generation };
        let present = Owner::of(&worker).or_else(|| tails.first().map(last));
        let owner = match (&present, previous) {
            (Some(present), true) => tails.iter().find(|tail| tail.generation < present.generation).map(last),
            (present, _) => present.clone().filter(|_| !previous),
        };
        let reader = Reader { app: self.clone(), tenant: tenant.clone(), query, tails, last_time: None };
        self.streams.open(move |outlet| async move {
            let mut reader = reader;
            match owner {
                Some(owner) => reader.read(&owner, &outlet).await,
                None => outlet.send(LogItem::Notice(nothing_kept(previous))).await,
            }
            None::<Error>
        })
    }

    /// The same of the present owner, and then each line that comes, whichever node has the worker. It takes two of the places
    /// among the streams: one is for what becomes of the worker.
    pub async fn follow_worker_log(
        &self,
        tenant: &TenantId,
        query: LogQuery,
    ) -> Result<Watched<LogItem>, Error> {
        // First, so that nothing is missed between the two.
        let changes = self.watch_worker(tenant.clone()).await?;
        let tails = self.store()?.log_tails(tenant).await?;
        let reader = Reader { app: self.clone(), tenant: tenant.clone(), query, tails, last_time: None };
        self.streams.open(move |outlet| reader.follow(changes, outlet))
    }
}

fn nothing_kept(previous: bool) -> String {
    let which = if previous { "an owner before the last one" } else { "any owner" };
    format!("nothing is kept that {which} has logged")
}

/// Who has the worker, as it changes.
struct Owners<S> {
    changes: Pin<Box<S>>,
    present: Option<Owner>,
}

/// Why nothing is to be followed any more; none when the tenant was deleted.
type End = Option<Error>;

impl<S: Stream<Item = Result<WorkerChange, Error>>> Owners<S> {
    /// Waits for another owner, or for there to be none. Nothing is lost when it is not waited for to the end.
    async fn changed(&mut self) -> Result<(), End> {
        loop {
            let change = self.changes.next().await.ok_or(None)?.map_err(Some)?;
            if change.deleted {
                return Err(None);
            }
            let owner = Owner::of(&change.worker);
            if owner != self.present {
                self.present = owner;
                return Ok(());
            }
        }
    }
}

struct Reader {
    app: App,
    tenant: TenantId,
    query: LogQuery,
    /// The newest first.
    tails: Vec<SavedLogTail>,
    /// Of the last line of this owner that was told.
    last_time: Option<OffsetDateTime>,
}

impl Reader {
    /// What there is of this owner.
    async fn read(&mut self, owner: &Owner, outlet: &Outlet<LogItem>) {
        match self.ask(owner, false).await {
            Ok(mut lines) => {
                let mut has_told = false;
                while let Ok(Some(answer)) = lines.next().await {
                    has_told |= !answer.lines.is_empty();
                    self.tell(owner, answer, outlet).await;
                }
                if !has_told {
                    self.tell_tail(owner, &format!("node {} has no such line", owner.node), outlet).await;
                }
            }
            Err(problem) => self.tell_tail(owner, &problem.to_string(), outlet).await,
        }
    }

    async fn follow(
        mut self,
        changes: impl Stream<Item = Result<WorkerChange, Error>>,
        outlet: Outlet<LogItem>,
    ) -> End {
        let mut owners = Owners { changes: Box::pin(changes), present: None };
        // The first item is how things are.
        match timeout(FIRST_WORD, owners.changed()).await {
            Ok(Err(end)) => return end,
            Ok(Ok(())) => {}
            Err(_elapsed) => outlet.send(LogItem::Notice("the worker is on no node now".to_owned())).await,
        }
        loop {
            let followed = match owners.present.clone() {
                Some(owner) => self.follow_one(&owner, &mut owners, &outlet).await,
                None => owners.changed().await,
            };
            if let Err(end) = followed {
                return end;
            }
            let told = match &owners.present {
                Some(next) => format!("it goes on on node {}, generation {}", next.node, next.generation),
                None => "the worker is on no node now".to_owned(),
            };
            outlet.send(LogItem::Notice(told)).await;
            // Of the next owner all is told: it has just begun.
            (self.query.lines, self.last_time) = (0, None);
            self.tails.clear();
        }
    }

    /// Until another one has the worker.
    async fn follow_one<S: Stream<Item = Result<WorkerChange, Error>>>(
        &mut self,
        owner: &Owner,
        owners: &mut Owners<S>,
        outlet: &Outlet<LogItem>,
    ) -> Result<(), End> {
        let mut again_after = AGAIN_AFTER;
        let mut said = None;
        loop {
            let broken = match self.ask(owner, true).await {
                Ok(mut lines) => loop {
                    tokio::select! {
                        answer = lines.next() => match answer {
                            Ok(Some(answer)) => self.tell(owner, answer, outlet).await,
                            // The worker is not there yet, or not any more.
                            Ok(None) => break None,
                            Err(_) => break Some(format!("node {} does not answer any more", owner.node)),
                        },
                        changed = owners.changed() => {
                            changed?;
                            while let Ok(Ok(Some(answer))) = timeout(LAST_WORDS, lines.next()).await {
                                self.tell(owner, answer, outlet).await;
                            }
                            return Ok(());
                        }
                    }
                },
                Err(problem) => Some(problem.to_string()),
            };
            if broken.is_some() && broken != said {
                let problem = broken.clone().unwrap_or_default();
                match self.last_time {
                    None => self.tell_tail(owner, &problem, outlet).await,
                    Some(_) => outlet.send(LogItem::Notice(problem)).await,
                }
                said = broken;
            }
            match timeout(again_after, owners.changed()).await {
                Ok(changed) => return changed,
                Err(_elapsed) => again_after = (again_after * 2).min(AGAIN_AT_MOST),
            }
        }
    }

    async fn ask(&self, owner: &Owner, follow: bool) -> Result<NodeLog, NodeProblem> {
        let record = self.app.live_node(&owner.node).await?;
        // After an interruption it is gone on after the last line.
        let after_last = self.last_time.map(|at| at + time::Duration::NANOSECOND);
        let request = LogRequest {
            tenant: self.tenant.to_string(),
            generation: owner.generation,
            lines: if after_last.is_some() { 0 } else { self.query.lines },
            since: after_last.max(self.query.since),
            level: self.query.level.as_str(),
            follow,
        };
        Ok(self.app.node_rpc.read_log(&record, request).await?)
    }

    async fn tell(&mut self, owner: &Owner, answer: LogChunk, outlet: &Outlet<LogItem>) {
        let lines: Vec<_> = answer
            .lines
            .iter()
            .filter_map(|line| LogLine::parse(line, &owner.node, owner.generation))
            .collect();
        self.last_time = lines.last().map(|line| line.time).or(self.last_time);
        if !lines.is_empty() {
            outlet.send(LogItem::Lines(lines)).await;
        }
        if answer.missed > 0 {
            let told =
                format!("{} lines are missing here: they came faster than they were read", answer.missed);
            outlet.send(LogItem::Notice(told)).await;
        }
    }

    /// In place of what the node does not tell.
    async fn tell_tail(&mut self, owner: &Owner, problem: &str, outlet: &Outlet<LogItem>) {
        let Some(tail) = self.tails.iter().find(|tail| tail.generation == owner.generation) else {
            let told = format!("{problem}; nothing of it is kept in the database");
            return outlet.send(LogItem::Notice(told)).await;
        };
        let at = tail.saved_at.replace_nanosecond(0).unwrap_or(tail.saved_at);
        let told = format!("{problem}; the end of it as it was kept in the database at {at}:");
        outlet.send(LogItem::Notice(told)).await;
        let mut lines = lines_of_tail(tail);
        lines.retain(|line| {
            line.level >= self.query.level && self.query.since.is_none_or(|since| line.time >= since)
        });
        if self.query.lines > 0 {
            lines.drain(..lines.len().saturating_sub(self.query.lines as usize));
        }
        self.last_time = lines.last().map(|line| line.time).or(self.last_time);
        outlet.send(LogItem::Lines(lines)).await;
    }
}

//! The cluster at this moment, for all pages that are open: one look of this coordinator's, at most once a second, and none while no page is
//! open.
//!
//! How the workers are is followed (the feed that `roost top` follows), so a look reads none of their rows. A look surveys the cluster, which
//! takes longer the larger it is: the next one comes after ten times what it took, so that looks take a tenth of a moment at most.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use parking_lot::Mutex;
use roost_model::{
    causes,
    ids::{NodeId, TenantId},
};
use roost_store::{
    ClusterEvent, Condition, ConditionKind, DeadLetterFilter, DesiredState, EventFilter, Worker,
};
use tokio::{
    sync::watch,
    time::{Instant as At, timeout, timeout_at},
};

use crate::app::{
    App, ClusterStatus, Error, NodeStatus,
    watch::{Watched, WorkerNews},
};

const LOOK_EVERY: Duration = Duration::from_secs(1);
const TIMES_ITS_COST: u32 = 10;
/// The most that a look waits to have been told of every worker.
const ALL_TOLD_WITHIN: Duration = Duration::from_secs(5);
/// All that there is comes at once; when nothing has come for so long, that was all.
const QUIET: Duration = Duration::from_millis(200);
/// Of those that cannot go on by themselves, of one condition, that are named.
const NAMED: usize = 10;
/// Dead letters that are counted; more are told as more.
pub const LETTERS: u32 = 50;
/// What has happened lately, as far as it is told.
const EVENTS: u32 = 8;

/// What a look has found.
#[derive(Debug)]
pub struct Seen {
    /// Or why it cannot be told.
    pub status: Result<ClusterStatus, String>,
    pub nodes: Result<Vec<NodeStatus>, String>,
    /// Of the workers that are to run, by their condition.
    pub conditions: BTreeMap<&'static str, usize>,
    pub stopped: usize,
    /// By condition, those that have been in it longest.
    pub stuck: Vec<(ConditionKind, Vec<Stuck>)>,
    /// What has happened lately, newest first.
    pub events: Vec<ClusterEvent>,
    /// Up to [`LETTERS`] and one more.
    pub letters: usize,
    /// False while not every worker is known.
    pub is_whole: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    pub tenant: TenantId,
    pub node: Option<NodeId>,
    pub condition: Condition,
}

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Feed {
    app: App,
    latest: Arc<watch::Sender<Option<Arc<Seen>>>>,
    /// Whether somebody looks.
    looking: Arc<Mutex<bool>>,
}

impl Feed {
    pub fn new(app: App) -> Self {
        Self { app, latest: Arc::new(watch::channel(None).0), looking: Arc::default() }
    }

    /// None before the first look.
    pub fn follow(&self) -> watch::Receiver<Option<Arc<Seen>>> {
        let mut looking = self.looking.lock();
        let receiver = self.latest.subscribe();
        if !*looking {
            *looking = true;
            tokio::spawn(self.clone().look());
        }
        receiver
    }

    /// Until nobody follows.
    async fn look(self) {
        let mut workers = Workers::default();
        while !self.is_over() {
            workers.catch_up(&self.app).await;
            let begun = Instant::now();
            let seen = self.see(&workers).await;
            self.latest.send_replace(Some(Arc::new(seen)));
            let pause = (begun.elapsed() * TIMES_ITS_COST).max(LOOK_EVERY);
            workers.follow_for(pause).await;
        }
    }

    fn is_over(&self) -> bool {
        let mut looking = self.looking.lock();
        let is_over = self.latest.receiver_count() == 0;
        if is_over {
            *looking = false;
            self.latest.send_replace(None);
        }
        is_over
    }

    async fn see(&self, workers: &Workers) -> Seen {
        let every = EventFilter::default();
        let letters = DeadLetterFilter { redrivable: true, ..DeadLetterFilter::default() };
        let (status, nodes, letters, events) = tokio::join!(
            self.app.cluster_status(),
            self.app.list_nodes(true),
            self.app.list_dead_letters(&letters, None, LETTERS + 1),
            self.app.list_events(&every, None, EVENTS),
        );
        let told = |error: &Error| causes(error).to_string();
        let (conditions, stopped) = workers.counts();
        Seen {
            status: status.map_err(|error| told(&error)),
            nodes: nodes.map_err(|error| told(&error)),
            conditions,
            stopped,
            stuck: workers.stuck(),
            events: events.unwrap_or_default(),
            letters: letters.map(|letters| letters.len()).unwrap_or_default(),
            is_whole: workers.is_whole,
        }
    }
}

/// Every worker, as far as a look needs it.
#[derive(Default)]
struct Workers {
    stream: Option<Watched<WorkerNews>>,
    /// None of one that is stopped.
    known: BTreeMap<TenantId, Option<Stuck>>,
    is_whole: bool,
}

impl Workers {
    async fn catch_up(&mut self, app: &App) {
        if self.stream.is_none() {
            (self.known, self.is_whole) = (BTreeMap::new(), false);
            self.stream = app.watch_workers(Default::default(), false).await.ok();
        }
        let end = At::now() + ALL_TOLD_WITHIN;
        // Else it is told as far as it is known.
        while !self.is_whole && self.stream.is_some() && At::now() < end {
            self.is_whole = timeout(QUIET, self.next()).await.is_err();
        }
    }

    async fn follow_for(&mut self, pause: Duration) {
        let end = At::now() + pause;
        while self.stream.is_some() && timeout_at(end, self.next()).await.is_ok() {}
        tokio::time::sleep_until(end).await;
    }

    /// Cancel safe.
    async fn next(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        match stream.next().await {
            Some(Ok(WorkerNews::Changed(change, _))) if change.deleted => {
                self.known.remove(&change.worker.tenant);
            }
            Some(Ok(WorkerNews::Changed(change, _))) => {
                self.known.insert(change.worker.tenant.clone(), as_known(change.worker));
            }
            Some(Ok(WorkerNews::Figures(_) | WorkerNews::AllTold)) => {}
            Some(Err(_)) | None => self.stream = None,
        }
    }

    fn counts(&self) -> (BTreeMap<&'static str, usize>, usize) {
        let mut conditions = BTreeMap::new();
        let mut stopped = 0;
        for worker in self.known.values() {
            match worker {
                Some(worker) => *conditions.entry(key(worker.condition.kind)).or_default() += 1,
                None => stopped += 1,
            }
        }
        (conditions, stopped)
    }

    fn stuck(&self) -> Vec<(ConditionKind, Vec<Stuck>)> {
        let of = |kind: ConditionKind| {
            let mut all: Vec<&Stuck> =
                self.known.values().flatten().filter(|worker| worker.condition.kind == kind).collect();
            all.sort_by_key(|worker| worker.condition.since);
            (kind, all.into_iter().take(NAMED).cloned().collect::<Vec<_>>())
        };
        STUCK.into_iter().map(of).filter(|(_, named)| !named.is_empty()).collect()
    }
}

fn as_known(worker: Worker) -> Option<Stuck> {
    let Worker { tenant, node, condition, desired, .. } = worker;
    (desired == DesiredState::Running).then_some(Stuck { tenant, node, condition })
}

/// Those with which something is to be done or mended, the gravest first. What waits for a phone is its business's.
const STUCK: [ConditionKind; 9] = [
    ConditionKind::Failed,
    ConditionKind::SessionRefused,
    ConditionKind::NeedsUpdate,
    ConditionKind::WaitingForCapacity,
    ConditionKind::WaitingForFailover,
    ConditionKind::WaitingForNode,
    ConditionKind::WaitingForStore,
    ConditionKind::WaitingForWhatsapp,
    ConditionKind::Healing,
];

/// As the catalogue and the paths name it.
pub fn key(kind: ConditionKind) -> &'static str {
    match kind {
        ConditionKind::None => "none",
        ConditionKind::Starting => "starting",
        ConditionKind::WaitingForCapacity => "waiting-for-capacity",
        ConditionKind::WaitingForFailover => "waiting-for-failover",
        ConditionKind::WaitingForNode => "waiting-for-node",
        ConditionKind::WaitingForWhatsapp => "waiting-for-whatsapp",
        ConditionKind::WaitingForStore => "waiting-for-store",
        ConditionKind::WaitingForScan => "waiting-for-scan",
        ConditionKind::ScanPaused => "scan-paused",
        ConditionKind::Healing => "healing",
        ConditionKind::Failed => "failed",
        ConditionKind::Answering => "answering",
        ConditionKind::NeedsUpdate => "needs-update",
        ConditionKind::Unlinked => "unlinked",
        ConditionKind::SessionRefused => "session-refused",
    }
}

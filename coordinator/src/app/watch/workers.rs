//! WatchWorkers: the workers that are asked for, as they are, then each change; and their figures for who wants them.

use std::{collections::BTreeSet, future::pending, sync::Arc};

use roost_model::ids::TenantId;
use roost_store::{StoreError, Worker, WorkerFigures, WorkerFilter};

use super::{
    figures_source::{FigureWakeups, Figures},
    state_feed::Follower,
    state_log::Change,
    streams::{Outlet, Watched},
    worker_source::{AllWorkers, EachWorker, WorkerReading, WorkerWakeups},
};
use crate::app::{App, Error};

/// Figures of one message.
const TOGETHER: usize = 1_000;

/// What became of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerChange {
    pub worker: Worker,
    /// The tenant was deleted; this is its worker's last known form.
    pub deleted: bool,
    /// It is not among those that were asked for any more.
    pub no_longer_fits: bool,
}

/// What one who follows workers is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerNews {
    /// With its figures, where those are wanted and it has come to be one of those that were asked for.
    Changed(Box<WorkerChange>, Option<WorkerFigures>),
    Figures(Vec<WorkerFigures>),
    /// All that there was at the beginning has been told.
    AllTold,
}

impl From<Change<Worker>> for WorkerChange {
    fn from(change: Change<Worker>) -> Self {
        let worker = Arc::unwrap_or_clone(change.state);
        Self { worker, deleted: change.is_gone, no_longer_fits: false }
    }
}

impl App {
    /// The workers that it takes as they are, then each change.
    pub async fn watch_workers(
        &self,
        filter: WorkerFilter,
        with_figures: bool,
    ) -> Result<Watched<WorkerNews>, Error> {
        let reading = self.worker_reading()?;
        let begin = async { (AllWorkers::new(reading.clone()), WorkerWakeups::begin(&reading).await) };
        let workers = self.feeds.workers.follow(None, begin).await?;
        let figures = match with_figures {
            true => {
                let store = self.store()?.clone();
                let begin = async { (Figures::new(store), FigureWakeups::begin()) };
                Some(self.feeds.figures.follow(None, begin).await?)
            }
            false => None,
        };
        let chosen = (filter != WorkerFilter::default()).then(|| Chosen { filter, told: BTreeSet::new() });
        self.streams.open(|outlet| run(workers, figures, chosen, outlet))
    }

    /// One tenant's as it is, then each change. `NotFound` when there is none.
    pub async fn watch_worker(&self, tenant: TenantId) -> Result<Watched<WorkerChange>, Error> {
        let reading = self.worker_reading()?;
        let begin = async { (EachWorker::new(reading.clone()), WorkerWakeups::begin(&reading).await) };
        let follower = self.feeds.each_worker.follow(Some(tenant.clone()), begin).await?;
        if follower.present().is_empty() {
            return Err(StoreError::NotFound { kind: "tenant", id: tenant.into() }.into());
        }
        self.streams.open(|outlet| follower.run(outlet, WorkerChange::from))
    }

    fn worker_reading(&self) -> Result<WorkerReading, Error> {
        Ok(WorkerReading::new(self.store()?.clone(), self.waiting_tenants.clone()))
    }
}

async fn run(
    mut workers: Follower<AllWorkers>,
    mut figures: Option<Follower<Figures>>,
    mut chosen: Option<Chosen>,
    outlet: Outlet<WorkerNews>,
) -> Error {
    match begin(&mut workers, &mut figures, &mut chosen, &outlet).await {
        Ok(()) => {}
        Err(end) => return end,
    }
    loop {
        let told = tokio::select! {
            changes = workers.next() => match changes {
                Ok(changes) => {
                    tell_changes(changes, &figures, &mut chosen, &outlet).await;
                    Ok(())
                }
                Err(end) => Err(end),
            },
            changes = next_figures(&mut figures) => match changes {
                Ok(changes) => {
                    tell_figures(changes, &chosen, &outlet).await;
                    Ok(())
                }
                Err(end) => Err(end),
            },
        };
        if let Err(end) = told {
            return end;
        }
    }
}

/// All there is, and that it is all.
async fn begin(
    workers: &mut Follower<AllWorkers>,
    figures: &mut Option<Follower<Figures>>,
    chosen: &mut Option<Chosen>,
    outlet: &Outlet<WorkerNews>,
) -> Result<(), Error> {
    if !workers.present().is_empty() {
        // Their figures come next, all together.
        tell_changes(workers.next().await?, &None, chosen, outlet).await;
    }
    let Some(figures) = figures else { return Ok(()) };
    if !figures.present().is_empty() {
        tell_figures(figures.next().await?, chosen, outlet).await;
    }
    outlet.send(WorkerNews::AllTold).await;
    Ok(())
}

async fn next_figures(figures: &mut Option<Follower<Figures>>) -> Result<Vec<Change<WorkerFigures>>, Error> {
    match figures {
        Some(figures) => figures.next().await,
        None => pending().await,
    }
}

async fn tell_changes(
    changes: Vec<Change<Worker>>,
    figures: &Option<Follower<Figures>>,
    chosen: &mut Option<Chosen>,
    outlet: &Outlet<WorkerNews>,
) {
    for change in changes {
        let change = WorkerChange::from(change);
        let news = match chosen {
            None => WorkerNews::Changed(Box::new(change), None),
            Some(chosen) => match chosen.look(change) {
                Some((change, has_come)) => {
                    let figures = figures.as_ref().filter(|_| has_come);
                    let own = figures.and_then(|figures| figures.state_of(&change.worker.tenant));
                    WorkerNews::Changed(Box::new(change), own.map(Arc::unwrap_or_clone))
                }
                None => continue,
            },
        };
        outlet.send(news).await;
    }
}

async fn tell_figures(
    changes: Vec<Change<WorkerFigures>>,
    chosen: &Option<Chosen>,
    outlet: &Outlet<WorkerNews>,
) {
    let is_wanted =
        |figures: &WorkerFigures| chosen.as_ref().is_none_or(|chosen| chosen.told.contains(&figures.tenant));
    let there =
        changes.into_iter().filter(|change| !change.is_gone).map(|change| Arc::unwrap_or_clone(change.state));
    let wanted: Vec<WorkerFigures> = there.filter(is_wanted).collect();
    for together in wanted.chunks(TOGETHER) {
        outlet.send(WorkerNews::Figures(together.to_vec())).await;
    }
}

/// Those that are asked for, where not all are.
struct Chosen {
    filter: WorkerFilter,
    /// Those that fitted when they were last told.
    told: BTreeSet<TenantId>,
}

impl Chosen {
    /// What the caller is told, and whether the worker has come to be one of those asked for.
    fn look(&mut self, change: WorkerChange) -> Option<(WorkerChange, bool)> {
        let tenant = &change.worker.tenant;
        if !change.deleted && self.filter.takes(&change.worker) {
            let has_come = self.told.insert(tenant.clone());
            return Some((change, has_come));
        }
        let no_longer_fits = !change.deleted;
        self.told.remove(tenant).then_some((WorkerChange { no_longer_fits, ..change }, false))
    }
}

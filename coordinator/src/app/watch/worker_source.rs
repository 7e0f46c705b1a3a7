//! What is read of workers for those who follow them. Of all workers the reader knows the last state and reads what has changed
//! since, by an index. Of those that are followed one by one it reads these, by their ids.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use roost_model::ids::{SpecRevision, TenantId};
use roost_store::{Store, StoreError, Worker, WorkerFilter, WorkerHorizon, WorkersChanged};

use super::{
    state_feed::{Found, Source, Wakeups},
    wakeups::{Look, TenantWakeups},
};
use crate::app::waiting_tenants::{Following, WaitingTenants, told};

/// Rows of one statement.
const CHUNK: u32 = 2_000;
/// From one reading of everything to the next: a row that somebody has deleted by hand tells nobody.
const EVERYTHING_EVERY: Duration = Duration::from_secs(600);

/// Reads workers as callers are told of them.
#[derive(Clone)]
pub(super) struct WorkerReading {
    store: Store,
    waiting: WaitingTenants,
}

impl WorkerReading {
    pub fn new(store: Store, waiting: WaitingTenants) -> Self {
        Self { store, waiting }
    }

    async fn at(&self, tenants: &BTreeSet<TenantId>) -> Result<Vec<Worker>, StoreError> {
        let ids: Vec<&TenantId> = tenants.iter().collect();
        let mut workers = Vec::new();
        for chunk in ids.chunks(CHUNK as usize) {
            workers.extend(self.store.workers_of(chunk.iter().copied()).await?);
        }
        Ok(self.told(workers))
    }

    async fn all(&self) -> Result<Vec<Worker>, StoreError> {
        let mut workers = Vec::new();
        loop {
            let after = workers.last().map(|last: &Worker| last.tenant.clone());
            let page = self.store.list_workers(&WorkerFilter::default(), after, CHUNK).await?;
            let more = page.len() == CHUNK as usize;
            workers.extend(page);
            if !more {
                return Ok(self.told(workers));
            }
        }
    }

    fn told(&self, workers: Vec<Worker>) -> Vec<Worker> {
        let waiting = self.waiting.present().flatten();
        workers.into_iter().map(|worker| told(worker, waiting.as_deref())).collect()
    }
}

/// All of them together.
pub(super) struct AllWorkers {
    reading: WorkerReading,
    /// Until when changes are known, and when all was read.
    known: Option<(WorkerHorizon, Instant)>,
}

impl AllWorkers {
    pub fn new(reading: WorkerReading) -> Self {
        Self { reading, known: None }
    }

    async fn everything(&mut self) -> Result<Found<TenantId, Worker>, StoreError> {
        let begun = Instant::now();
        let horizon = self.reading.store.worker_horizon().await?;
        let workers = self.reading.all().await?;
        self.known = Some((horizon, begun));
        Ok(Found::all(workers, tenant_of))
    }

    async fn changed(&mut self) -> Result<Found<TenantId, Worker>, StoreError> {
        let known = self.known.as_ref().filter(|(_, all_read_at)| all_read_at.elapsed() < EVERYTHING_EVERY);
        let Some((horizon, all_read_at)) = known else { return self.everything().await };
        match self.reading.store.workers_changed_since(horizon).await? {
            WorkersChanged::Of(mut tenants, now) => {
                let all_read_at = *all_read_at;
                // That nothing is heard of a worker any more is written nowhere, nor that something is again.
                tenants.extend(self.reading.store.workers_sighted_since(horizon).await?);
                let workers = self.reading.at(&tenants).await?;
                self.known = Some((now, all_read_at));
                Ok(Found::of(tenants, workers, tenant_of))
            }
            WorkersChanged::Unknown => self.everything().await,
        }
    }
}

impl Source for AllWorkers {
    type Key = TenantId;
    type State = Worker;
    type Wakeups = WorkerWakeups;
    const EACH: bool = false;

    async fn read(
        &mut self,
        look: Look<TenantId>,
        _followed: BTreeSet<TenantId>,
    ) -> Result<Found<TenantId, Worker>, StoreError> {
        match look {
            Look::Everything => self.everything().await,
            Look::Changed => self.changed().await,
            Look::At(tenants) => {
                let workers = self.reading.at(&tenants).await?;
                Ok(Found::of(tenants, workers, tenant_of))
            }
        }
    }

    fn differs(before: &Worker, now: &Worker) -> bool {
        differs(before, now)
    }
}

/// Each by itself.
pub(super) struct EachWorker(WorkerReading);

impl EachWorker {
    pub fn new(reading: WorkerReading) -> Self {
        Self(reading)
    }
}

impl Source for EachWorker {
    type Key = TenantId;
    type State = Worker;
    type Wakeups = WorkerWakeups;
    const EACH: bool = true;

    async fn read(
        &mut self,
        look: Look<TenantId>,
        followed: BTreeSet<TenantId>,
    ) -> Result<Found<TenantId, Worker>, StoreError> {
        let tenants = look.among(followed);
        let workers = self.0.at(&tenants).await?;
        Ok(Found::of(tenants, workers, tenant_of))
    }

    fn differs(before: &Worker, now: &Worker) -> bool {
        differs(before, now)
    }
}

/// A worker has changed, or what those wait for that no live node has.
pub(super) struct WorkerWakeups {
    tenants: TenantWakeups,
    following: Following,
}

impl WorkerWakeups {
    pub async fn begin(reading: &WorkerReading) -> Self {
        let tenants = TenantWakeups::of(&reading.store, None);
        Self { tenants, following: reading.waiting.follow().await }
    }
}

impl Wakeups<TenantId> for WorkerWakeups {
    async fn next(&mut self) -> Look<TenantId> {
        tokio::select! {
            look = self.tenants.next() => look,
            changed = self.following.changed() => Look::At(changed),
        }
    }
}

fn tenant_of(worker: &Worker) -> TenantId {
    worker.tenant.clone()
}

/// That it was seen again is no change, nor that its owner has to look again.
fn differs(before: &Worker, now: &Worker) -> bool {
    let still = |worker: &Worker| Worker {
        last_seen_at: None,
        usage: None,
        messages_per_minute: None,
        spec_revision: SpecRevision(0),
        ..worker.clone()
    };
    still(before) != still(now)
}

#[cfg(test)]
mod tests {
    use roost_model::ids::Generation;
    use roost_store::{Condition, ConditionKind, DesiredState, SessionStatus, WorkerStatus};
    use time::{Duration, OffsetDateTime};

    use super::*;

    fn worker(last_error: &str, seen: i64) -> Worker {
        Worker {
            tenant: TenantId::new("asha").unwrap(),
            name: "roost-worker-asha".into(),
            status: WorkerStatus::Running,
            desired: DesiredState::Running,
            node: None,
            pin: None,
            generation: Generation(1),
            spec_revision: SpecRevision(seen),
            restarts: 0,
            conflicts: 0,
            resends: 0,
            last_error: last_error.into(),
            last_seen_at: Some(OffsetDateTime::UNIX_EPOCH + Duration::seconds(seen)),
            session_status: SessionStatus::Connected,
            condition: Condition {
                kind: ConditionKind::None,
                reason: String::new(),
                since: OffsetDateTime::UNIX_EPOCH,
            },
            restart_schedule: None,
            usage: None,
            messages_per_minute: None,
            labels: Default::default(),
            uid: uuid::Uuid::nil(),
        }
    }

    #[test]
    fn only_what_changed_is_sent() {
        assert!(!differs(&worker("", 1), &worker("", 2)));
        assert!(differs(&worker("", 1), &worker("no network", 1)));
    }
}

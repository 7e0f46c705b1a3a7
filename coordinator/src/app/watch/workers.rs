//! WatchWorkers: every worker that fits as it is, then each change.

use std::collections::{BTreeMap, BTreeSet};

use roost_model::ids::{SpecRevision, TenantId};
use roost_store::{Store, StoreError, Worker, WorkerFilter};

use super::{
    streams::{Outage, Outlet, Watched},
    wakeups::{Look, TenantWakeups},
};
use crate::app::{App, Error, waiting_tenants::Following};

const CHUNK: u32 = 500;

/// What became of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerChange {
    pub worker: Worker,
    /// The tenant was deleted; this is its worker's last known form.
    pub deleted: bool,
}

impl App {
    /// Every worker, or one tenant's, as it is, then each change.
    pub async fn watch_workers(&self, only: Option<TenantId>) -> Result<Watched<WorkerChange>, Error> {
        let watch = WatchWorkers::begin(self, only).await?;
        self.streams.open(|outlet| watch.run(outlet))
    }
}

struct WatchWorkers {
    store: Store,
    only: Option<TenantId>,
    wakeups: TenantWakeups,
    following: Following,
    sent: Sent,
    /// What was found at the beginning.
    present: Vec<WorkerChange>,
}

impl WatchWorkers {
    /// Reads what there is: what changes after this is sent. `NotFound` when it is to be one tenant and there is none.
    async fn begin(app: &App, only: Option<TenantId>) -> Result<Self, Error> {
        let store = app.store()?.clone();
        let wakeups = TenantWakeups::of(&store, only.clone());
        if let Some(tenant) = &only {
            store.get_worker(tenant).await?;
        }
        let following = app.waiting_tenants.follow().await;
        let mut sent = Sent::default();
        let present = look(&store, &following, &only, &Look::All, &mut sent).await?;
        Ok(Self { store, only, wakeups, following, sent, present })
    }

    async fn run(self, outlet: Outlet<WorkerChange>) -> Error {
        let Self { store, only, mut wakeups, mut following, mut sent, present } = self;
        let mut outage = Outage::default();
        send(&outlet, present).await;
        let mut at = next(&mut wakeups, &mut following, &only).await;
        loop {
            match look(&store, &following, &only, &at, &mut sent).await {
                Ok(answers) => {
                    outage.over();
                    send(&outlet, answers).await;
                    at = next(&mut wakeups, &mut following, &only).await;
                }
                Err(error) => {
                    if let Err(end) = outage.sit_out(error) {
                        return end;
                    }
                    wakeups.next().await;
                    // What was to be looked at, and what changed meanwhile.
                    at = Look::All;
                }
            }
        }
    }
}

/// A worker has changed, or what those wait for that no live node has.
async fn next(wakeups: &mut TenantWakeups, following: &mut Following, only: &Option<TenantId>) -> Look {
    loop {
        let mut waiting = tokio::select! {
            look = wakeups.next() => return look,
            changed = following.changed() => changed,
        };
        waiting.retain(|tenant| only.as_ref().is_none_or(|only| only == tenant));
        if !waiting.is_empty() {
            return Look::at(waiting);
        }
    }
}

async fn send(outlet: &Outlet<WorkerChange>, answers: Vec<WorkerChange>) {
    for answer in answers {
        outlet.send(answer).await;
    }
}

/// Reads what `at` says and answers with what differs from what was sent.
async fn look(
    store: &Store,
    following: &Following,
    only: &Option<TenantId>,
    at: &Look,
    sent: &mut Sent,
) -> Result<Vec<WorkerChange>, StoreError> {
    match (only, at) {
        (Some(tenant), _) => look_at(store, following, [tenant], sent).await,
        (None, Look::At(tenants)) => look_at(store, following, tenants, sent).await,
        (None, Look::All) => {
            let present = all(store).await?;
            let ids: BTreeSet<&TenantId> = present.iter().map(|worker| &worker.tenant).collect();
            let gone: Vec<TenantId> = sent.workers.keys().filter(|id| !ids.contains(id)).cloned().collect();
            let mut answers: Vec<_> = gone.iter().filter_map(|tenant| sent.gone(tenant)).collect();
            answers.extend(present.into_iter().filter_map(|worker| sent.present(following.told(worker))));
            Ok(answers)
        }
    }
}

async fn look_at(
    store: &Store,
    following: &Following,
    tenants: impl IntoIterator<Item = &TenantId>,
    sent: &mut Sent,
) -> Result<Vec<WorkerChange>, StoreError> {
    let mut answers = Vec::new();
    for tenant in tenants {
        answers.extend(match store.get_worker(tenant).await {
            Ok(worker) => sent.present(following.told(worker)),
            Err(StoreError::NotFound { .. }) => sent.gone(tenant),
            Err(error) => return Err(error),
        });
    }
    Ok(answers)
}

async fn all(store: &Store) -> Result<Vec<Worker>, StoreError> {
    let mut workers = Vec::new();
    loop {
        let after = workers.last().map(|last: &Worker| last.tenant.clone());
        let page = store.list_workers(&WorkerFilter::default(), after, CHUNK).await?;
        let more = page.len() == CHUNK as usize;
        workers.extend(page);
        if !more {
            return Ok(workers);
        }
    }
}

/// What the caller knows: one worker per tenant, as it was last sent.
#[derive(Default)]
struct Sent {
    workers: BTreeMap<TenantId, Worker>,
}

impl Sent {
    fn present(&mut self, worker: Worker) -> Option<WorkerChange> {
        // That it was seen again is no change, nor that its owner has to look again.
        let compared = Worker { last_seen_at: None, spec_revision: SpecRevision(0), ..worker.clone() };
        let before = self.workers.insert(worker.tenant.clone(), compared.clone());
        (before != Some(compared)).then_some(WorkerChange { worker, deleted: false })
    }

    fn gone(&mut self, tenant: &TenantId) -> Option<WorkerChange> {
        let worker = self.workers.remove(tenant)?;
        Some(WorkerChange { worker, deleted: true })
    }
}

#[cfg(test)]
mod tests {
    use roost_model::ids::Generation;
    use roost_store::{Condition, ConditionKind, DesiredState, SessionStatus, WorkerStatus};
    use time::{Duration, OffsetDateTime};

    use super::*;

    fn asha() -> TenantId {
        TenantId::new("asha").unwrap()
    }

    fn worker(last_error: &str, seen: i64) -> Worker {
        Worker {
            tenant: asha(),
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
        }
    }

    #[test]
    fn only_what_changed_is_sent() {
        let mut sent = Sent::default();
        assert!(sent.present(worker("", 1)).is_some());
        assert!(sent.present(worker("", 2)).is_none());
        let changed = sent.present(worker("no network", 3)).unwrap();
        assert_eq!(changed.worker, worker("no network", 3));
    }

    #[test]
    fn a_deleted_worker_is_told_once() {
        let mut sent = Sent::default();
        sent.present(worker("x", 1));
        assert!(sent.gone(&asha()).is_some_and(|answer| answer.deleted));
        assert!(sent.gone(&asha()).is_none());
        assert!(sent.present(worker("x", 1)).is_some_and(|answer| !answer.deleted));
    }
}

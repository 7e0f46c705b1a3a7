//! WatchWorkers: every worker that fits as it is, then each change.

use std::collections::{BTreeMap, BTreeSet};

use roost_model::ids::TenantId;
use roost_proto::{error::ApiError, v1};
use roost_store::{Store, StoreError, Worker, WorkerFilter};

use super::word::{Look, Word};
use crate::{
    stream::{Outage, Outlet},
    wire,
};

const CHUNK: u32 = 500;

pub struct WatchWorkers {
    store: Store,
    only: Option<TenantId>,
    word: Word,
    sent: Sent,
    /// What was found at the beginning.
    present: Vec<v1::WatchWorkersResponse>,
}

impl WatchWorkers {
    /// Reads what there is: what changes after this is told. `NotFound` when it is to be one tenant and there is none.
    pub async fn begin(store: Store, only: Option<TenantId>) -> Result<Self, StoreError> {
        let word = Word::of(&store, only.clone());
        if let Some(tenant) = &only {
            store.get_worker(tenant).await?;
        }
        let mut sent = Sent::default();
        let present = look(&store, &only, &Look::All, &mut sent).await?;
        Ok(Self { store, only, word, sent, present })
    }

    pub async fn run(self, outlet: Outlet<v1::WatchWorkersResponse>) -> ApiError {
        let Self { store, only, mut word, mut sent, present } = self;
        let mut outage = Outage::default();
        send(&outlet, present).await;
        let mut at = word.next().await;
        loop {
            match look(&store, &only, &at, &mut sent).await {
                Ok(answers) => {
                    outage.over();
                    send(&outlet, answers).await;
                    at = word.next().await;
                }
                Err(error) => {
                    if let Err(end) = outage.sit_out(error) {
                        return end;
                    }
                    word.next().await;
                    // What was to be looked at, and what changed meanwhile.
                    at = Look::All;
                }
            }
        }
    }
}

async fn send(outlet: &Outlet<v1::WatchWorkersResponse>, answers: Vec<v1::WatchWorkersResponse>) {
    for answer in answers {
        outlet.send(answer).await;
    }
}

/// Reads what `at` says and tells what differs from what was sent.
async fn look(
    store: &Store,
    only: &Option<TenantId>,
    at: &Look,
    sent: &mut Sent,
) -> Result<Vec<v1::WatchWorkersResponse>, StoreError> {
    match (only, at) {
        (Some(tenant), _) => look_at(store, [tenant], sent).await,
        (None, Look::At(tenants)) => look_at(store, tenants, sent).await,
        (None, Look::All) => {
            let present = all(store).await?;
            let ids: BTreeSet<&str> = present.iter().map(|worker| worker.tenant.as_str()).collect();
            let gone: Vec<String> =
                sent.workers.keys().filter(|id| !ids.contains(id.as_str())).cloned().collect();
            let mut answers: Vec<_> = gone.iter().filter_map(|tenant| sent.gone(tenant)).collect();
            answers.extend(present.into_iter().filter_map(|worker| sent.present(wire::worker(worker))));
            Ok(answers)
        }
    }
}

async fn look_at(
    store: &Store,
    tenants: impl IntoIterator<Item = &TenantId>,
    sent: &mut Sent,
) -> Result<Vec<v1::WatchWorkersResponse>, StoreError> {
    let mut answers = Vec::new();
    for tenant in tenants {
        answers.extend(match store.get_worker(tenant).await {
            Ok(worker) => sent.present(wire::worker(worker)),
            Err(StoreError::NotFound { .. }) => sent.gone(tenant.as_str()),
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
    workers: BTreeMap<String, v1::Worker>,
}

impl Sent {
    fn present(&mut self, worker: v1::Worker) -> Option<v1::WatchWorkersResponse> {
        // That it was seen again is no change.
        let compared = v1::Worker { last_seen_time: None, ..worker.clone() };
        let before = self.workers.insert(worker.tenant_id.clone(), compared.clone());
        (before != Some(compared))
            .then_some(v1::WatchWorkersResponse { worker: Some(worker), deleted: false })
    }

    fn gone(&mut self, tenant: &str) -> Option<v1::WatchWorkersResponse> {
        let worker = self.workers.remove(tenant)?;
        Some(v1::WatchWorkersResponse { worker: Some(worker), deleted: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(last_error: &str, seen: i64) -> v1::Worker {
        let last_seen_time = Some(prost_types::Timestamp { seconds: seen, nanos: 0 });
        v1::Worker {
            tenant_id: "asha".into(),
            last_error: last_error.into(),
            last_seen_time,
            ..Default::default()
        }
    }

    #[test]
    fn only_what_changed_is_sent() {
        let mut sent = Sent::default();
        assert!(sent.present(worker("", 1)).is_some());
        assert!(sent.present(worker("", 2)).is_none());
        let changed = sent.present(worker("no network", 3)).unwrap();
        assert_eq!(changed.worker, Some(worker("no network", 3)));
    }

    #[test]
    fn a_deleted_worker_is_told_once() {
        let mut sent = Sent::default();
        sent.present(worker("x", 1));
        assert!(sent.gone("asha").is_some_and(|answer| answer.deleted));
        assert!(sent.gone("asha").is_none());
        assert!(sent.present(worker("x", 1)).is_some_and(|answer| !answer.deleted));
    }
}

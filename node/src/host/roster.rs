//! The tenants that this node holds, for those who only look: the heartbeat and the status page.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use roost_model::ids::{Generation, TenantId};
use roost_store::Fence;
use serde::Serialize;

use crate::worker::WorkerHandle;

/// Cheap to clone; all clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    posts: Arc<Mutex<BTreeMap<TenantId, Post>>>,
}

#[derive(Debug)]
struct Post {
    generation: Generation,
    /// None while its spec is being read, or between a worker that ended by itself and the next.
    worker: Option<WorkerHandle>,
}

/// A held tenant, for people.
#[derive(Debug, Serialize)]
pub struct TenantStatus {
    tenant: TenantId,
    generation: Generation,
    /// The worker's state; "waiting" while there is no worker.
    state: String,
    /// Milliseconds since its page last proved that it works.
    seen_ms_ago: Option<u128>,
}

impl Roster {
    pub(super) fn hold(&self, tenant: &TenantId, generation: Generation) {
        self.posts.lock().insert(tenant.clone(), Post { generation, worker: None });
    }

    pub(super) fn set_worker(&self, tenant: &TenantId, worker: Option<WorkerHandle>) {
        if let Some(post) = self.posts.lock().get_mut(tenant) {
            post.worker = worker;
        }
    }

    pub(super) fn drop_hold(&self, tenant: &TenantId) {
        self.posts.lock().remove(tenant);
    }

    /// The workers whose pages have proved themselves within `age`.
    pub(super) fn seen_within(&self, age: Duration) -> Vec<(Fence, WorkerHandle)> {
        let now = Instant::now();
        let posts = self.posts.lock();
        let fresh = posts.iter().filter_map(|(tenant, post)| {
            let worker = post.worker.clone()?;
            let seen = worker.seen()?;
            let fence = Fence { tenant: tenant.clone(), generation: post.generation };
            (now.saturating_duration_since(seen) <= age).then_some((fence, worker))
        });
        fresh.collect()
    }

    pub fn statuses(&self) -> Vec<TenantStatus> {
        let posts = self.posts.lock();
        let statuses = posts.iter().map(|(tenant, post)| TenantStatus {
            tenant: tenant.clone(),
            generation: post.generation,
            state: post
                .worker
                .as_ref()
                .map_or_else(|| "waiting".to_owned(), |worker| worker.state().borrow().to_string()),
            seen_ms_ago: post.worker.as_ref().and_then(WorkerHandle::seen).map(|at| at.elapsed().as_millis()),
        });
        statuses.collect()
    }
}

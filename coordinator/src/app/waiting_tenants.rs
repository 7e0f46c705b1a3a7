//! What tenants wait for that no live node has, as all who follow workers are shown it, and the one rule by which it is told of a
//! worker. [`super::waiting_look`] looks, for all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::Arc,
    time::Duration,
};

use roost_model::ids::TenantId;
use roost_store::{Condition, ConditionKind, DesiredState, Worker};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

/// The most that one who begins to follow waits for the first look.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// By tenant, of those that should run and that no live node has.
pub(super) type Waiting = BTreeMap<TenantId, (ConditionKind, String)>;

/// The one rule for reads and watches: what the plan says of a worker that no live node has comes before its last own word.
/// While etcd is away that stands.
pub(super) fn told(mut worker: Worker, waiting: Option<&Waiting>) -> Worker {
    let waits = waiting.and_then(|waiting| waiting.get(&worker.tenant));
    if let Some((kind, reason)) = waits.filter(|_| worker.desired == DesiredState::Running) {
        // It waits since it was last seen working, or since it was started.
        let since =
            worker.last_seen_at.map_or(worker.condition.since, |seen| seen.max(worker.condition.since));
        worker.condition = Condition { kind: *kind, reason: reason.clone(), since };
    }
    worker
}

/// The last look. Cheap to clone; all clones show the same.
#[derive(Clone)]
pub struct WaitingTenants {
    latest: Arc<watch::Sender<Option<Known>>>,
    followed: Arc<Notify>,
}

/// None where a look could not learn it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known(Option<Arc<Waiting>>);

impl WaitingTenants {
    pub(super) fn new() -> Self {
        Self { latest: Arc::new(watch::channel(None).0), followed: Arc::default() }
    }

    /// What those who follow are shown; none while nobody does.
    pub(super) fn present(&self) -> Option<Option<Arc<Waiting>>> {
        self.latest.borrow().clone().map(|Known(waiting)| waiting)
    }

    /// Begins with the first look.
    pub(super) async fn follow(&self) -> Following {
        let mut latest = self.latest.subscribe();
        self.followed.notify_one();
        // Without one in time it begins with what the database says.
        let first =
            timeout(FIRST_WITHIN, async { latest.wait_for(Option::is_some).await.ok()?.clone() }).await;
        let shown = first.ok().flatten().and_then(|Known(waiting)| waiting);
        Following { latest, shown }
    }

    pub(super) async fn until_followed(&self) {
        self.followed.notified().await;
    }

    pub(super) fn is_followed(&self) -> bool {
        self.latest.receiver_count() > 0
    }

    /// What a look has found; none if it could not be learnt.
    pub(super) fn show(&self, waiting: Option<Waiting>) {
        self.set(Some(Known(waiting.map(Arc::new))));
    }

    /// Nobody follows.
    pub(super) fn forget(&self) {
        self.set(None);
    }

    fn set(&self, now: Option<Known>) {
        self.latest.send_if_modified(|latest| {
            let is_news = *latest != now;
            *latest = now;
            is_news
        });
    }
}

/// One who follows.
pub(super) struct Following {
    latest: watch::Receiver<Option<Known>>,
    shown: Option<Arc<Waiting>>,
}

impl Following {
    /// The tenants that wait for something else now, or not any more. Cancelling loses nothing.
    pub(super) async fn changed(&mut self) -> BTreeSet<TenantId> {
        if self.latest.changed().await.is_err() {
            pending::<()>().await;
        }
        let now = self.latest.borrow_and_update().clone().and_then(|Known(waiting)| waiting);
        let changed = differing(self.shown.as_deref(), now.as_deref());
        self.shown = now;
        changed
    }
}

fn differing(before: Option<&Waiting>, now: Option<&Waiting>) -> BTreeSet<TenantId> {
    let all = [before, now].into_iter().flatten().flat_map(|waiting| waiting.keys());
    let differs = |tenant: &&TenantId| {
        before.and_then(|waiting| waiting.get(*tenant)) != now.and_then(|waiting| waiting.get(*tenant))
    };
    all.filter(differs).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(of: &[(&str, &str)]) -> Waiting {
        let entry = |(tenant, reason): &(&str, &str)| {
            (TenantId::new(tenant).unwrap(), (ConditionKind::WaitingForCapacity, (*reason).to_owned()))
        };
        of.iter().map(entry).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_follows_is_told_of_the_tenants_that_wait_for_something_else() {
        let shared = WaitingTenants::new();
        let show = |of: &[(&str, &str)]| shared.show(Some(waiting(of)));
        assert_eq!((shared.is_followed(), shared.present()), (false, None));
        show(&[("asha", "full"), ("duka", "full")]);
        let mut following = shared.follow().await;
        assert!(shared.is_followed());
        show(&[("asha", "full"), ("duka", "closed"), ("juma", "full")]);
        let names = |changed: BTreeSet<TenantId>| changed.into_iter().map(String::from).collect::<Vec<_>>();
        assert_eq!(names(following.changed().await), ["duka", "juma"]);
        show(&[("asha", "full"), ("duka", "closed"), ("juma", "full")]);
        assert!(timeout(FIRST_WITHIN, following.changed()).await.is_err(), "that is no news");
        shared.show(None);
        assert_eq!(names(following.changed().await), ["asha", "duka", "juma"], "nothing is known of them");
        drop(following);
        assert!(!shared.is_followed());
    }
}

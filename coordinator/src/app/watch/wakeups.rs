//! When a watch looks again: when it is notified of a change, and from time to time without that, for a notification may be
//! lost.

use std::{collections::BTreeSet, iter, time::Duration};

use roost_model::ids::{OperationId, TenantId};
use roost_store::{Change, ClusterChange, Store};
use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    time::{Interval, MissedTickBehavior, interval},
};

/// From one look without a notification to the next.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What to look at.
#[derive(Debug, PartialEq, Eq)]
pub enum Look<K> {
    /// All there is.
    Everything,
    /// Whatever has changed: it is not known what.
    Changed,
    At(BTreeSet<K>),
}

impl<K: Ord> Look<K> {
    /// What of these is to be looked at.
    pub fn among(self, followed: BTreeSet<K>) -> BTreeSet<K> {
        match self {
            Self::Everything | Self::Changed => followed,
            Self::At(things) => followed.into_iter().filter(|thing| things.contains(thing)).collect(),
        }
    }
}

/// Wakes for changes to things that have keys.
pub struct KeyedWakeups<C, K> {
    wakeups: Wakeups<C>,
    key: Box<dyn Fn(C) -> Option<K> + Send + Sync>,
}

/// Wakes for changes to one tenant, or to any.
pub type TenantWakeups = KeyedWakeups<Change, TenantId>;

/// Wakes for changes to operations.
pub type OperationWakeups = KeyedWakeups<ClusterChange, OperationId>;

impl TenantWakeups {
    /// For changes from now on. What was true before is the caller's to read, after this.
    pub fn of(store: &Store, only: Option<TenantId>) -> Self {
        Self::of_tenants(store.changes(), only)
    }

    fn of_tenants(changes: Receiver<Change>, only: Option<TenantId>) -> Self {
        Self::new(changes, move |change: Change| {
            only.as_ref().is_none_or(|only| *only == change.tenant).then_some(change.tenant)
        })
    }
}

impl OperationWakeups {
    /// As [`TenantWakeups::of`].
    pub fn of(store: &Store) -> Self {
        Self::new(store.cluster_changes(), |change| match change {
            ClusterChange::Operation(id) => Some(id),
            ClusterChange::Orders
            | ClusterChange::Event
            | ClusterChange::Deletion
            | ClusterChange::SetupRequest(_) => None,
        })
    }
}

impl<C: Clone, K: Ord> KeyedWakeups<C, K> {
    fn new(changes: Receiver<C>, key: impl Fn(C) -> Option<K> + Send + Sync + 'static) -> Self {
        Self { wakeups: Wakeups::new(changes), key: Box::new(key) }
    }

    /// Waits until there is a reason to look. Many changes that have come meanwhile are one look.
    pub async fn next(&mut self) -> Look<K> {
        loop {
            let Some(first) = self.wakeups.next().await else { return Look::Changed };
            let Some(waiting) = self.wakeups.waiting() else { return Look::Changed };
            let things: BTreeSet<K> = iter::once(first).chain(waiting).filter_map(&self.key).collect();
            if !things.is_empty() {
                return Look::At(things);
            }
        }
    }
}

/// Wakes for changes of one kind to the cluster.
pub struct ClusterWakeups {
    wakeups: Wakeups<ClusterChange>,
    only: ClusterChange,
}

impl ClusterWakeups {
    /// For changes from now on. What was true before is the caller's to read, after this.
    pub fn of(store: &Store, only: ClusterChange) -> Self {
        Self::new(store.cluster_changes(), only)
    }

    fn new(changes: Receiver<ClusterChange>, only: ClusterChange) -> Self {
        Self { wakeups: Wakeups::new(changes), only }
    }

    /// Waits until there is a reason to look. Many changes that have come meanwhile are one look.
    pub async fn next(&mut self) {
        while let Some(change) = self.wakeups.next().await {
            if change == self.only {
                self.wakeups.waiting();
                return;
            }
        }
    }
}

/// Notifications, and the timer that stands in for lost ones.
struct Wakeups<C> {
    changes: Receiver<C>,
    timer: Interval,
}

impl<C: Clone> Wakeups<C> {
    fn new(changes: Receiver<C>) -> Self {
        let mut timer = interval(LOOK_EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        timer.reset();
        Self { changes, timer }
    }

    /// The next change; None when it is time to look without knowing of one.
    async fn next(&mut self) -> Option<C> {
        let received = tokio::select! {
            _tick = self.timer.tick() => return None,
            received = self.changes.recv() => received,
        };
        match received {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(_)) => None,
            // The store is going down with the coordinator; until then there is the timer.
            Err(RecvError::Closed) => {
                self.timer.tick().await;
                None
            }
        }
    }

    /// What has come meanwhile; None when some of it was lost.
    fn waiting(&mut self) -> Option<Vec<C>> {
        let (mut waiting, mut lost) = (Vec::new(), false);
        loop {
            match self.changes.try_recv() {
                Ok(change) => waiting.push(change),
                Err(TryRecvError::Lagged(_)) => lost = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return (!lost).then_some(waiting),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use roost_store::ChangeKind;
    use tokio::{sync::broadcast, time::Instant};

    use super::*;

    const MINE: ClusterChange = ClusterChange::Operation(OperationId(7));

    fn id(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn change(name: &str) -> Change {
        Change { kind: ChangeKind::Worker, tenant: id(name) }
    }

    #[tokio::test(start_paused = true)]
    async fn changes_that_came_together_are_one_look() {
        let (sender, receiver) = broadcast::channel(8);
        let mut wakeups = TenantWakeups::of_tenants(receiver, None);
        for name in ["a", "b", "a"] {
            sender.send(change(name)).unwrap();
        }
        assert_eq!(wakeups.next().await, Look::At(BTreeSet::from([id("a"), id("b")])));
    }

    #[tokio::test(start_paused = true)]
    async fn changes_of_others_are_no_reason_and_the_timer_is() {
        let (sender, receiver) = broadcast::channel(8);
        let mut wakeups = TenantWakeups::of_tenants(receiver, Some(id("a")));
        sender.send(change("b")).unwrap();
        let begun = Instant::now();
        assert_eq!(wakeups.next().await, Look::Changed);
        assert_eq!(begun.elapsed(), LOOK_EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn lost_notifications_mean_looking_at_whatever_has_changed() {
        let (sender, receiver) = broadcast::channel(64);
        let mut wakeups = TenantWakeups::of_tenants(receiver, None);
        for _ in 0..100 {
            sender.send(change("a")).unwrap();
        }
        assert_eq!(wakeups.next().await, Look::Changed);
    }

    #[test]
    fn of_what_is_looked_at_only_that_counts_which_somebody_follows() {
        let followed = || BTreeSet::from([1, 2]);
        assert_eq!(Look::At(BTreeSet::from([2, 3])).among(followed()), BTreeSet::from([2]));
        assert_eq!(Look::Changed.among(followed()), followed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_source_leaves_the_timer() {
        let (sender, receiver) = broadcast::channel(8);
        let mut wakeups = TenantWakeups::of_tenants(receiver, None);
        drop(sender);
        let begun = Instant::now();
        assert_eq!(wakeups.next().await, Look::Changed);
        assert_eq!(begun.elapsed(), LOOK_EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn many_notifications_are_one_look_and_the_next_one_waits_for_the_timer() {
        let (sender, receiver) = broadcast::channel(8);
        let mut wakeups = ClusterWakeups::new(receiver, MINE);
        for change in [ClusterChange::Event, MINE, ClusterChange::Orders, MINE] {
            sender.send(change).unwrap();
        }
        let begun = Instant::now();
        wakeups.next().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        sender.send(ClusterChange::Operation(OperationId(8))).unwrap();
        wakeups.next().await;
        assert_eq!(begun.elapsed(), LOOK_EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_notification_is_a_reason_and_a_closed_source_leaves_the_timer() {
        let (sender, receiver) = broadcast::channel(2);
        let mut wakeups = ClusterWakeups::new(receiver, MINE);
        for _ in 0..9 {
            sender.send(ClusterChange::Event).unwrap();
        }
        let begun = Instant::now();
        wakeups.next().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        drop(sender);
        wakeups.next().await;
        assert_eq!(begun.elapsed(), LOOK_EVERY);
    }
}

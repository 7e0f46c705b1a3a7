//! When a watch looks again: when it is notified of a change, and from time to time without that, for a notification may be
//! lost.

use std::{collections::BTreeSet, iter, time::Duration};

use roost_model::ids::TenantId;
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
/// From so many tenants on, looking at all of them is cheaper than at each.
const MANY: usize = 32;

/// What to look at.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    All,
    At(BTreeSet<TenantId>),
}

impl Look {
    pub fn at(tenants: BTreeSet<TenantId>) -> Self {
        if tenants.len() >= MANY { Self::All } else { Self::At(tenants) }
    }
}

/// Wakes for changes to one tenant, or to any.
pub struct TenantWakeups {
    wakeups: Wakeups<Change>,
    only: Option<TenantId>,
}

impl TenantWakeups {
    /// For changes from now on. What was true before is the caller's to read, after this.
    pub fn of(store: &Store, only: Option<TenantId>) -> Self {
        Self::new(store.changes(), only)
    }

    fn new(changes: Receiver<Change>, only: Option<TenantId>) -> Self {
        Self { wakeups: Wakeups::new(changes), only }
    }

    /// Waits until there is a reason to look. Many changes that have come meanwhile are one look.
    pub async fn next(&mut self) -> Look {
        loop {
            let Some(first) = self.wakeups.next().await else { return Look::All };
            let Some(waiting) = self.wakeups.waiting() else { return Look::All };
            let changed = iter::once(first).chain(waiting).map(|change| change.tenant);
            let tenants: BTreeSet<TenantId> =
                changed.filter(|tenant| self.only.as_ref().is_none_or(|only| only == tenant)).collect();
            if !tenants.is_empty() {
                return Look::at(tenants);
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
    use roost_model::ids::OperationId;
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
        let mut wakeups = TenantWakeups::new(receiver, None);
        for name in ["a", "b", "a"] {
            sender.send(change(name)).unwrap();
        }
        assert_eq!(wakeups.next().await, Look::At(BTreeSet::from([id("a"), id("b")])));
    }

    #[tokio::test(start_paused = true)]
    async fn changes_of_others_are_no_reason_and_the_timer_is() {
        let (sender, receiver) = broadcast::channel(8);
        let mut wakeups = TenantWakeups::new(receiver, Some(id("a")));
        sender.send(change("b")).unwrap();
        let begun = Instant::now();
        assert_eq!(wakeups.next().await, Look::All);
        assert_eq!(begun.elapsed(), LOOK_EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn lost_notifications_and_very_many_of_them_mean_looking_at_all() {
        let (sender, receiver) = broadcast::channel(64);
        let mut wakeups = TenantWakeups::new(receiver, None);
        for number in 0..MANY {
            sender.send(change(&format!("t{number}"))).unwrap();
        }
        assert_eq!(wakeups.next().await, Look::All);
        for _ in 0..100 {
            sender.send(change("a")).unwrap();
        }
        assert_eq!(wakeups.next().await, Look::All);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_source_leaves_the_timer() {
        let (sender, receiver) = broadcast::channel(8);
        let mut wakeups = TenantWakeups::new(receiver, None);
        drop(sender);
        let begun = Instant::now();
        assert_eq!(wakeups.next().await, Look::All);
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

//! When a stream looks again: on word of a change, and from time to time without one, for word may be lost.

use std::{collections::BTreeSet, time::Duration};

use roost_model::ids::TenantId;
use roost_store::{Change, Store};
use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    time::{Interval, MissedTickBehavior, interval},
};

/// From one look without word to the next.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// From so many tenants on, looking at all of them is cheaper than at each.
const MANY: usize = 32;

/// What to look at.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    All,
    At(BTreeSet<TenantId>),
}

/// Word of changes to one tenant, or to any.
pub struct Word {
    changes: Receiver<Change>,
    timer: Interval,
    only: Option<TenantId>,
}

impl Word {
    /// Of changes from now on. What was true before is the caller's to read, after this.
    pub fn of(store: &Store, only: Option<TenantId>) -> Self {
        Self::new(store.changes(), only)
    }

    fn new(changes: Receiver<Change>, only: Option<TenantId>) -> Self {
        let mut timer = interval(LOOK_EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        timer.reset();
        Self { changes, timer, only }
    }

    /// Waits until there is a reason to look.
    pub async fn next(&mut self) -> Look {
        loop {
            let first = tokio::select! {
                _tick = self.timer.tick() => return Look::All,
                change = self.changes.recv() => change,
            };
            match first {
                Ok(change) => {
                    let mut tenants = BTreeSet::new();
                    self.note(change, &mut tenants);
                    if self.drain(&mut tenants).is_err() || tenants.len() >= MANY {
                        return Look::All;
                    }
                    if !tenants.is_empty() {
                        return Look::At(tenants);
                    }
                }
                Err(RecvError::Lagged(_)) => return Look::All,
                // The store is going down with the coordinator; until then there is the timer.
                Err(RecvError::Closed) => {
                    self.timer.tick().await;
                    return Look::All;
                }
            }
        }
    }

    /// Takes what has come meanwhile, so that many changes are one look. Err when some were lost.
    fn drain(&mut self, tenants: &mut BTreeSet<TenantId>) -> Result<(), ()> {
        loop {
            match self.changes.try_recv() {
                Ok(change) => self.note(change, tenants),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(()),
                Err(TryRecvError::Lagged(_)) => return Err(()),
            }
        }
    }

    fn note(&self, change: Change, tenants: &mut BTreeSet<TenantId>) {
        if self.only.as_ref().is_none_or(|only| *only == change.tenant) {
            tenants.insert(change.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use roost_store::ChangeKind;
    use tokio::sync::broadcast;

    use super::*;

    fn id(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn change(name: &str) -> Change {
        Change { kind: ChangeKind::Worker, tenant: id(name) }
    }

    #[tokio::test(start_paused = true)]
    async fn changes_that_came_together_are_one_look() {
        let (sender, receiver) = broadcast::channel(8);
        let mut word = Word::new(receiver, None);
        for name in ["a", "b", "a"] {
            sender.send(change(name)).unwrap();
        }
        assert_eq!(word.next().await, Look::At(BTreeSet::from([id("a"), id("b")])));
    }

    #[tokio::test(start_paused = true)]
    async fn changes_of_others_are_no_reason_and_the_timer_is() {
        let (sender, receiver) = broadcast::channel(8);
        let mut word = Word::new(receiver, Some(id("a")));
        sender.send(change("b")).unwrap();
        let begun = tokio::time::Instant::now();
        assert_eq!(word.next().await, Look::All);
        assert_eq!(begun.elapsed(), LOOK_EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn lost_word_and_very_much_of_it_mean_looking_at_all() {
        let (sender, receiver) = broadcast::channel(64);
        let mut word = Word::new(receiver, None);
        for number in 0..MANY {
            sender.send(change(&format!("t{number}"))).unwrap();
        }
        assert_eq!(word.next().await, Look::All);
        for _ in 0..100 {
            sender.send(change("a")).unwrap();
        }
        assert_eq!(word.next().await, Look::All);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_source_leaves_the_timer() {
        let (sender, receiver) = broadcast::channel(8);
        let mut word = Word::new(receiver, None);
        drop(sender);
        let begun = tokio::time::Instant::now();
        assert_eq!(word.next().await, Look::All);
        assert_eq!(begun.elapsed(), LOOK_EVERY);
    }
}

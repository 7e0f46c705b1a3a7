//! When a stream about the cluster looks again: on word of a change, and from time to time without one, for word may be
//! lost.

use std::time::Duration;

use roost_store::{ClusterChange, Store};
use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    time::{Interval, MissedTickBehavior, interval},
};

/// From one look without word to the next.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Word of changes of one kind.
pub struct News {
    changes: Receiver<ClusterChange>,
    timer: Interval,
    only: ClusterChange,
}

impl News {
    /// Of changes from now on. What was true before is the caller's to read, after this.
    pub fn of(store: &Store, only: ClusterChange) -> Self {
        Self::new(store.cluster_changes(), only)
    }

    fn new(changes: Receiver<ClusterChange>, only: ClusterChange) -> Self {
        let mut timer = interval(LOOK_EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        timer.reset();
        Self { changes, timer, only }
    }

    /// Waits until there is a reason to look. Much word that has come meanwhile is one reason.
    pub async fn next(&mut self) {
        loop {
            let word = tokio::select! {
                _tick = self.timer.tick() => return,
                word = self.changes.recv() => word,
            };
            match word {
                Ok(change) if change == self.only => {
                    while !matches!(self.changes.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed))
                    {
                    }
                    return;
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return,
                // The store is going down with the coordinator; until then there is the timer.
                Err(RecvError::Closed) => {
                    self.timer.tick().await;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use roost_model::ids::OperationId;
    use tokio::{sync::broadcast, time::Instant};

    use super::*;

    const MINE: ClusterChange = ClusterChange::Operation(OperationId(7));

    #[tokio::test(start_paused = true)]
    async fn much_word_is_one_look_and_the_next_one_waits_for_the_timer() {
        let (sender, receiver) = broadcast::channel(8);
        let mut news = News::new(receiver, MINE);
        for change in [ClusterChange::Event, MINE, ClusterChange::Orders, MINE] {
            sender.send(change).unwrap();
        }
        let begun = Instant::now();
        news.next().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        sender.send(ClusterChange::Operation(OperationId(8))).unwrap();
        news.next().await;
        assert_eq!(begun.elapsed(), LOOK_EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn lost_word_is_a_reason_and_a_closed_source_leaves_the_timer() {
        let (sender, receiver) = broadcast::channel(2);
        let mut news = News::new(receiver, MINE);
        for _ in 0..9 {
            sender.send(ClusterChange::Event).unwrap();
        }
        let begun = Instant::now();
        news.next().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        drop(sender);
        news.next().await;
        assert_eq!(begun.elapsed(), LOOK_EVERY);
    }
}

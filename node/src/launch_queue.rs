//! Whose browser launches next. A launch takes most of a core for seconds, so only a few run at once; the others wait, and
//! of these the tenant that has been down the longest is next.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::sync::oneshot;

/// The place of a launch in the queue; the least is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LaunchPriority {
    /// Its worker was last seen to work then.
    DownSince(OffsetDateTime),
    /// It never was: nobody misses it yet.
    NeverSeen,
    /// The tenant runs elsewhere, and this is for when it will not.
    Ahead,
}

impl LaunchPriority {
    pub fn down_since(last_seen_at: Option<OffsetDateTime>) -> Self {
        last_seen_at.map_or(Self::NeverSeen, Self::DownSince)
    }
}

/// At most so many launches at once.
#[derive(Debug)]
pub struct LaunchQueue {
    state: Mutex<QueueState>,
}

#[derive(Debug)]
struct QueueState {
    free: usize,
    /// Counts those who came, so that of two equals the earlier one is next.
    arrivals: u64,
    waiting: BTreeMap<(LaunchPriority, u64), oneshot::Sender<LaunchPermit>>,
}

/// The right to launch; it ends when this is dropped.
#[derive(Debug)]
pub struct LaunchPermit {
    queue: Arc<LaunchQueue>,
}

impl LaunchQueue {
    pub fn new(at_once: usize) -> Arc<Self> {
        let state = QueueState { free: at_once, arrivals: 0, waiting: BTreeMap::new() };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Waits for a permit. May be given up at any time.
    pub async fn acquire(self: &Arc<Self>, priority: LaunchPriority) -> LaunchPermit {
        let (permit, given) = oneshot::channel();
        {
            let mut state = self.state.lock();
            state.arrivals += 1;
            let arrival = state.arrivals;
            state.waiting.insert((priority, arrival), permit);
        }
        self.give();
        match given.await {
            Ok(permit) => permit,
            Err(_) => unreachable!("a waiting launch is forgotten only by giving it its permit"),
        }
    }

    /// Gives what permits are free to those who are next.
    fn give(self: &Arc<Self>) {
        while let Some(next) = self.state.lock().next() {
            // One that was given up meanwhile drops the permit, which comes back here.
            drop(next.send(LaunchPermit { queue: self.clone() }));
        }
    }
}

impl QueueState {
    /// Takes a free permit for who is next, if there are both.
    fn next(&mut self) -> Option<oneshot::Sender<LaunchPermit>> {
        while self.free > 0 {
            let (_, next) = self.waiting.pop_first()?;
            if !next.is_closed() {
                self.free -= 1;
                return Some(next);
            }
        }
        None
    }
}

impl Drop for LaunchPermit {
    fn drop(&mut self) {
        self.queue.state.lock().free += 1;
        self.queue.give();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{FutureExt, future::BoxFuture};

    use super::*;

    fn seen(seconds: i64) -> LaunchPriority {
        LaunchPriority::down_since(Some(
            OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs()),
        ))
    }

    /// A launch that has taken its place in the queue.
    fn waiting(queue: &Arc<LaunchQueue>, priority: LaunchPriority) -> BoxFuture<'static, LaunchPermit> {
        let queue = queue.clone();
        let mut permit = Box::pin(async move { queue.acquire(priority).await });
        assert!((&mut permit).now_or_never().is_none(), "it does not wait");
        permit
    }

    #[tokio::test]
    async fn the_longest_down_is_next_the_never_seen_last_and_what_is_ahead_of_need_after_all() {
        let queue = LaunchQueue::new(1);
        let running = queue.acquire(seen(9)).await;
        let priorities =
            [LaunchPriority::Ahead, LaunchPriority::NeverSeen, seen(7), seen(3), seen(5), seen(3)];
        let mut launches: Vec<_> = priorities.map(|priority| Some(waiting(&queue, priority))).into();
        drop(running);
        let mut order = Vec::new();
        while order.len() < priorities.len() {
            let given: Vec<_> = (0..priorities.len())
                .filter_map(|at| {
                    let permit = launches[at].as_mut()?.now_or_never()?;
                    launches[at] = None;
                    Some((at, permit))
                })
                .collect();
            assert_eq!(given.len(), 1, "one launch at once");
            order.push(given[0].0);
        }
        assert_eq!(order, [3, 5, 4, 2, 1, 0]);
    }

    #[tokio::test]
    async fn a_launch_that_is_given_up_costs_nobody_a_turn() {
        let queue = LaunchQueue::new(2);
        let (first, second) = (queue.acquire(seen(1)).await, queue.acquire(seen(2)).await);
        let given_up = waiting(&queue, seen(3));
        let given_up_late = waiting(&queue, seen(4));
        let last = waiting(&queue, seen(5));
        drop(given_up);
        drop(first);
        // It has its permit by now and does not take it.
        drop(given_up_late);
        let last = last.now_or_never().expect("the permit went on to the one who waits");
        drop((second, last));
        assert_eq!(queue.state.lock().free, 2);
    }
}

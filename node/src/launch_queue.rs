//! Whose browser launches, or page loads anew, next. A start takes most of a core for seconds, from the browser's beginning until
//! its page is there, so only a few run at once; the others wait. Of these
//! the one with the fewest failed attempts is next, and of equals the tenant that has been down the longest. Attempts first, for
//! what keeps failing is down the longest by and by, and its launches are the slow ones: a few such would hold up a failover.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use time::OffsetDateTime;
use tokio::sync::{Notify, oneshot};

/// The place of a launch in the queue; the least is next, by the first field that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaunchPriority {
    need: Need,
    attempts: u32,
    down: Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Now,
    /// The tenant runs elsewhere, and this is for when it will not.
    Later,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Down {
    /// Its worker was last seen to work then.
    Since(OffsetDateTime),
    /// It never was: nobody misses it yet.
    NeverUp,
}

impl LaunchPriority {
    /// For a move that is being prepared.
    pub const AHEAD: Self = Self { need: Need::Later, attempts: 0, down: Down::NeverUp };

    /// For a tenant that is down; `attempts` have failed since it last worked.
    pub fn needed(attempts: u32, last_seen_at: Option<OffsetDateTime>) -> Self {
        Self { need: Need::Now, attempts, down: last_seen_at.map_or(Down::NeverUp, Down::Since) }
    }
}

/// One more than this process has processors: while the page of one waits, another's computes.
pub fn usual_launches() -> usize {
    std::thread::available_parallelism().map_or(2, |processors| processors.get() + 1)
}

/// At most so many launches at once.
#[derive(Debug)]
pub struct LaunchQueue {
    state: Mutex<QueueState>,
    /// Notified when somebody has to wait.
    short: Notify,
}

#[derive(Debug)]
struct QueueState {
    /// Below none while there are more than may be, for some do not wait.
    free: isize,
    /// How many there are.
    held: usize,
    /// How many there were.
    given: u64,
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
        let free = isize::try_from(at_once).unwrap_or(isize::MAX);
        let state = QueueState { free, held: 0, given: 0, arrivals: 0, waiting: BTreeMap::new() };
        Arc::new(Self { state: Mutex::new(state), short: Notify::new() })
    }

    /// For what cannot wait, or has begun already: a permit out of turn. Those who wait, wait for it too.
    pub fn take(self: &Arc<Self>) -> LaunchPermit {
        self.state.lock().count_out();
        self.short.notify_waiters();
        LaunchPermit { queue: self.clone() }
    }

    /// For what is in no hurry: a permit if one is free, and nobody waits then.
    pub fn take_if_free(self: &Arc<Self>) -> Option<LaunchPermit> {
        let mut state = self.state.lock();
        (state.free > 0).then(|| {
            state.count_out();
            LaunchPermit { queue: self.clone() }
        })
    }

    /// Whether [`LaunchQueue::take_if_free`] would give one.
    pub fn has_free(&self) -> bool {
        self.state.lock().free > 0
    }

    /// The starts until now.
    pub fn starts(&self) -> Starts {
        let state = self.state.lock();
        Starts { under_way: state.held, given: state.given }
    }

    /// Resolves when somebody has to wait for a permit, or has taken one out of turn, from when this is polled on.
    pub async fn until_short(&self) {
        self.short.notified().await;
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
        if self.state.lock().is_short() {
            self.short.notify_waiters();
        }
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
                self.count_out();
                return Some(next);
            }
        }
        None
    }

    fn is_short(&self) -> bool {
        self.free <= 0 && !self.waiting.is_empty()
    }

    fn count_out(&mut self) {
        self.free -= 1;
        self.held += 1;
        self.given += 1;
    }
}

/// How much was being started at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Starts {
    under_way: usize,
    given: u64,
}

impl Starts {
    /// Whether any is under way.
    pub fn is_any(&self) -> bool {
        self.under_way > 0
    }

    /// Whether any was under way between this moment and a later one.
    pub fn any_until(&self, later: &Self) -> bool {
        self.is_any() || self.given != later.given
    }
}

impl Drop for LaunchPermit {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        state.free += 1;
        state.held -= 1;
        drop(state);
        self.queue.give();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{FutureExt, future::BoxFuture};

    use super::*;

    const NEVER_SEEN: LaunchPriority = LaunchPriority { need: Need::Now, attempts: 0, down: Down::NeverUp };

    fn seen(seconds: u64) -> LaunchPriority {
        failed(0, seconds)
    }

    fn failed(attempts: u32, seen_seconds: u64) -> LaunchPriority {
        let seen = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seen_seconds);
        LaunchPriority::needed(attempts, Some(seen))
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
        let priorities = [LaunchPriority::AHEAD, NEVER_SEEN, seen(7), seen(3), seen(5), seen(3)];
        assert_eq!(order_of(&priorities).await, [3, 5, 4, 2, 1, 0]);
    }

    #[tokio::test]
    async fn what_keeps_failing_holds_up_no_failover_however_long_it_is_down() {
        let priorities =
            [failed(3, 1), failed(1, 2), failed(1, 1), seen(900), NEVER_SEEN, LaunchPriority::AHEAD];
        assert_eq!(order_of(&priorities).await, [3, 4, 2, 1, 0, 5]);
    }

    /// In which those that came in this order are let launch, one at once.
    async fn order_of(priorities: &[LaunchPriority]) -> Vec<usize> {
        let queue = LaunchQueue::new(1);
        let running = queue.acquire(seen(9)).await;
        let mut launches: Vec<_> =
            priorities.iter().map(|&priority| Some(waiting(&queue, priority))).collect();
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
        order
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

    #[tokio::test]
    async fn one_that_does_not_wait_counts_all_the_same() {
        let queue = LaunchQueue::new(1);
        let (first, urgent) = (queue.acquire(seen(1)).await, queue.take());
        let next = waiting(&queue, seen(2));
        drop(first);
        let mut next = next;
        assert!((&mut next).now_or_never().is_none(), "there is one too many still");
        drop(urgent);
        assert!(next.now_or_never().is_some());
    }

    #[tokio::test]
    async fn whoever_is_in_no_hurry_hears_that_others_wait() {
        let queue = LaunchQueue::new(2);
        let mut short = Box::pin(queue.until_short());
        assert!((&mut short).now_or_never().is_none());
        let _unhurried = queue.take_if_free();
        let _second = queue.acquire(NEVER_SEEN).await;
        assert!((&mut short).now_or_never().is_none(), "nobody waits");
        let _third = waiting(&queue, NEVER_SEEN);
        assert!(short.now_or_never().is_some());
    }

    #[tokio::test]
    async fn it_is_known_whether_anything_started_in_between() {
        let queue = LaunchQueue::new(1);
        let quiet = queue.starts();
        assert!(!quiet.any_until(&queue.starts()));
        drop(queue.take());
        assert!(quiet.any_until(&queue.starts()), "it is over by now");
        let _permit = queue.take();
        let busy = queue.starts();
        assert!(busy.any_until(&busy));
    }

    #[tokio::test]
    async fn what_is_in_no_hurry_has_a_permit_only_while_one_is_free() {
        let launches = LaunchQueue::new(1);
        assert!(launches.has_free());
        let permit = launches.take_if_free().unwrap();
        assert!(!launches.has_free() && launches.take_if_free().is_none());
        let mut waiting = Box::pin(launches.acquire(NEVER_SEEN));
        assert!((&mut waiting).now_or_never().is_none());
        drop(permit);
        assert!(launches.take_if_free().is_none(), "it is that of the one who waits");
        drop(waiting.await);
        assert!(launches.take_if_free().is_some());
    }
}

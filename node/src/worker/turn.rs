//! A page's turn among the starts of its node: from its launch, or from being loaded anew, until it is there or has failed. A
//! start costs seconds of a core, and many at once only do each other's work over again.
//!
//! What counts is the work and not the waiting. While a page that is on its way does nothing, because a server or a timer is
//! what it waits for, its turn is another's; if it has work again it counts again, and who is next waits for it.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use roost_engine::Page;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    launch_queue::{LaunchPermit, LaunchQueue},
    start_times::StartTimes,
};

/// Between two looks at what the page has done.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A page that has worked for less than this part of the time has waited.
const BUSY_SHARE: f64 = 0.2;
/// Looks in a row that find it waiting until its turn is another's.
const IDLE_LOOKS: u32 = 2;

/// Dropping it ends the turn, at once.
pub(super) struct Turn {
    held: Arc<Mutex<Held>>,
    _watch: AbortOnDropHandle<()>,
}

/// The permit, while the page works.
struct Held {
    permit: Option<LaunchPermit>,
    since: Instant,
    /// For how long it was held before.
    before: Duration,
}

impl Turn {
    /// Of a page that is about to start, or has begun to.
    pub fn begin(permit: LaunchPermit, queue: &Arc<LaunchQueue>, page: Arc<dyn Page>) -> Self {
        let work = move || {
            let page = page.clone();
            async move { page.worked().await.ok() }
        };
        Self::watching(permit, queue.clone(), work)
    }

    /// `work` is how long the page has worked so far; None where nobody knows, which counts as work.
    fn watching<F>(
        permit: LaunchPermit,
        queue: Arc<LaunchQueue>,
        work: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Option<Duration>> + Send + 'static,
    {
        let held = Held { permit: Some(permit), since: Instant::now(), before: Duration::ZERO };
        let held = Arc::new(Mutex::new(held));
        let watch = tokio::spawn(watch(held.clone(), queue, work));
        Self { held, _watch: AbortOnDropHandle::new(watch) }
    }

    /// The page is there: what it has taken counts for the next ones.
    pub fn succeeded(self, times: &StartTimes) {
        times.record(self.held.lock().so_far());
    }

    /// Its time is over. If it works still it is slow, which counts; else it has waited for somebody in vain.
    pub fn overdue(self, times: &StartTimes) {
        let held = self.held.lock();
        if held.permit.is_some() {
            times.record(held.so_far());
        }
    }
}

impl Drop for Turn {
    /// The task that watches is gone a moment later.
    fn drop(&mut self) {
        self.held.lock().permit = None;
    }
}

impl Held {
    fn so_far(&self) -> Duration {
        let now = if self.permit.is_some() { self.since.elapsed() } else { Duration::ZERO };
        self.before + now
    }

    fn take(&mut self, queue: &Arc<LaunchQueue>) {
        if self.permit.is_none() {
            (self.permit, self.since) = (Some(queue.take()), Instant::now());
        }
    }

    fn give(&mut self) {
        (self.before, self.permit) = (self.so_far(), None);
    }
}

/// Holds the permit while there is work.
async fn watch<F>(held: Arc<Mutex<Held>>, queue: Arc<LaunchQueue>, work: impl Fn() -> F)
where
    F: Future<Output = Option<Duration>>,
{
    let (mut worked, mut looked_at, mut idle_looks) = (Duration::ZERO, Instant::now(), 0);
    loop {
        sleep(LOOK_EVERY).await;
        let now_worked = work().await;
        let (passed, now) = (looked_at.elapsed(), Instant::now());
        // Less than before is another document's.
        let is_idle = now_worked
            .and_then(|now| now.checked_sub(worked))
            .is_some_and(|more| more < passed.mul_f64(BUSY_SHARE));
        (worked, looked_at) = (now_worked.unwrap_or(worked), now);
        idle_looks = if is_idle { idle_looks + 1 } else { 0 };
        match idle_looks {
            0 => held.lock().take(&queue),
            IDLE_LOOKS => held.lock().give(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::FutureExt;

    use super::*;
    use crate::launch_queue::LaunchPriority;

    /// A queue with one turn, and a page that has it and works for as many milliseconds of each 100 as it is told.
    struct Bench {
        queue: Arc<LaunchQueue>,
        turn: Turn,
        share: Arc<AtomicU64>,
    }

    async fn bench() -> Bench {
        let queue = LaunchQueue::new(1);
        let (share, worked) = (Arc::new(AtomicU64::new(100)), AtomicU64::new(0));
        let permit = queue.acquire(LaunchPriority::AHEAD).await;
        let told = share.clone();
        let turn = Turn::watching(permit, queue.clone(), move || {
            let so_far = worked.fetch_add(told.load(Ordering::Relaxed), Ordering::Relaxed);
            std::future::ready(Some(Duration::from_millis(so_far + told.load(Ordering::Relaxed))))
        });
        Bench { queue, turn, share }
    }

    impl Bench {
        async fn pass(&self, looks: u32) {
            sleep(LOOK_EVERY * looks + Duration::from_millis(1)).await;
        }

        fn is_free(&self) -> bool {
            self.queue.acquire(LaunchPriority::AHEAD).now_or_never().is_some()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_works_keeps_its_turn_until_it_is_there() {
        let bench = bench().await;
        bench.pass(40).await;
        assert!(!bench.is_free());
        let times = StartTimes::default();
        let Bench { queue, turn, .. } = bench;
        turn.succeeded(&times);
        assert!(queue.acquire(LaunchPriority::AHEAD).now_or_never().is_some());
        assert_eq!(times.slowest(), Duration::from_millis(4001));
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_waits_its_turn_is_anothers_and_it_counts_again_when_it_works() {
        let bench = bench().await;
        bench.pass(10).await;
        bench.share.store(0, Ordering::Relaxed);
        bench.pass(IDLE_LOOKS).await;
        assert!(bench.is_free());
        bench.pass(100).await;
        bench.share.store(100, Ordering::Relaxed);
        bench.pass(1).await;
        assert!(!bench.is_free());
        let times = StartTimes::default();
        bench.turn.succeeded(&times);
        assert!((1..2).contains(&times.slowest().as_secs()), "waiting is no work: {:?}", times.slowest());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_overdue_was_slow_only_if_it_works_still() {
        let (waiting, times) = (bench().await, StartTimes::default());
        waiting.share.store(0, Ordering::Relaxed);
        waiting.pass(300).await;
        waiting.turn.overdue(&times);
        assert_eq!(times.slowest(), Duration::ZERO, "it may be that whatsapp is away");
        let working = bench().await;
        working.pass(300).await;
        working.turn.overdue(&times);
        assert_eq!(times.slowest().as_secs(), 30);
    }
}

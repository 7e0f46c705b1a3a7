//! A process that can be frozen and killed at any point, as its tasks see it.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Poll, Waker},
};

use parking_lot::Mutex;

/// Cheap to clone; all clones are the same process.
#[derive(Clone, Default)]
pub struct Process {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_frozen: bool,
    is_dead: bool,
    to_wake: Vec<Waker>,
}

impl Process {
    pub fn freeze(&self) {
        self.state.lock().is_frozen = true;
    }

    pub fn thaw(&self) {
        let mut state = self.state.lock();
        state.is_frozen = false;
        let to_wake = std::mem::take(&mut state.to_wake);
        drop(state);
        to_wake.into_iter().for_each(Waker::wake);
    }

    /// SIGKILL: no part of it does anything any more, whatever was about to.
    pub fn kill(&self) {
        self.state.lock().is_dead = true;
    }

    /// A part of the process: not polled while the process is frozen.
    pub async fn run<T>(self, part: impl Future<Output = T>) -> T {
        let mut part = pin!(part);
        poll_fn(|cx| if self.holds(cx.waker()) { Poll::Pending } else { part.as_mut().poll(cx) }).await
    }

    /// Resolves while the process is not frozen. For the tasks that the product spawns by itself: they do nothing but call
    /// others, and calls wait here.
    pub async fn thawed(&self) {
        poll_fn(|cx| if self.holds(cx.waker()) { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    fn holds(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        if state.is_frozen && !state.is_dead {
            state.to_wake.push(waker.clone());
        }
        state.is_frozen || state.is_dead
    }
}

//! Spare browsers: they run, have opened nothing of the site and are nobody's, so that a tenant that comes up here begins with
//! its session and not with a browser's start.
//!
//! ```text
//!   nothing starts on the node --> started --> ready --+--> taken by a launch, or by the preparation of a move
//!            ^                        |                |
//!            |                        |                +--> ended, deaf, or an hour old
//!            +---- back-off <-- failed, or given up    |
//!            +-----------------------------------------+
//! ```
//!
//! A spare holds no session and belongs to no tenant, so nothing of I1 rests on it: its directory becomes a tenant's under that
//! tenant's lock (`session::adoption`), and the site is opened in it as in any other warm browser, by the owner of a generation and
//! on a lease that is good (`worker::WarmStandby`). It is started as the node's own settings say, and serves tenants whose
//! browsers would be started in just that way.
//!
//! It is started only when nothing else has started for a while, and given up as soon as somebody has to wait for a turn. It ends
//! with the life of the node that began it.

mod keeper;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::FutureExt;
use parking_lot::Mutex;
use roost_engine::{BrowserSetup, WarmBrowser};
use serde::Serialize;
use tokio::{
    sync::{Notify, OnceCell},
    time::Instant,
};

use crate::{
    resources::{Meter, Resources},
    session::{LockedProfile, SessionError, SpareDir, SpareDirs},
};

/// The spares of a node. One of a process; cheap to clone, and all clones are the same.
#[derive(Clone)]
pub struct Spares {
    shared: Arc<Shared>,
}

struct Shared {
    wanted: usize,
    resources: Resources,
    /// Once there has been one.
    dirs: OnceCell<SpareDirs>,
    state: Mutex<State>,
    /// Notified when one is taken.
    taken: Notify,
}

#[derive(Default)]
struct State {
    ready: Vec<Spare>,
    started: u64,
    adopted: u64,
    missed: u64,
}

/// A browser that runs, has opened nothing, and is nobody's. Dropping it kills it.
pub struct Spare {
    id: u64,
    setup: BrowserSetup,
    browser: Box<dyn WarmBrowser>,
    /// After the browser, whose directory it removes.
    dir: SpareDir,
    since: Instant,
    _meter: Option<Meter>,
}

/// What anybody may know who looks at the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SparesStatus {
    pub wanted: usize,
    pub ready: usize,
    /// Starts that found one since the node's process began, and starts that did not.
    pub adopted: u64,
    pub missed: u64,
    /// Of those that are ready.
    pub memory_bytes: u64,
}

impl Spares {
    pub fn new(wanted: usize, resources: Resources) -> Self {
        let shared = Shared {
            wanted,
            resources,
            dirs: OnceCell::new(),
            state: Mutex::default(),
            taken: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A node without any.
    pub fn none() -> Self {
        Self::new(0, Resources::default())
    }

    /// Whether [`Spares::take`] would find one now. If not, the start that asks is one that has missed it.
    pub fn has(&self, setup: &BrowserSetup) -> bool {
        let mut state = self.shared.state.lock();
        let has = state.ready.iter().any(|spare| spare.serves(setup));
        if !has && self.shared.wanted > 0 {
            state.missed += 1;
        }
        has
    }

    /// One that was started as a browser with this setup would be.
    pub fn take(&self, setup: &BrowserSetup) -> Option<Spare> {
        let mut state = self.shared.state.lock();
        let at = state.ready.iter().position(|spare| spare.serves(setup))?;
        state.adopted += 1;
        self.shared.taken.notify_one();
        Some(state.ready.swap_remove(at))
    }

    pub fn status(&self) -> SparesStatus {
        let state = self.shared.state.lock();
        SparesStatus {
            wanted: self.shared.wanted,
            ready: state.ready.len(),
            adopted: state.adopted,
            missed: state.missed,
            memory_bytes: self.shared.resources.spares_memory_bytes(),
        }
    }

    /// Ends those that are ready.
    pub async fn end(&self) {
        let ready = std::mem::take(&mut self.shared.state.lock().ready);
        for spare in ready {
            spare.kill().await;
        }
    }
}

impl Spare {
    /// Makes its directory the profile's. When that fails the browser is gone and the profile as it was before.
    pub async fn become_profile(self, profile: &LockedProfile) -> Result<Box<dyn WarmBrowser>, SessionError> {
        match profile.adopt(self.dir) {
            Ok(()) => Ok(self.browser),
            Err(error) => {
                self.browser.kill().await;
                profile.discard_unused()?;
                Err(error)
            }
        }
    }

    pub async fn kill(self) {
        self.browser.kill().await;
    }

    fn serves(&self, setup: &BrowserSetup) -> bool {
        self.setup == *setup && !self.has_ended()
    }

    fn has_ended(&self) -> bool {
        self.browser.ended().now_or_never().is_some()
    }
}

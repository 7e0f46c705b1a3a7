//! The transitions for a browser or a page that ends by itself, and for one that does so again and again.

use roost_store::StatusReport;

use super::{
    machine::{AfterStop, BrowserState, Effect, Recovery, State},
    step::{Transition, disconnected},
};
use crate::worker::fault::Failure;

impl Transition {
    /// The page is gone, the browser lives.
    pub(super) fn crashed(&mut self, reason: String) {
        if self.machine.browser != BrowserState::Up || matches!(self.machine.state, State::Stopping { .. }) {
            return;
        }
        if !self.is_crash_loop(&reason) {
            self.broke(reason);
        }
    }

    pub(super) fn exited(&mut self, reason: String) {
        // While one is stopping, the close or kill under way answers with BrowserGone.
        if self.machine.browser != BrowserState::Up || matches!(self.machine.state, State::Stopping { .. }) {
            return;
        }
        self.machine.browser = BrowserState::None;
        if self.is_crash_loop(&reason) {
            return;
        }
        match self.machine.state {
            State::Reconnecting { recovery: Recovery::Waiting { .. }, .. } => {}
            _ => self.fail(Failure::PageFailed, reason),
        }
    }

    /// Counts one more crash, also across connections that were good in between, and gives the worker up when there were too many of
    /// late: another start has not helped. Those on a node that lacks something say nothing of the tenant.
    fn is_crash_loop(&mut self, reason: &str) -> bool {
        let (most, window) = (self.machine.timing.max_crashes, self.machine.timing.crash_window);
        if most == 0 || self.machine.surroundings.is_impaired {
            return false;
        }
        let now = self.now;
        self.machine.crashes.push_back(now);
        self.machine.crashes.retain(|at| now.saturating_sub(*at) < window);
        let crashes = self.machine.crashes.len();
        if crashes < usize::try_from(most).unwrap_or(usize::MAX) {
            return false;
        }
        self.hold();
        let reason = format!(
            "crash loop: {crashes} crashes within {}, the last one: {reason}; see what its page does, and restart the worker",
            humantime::format_duration(window),
        );
        self.tell(StatusReport { last_error: Some(reason.clone()), ..disconnected() });
        self.stop_for(AfterStop::Fail { reason }, Effect::Kill);
        true
    }
}

//! The transition for a browser that is over one of its limits.

use roost_store::{ConditionKind, StatusReport};

use super::{
    machine::{AfterStop, BrowserState, Effect, State},
    step::{Transition, disconnected},
};

impl Transition {
    /// It is restarted. One that was over a limit soon after its start, as the one before it, waits longer and longer for the next
    /// start, and in the end for a person: a page that needs more than it may have is not helped by another start.
    pub(super) fn over_limit(&mut self, reason: &str, at_once: bool) {
        let is_ending = matches!(self.machine.state, State::Stopping { .. });
        if self.machine.browser != BrowserState::Up || is_ending {
            return;
        }
        let timing = self.machine.timing.over_limit;
        let lived = self.now.saturating_sub(self.machine.launched_at);
        let soon = if lived < timing.soon { self.machine.over_limit_soon + 1 } else { 0 };
        self.machine.over_limit_soon = soon;
        let gives_up = soon > timing.starts;
        let how = self.how_to_end(at_once, gives_up);
        if !matches!(how, Effect::WindDown { .. }) {
            self.hold();
        }
        self.effects.push(Effect::RecordOverLimit { reason: reason.to_owned(), gives_up });
        if gives_up {
            let reason = format!(
                "{reason}; so were the {} browsers before it, each within {} of its start: raise the limit, or see what the \
                 page does, and restart the worker",
                timing.starts,
                humantime::format_duration(timing.soon),
            );
            return self.stop_for(AfterStop::Fail { reason }, how);
        }
        let reason = format!("the browser was restarted: {reason}");
        self.machine.trouble = Some((ConditionKind::Healing, reason.clone()));
        self.tell(StatusReport { last_error: Some(reason.clone()), ..disconnected() });
        if soon > 1 {
            let wait = timing.backoff.delay(soon - 1, self.machine.seed);
            // What follows the wait counts the restart.
            return self.stop_for(AfterStop::LaunchLater { reason, wait }, how);
        }
        self.tell(StatusReport { restarted: true, ..StatusReport::default() });
        self.stop_for(AfterStop::Launch, how);
    }

    /// What does not serve has nothing under way; what gives up does not see to it that it gets to an end.
    fn how_to_end(&self, at_once: bool, gives_up: bool) -> Effect {
        match self.machine.state {
            _ if at_once => Effect::Kill,
            State::Running { .. } if !gives_up => Effect::WindDown { save: self.machine.session },
            _ => Effect::Close,
        }
    }
}

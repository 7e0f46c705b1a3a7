//! The transitions for a browser that uses too much: more than one of its limits, or than it requests on a node that is short of
//! memory.

use roost_cluster::ledger::EventKind;
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
        let (kind, what) = match gives_up {
            true => (EventKind::GaveUpOverLimit, "its worker gives up, soon after several starts"),
            false => (EventKind::RestartedOverLimit, "its browser is restarted"),
        };
        self.effects.push(Effect::Record(kind, format!("{what}: {reason}")));
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

    /// It is restarted for its node's sake, if nothing is lost by it: that it soon grows again is no fault of its own.
    pub(super) fn memory_needed(&mut self, reason: &str) {
        if !self.machine.may_restart_over_limit() {
            return;
        }
        let told = format!("the browser was restarted: {reason}");
        self.machine.trouble = Some((ConditionKind::Healing, told.clone()));
        self.tell(StatusReport { last_error: Some(told), restarted: true, ..disconnected() });
        let recorded = format!("its browser is restarted: {reason}");
        self.effects.push(Effect::Record(EventKind::ShedForMemory, recorded));
        self.wind_down_for(AfterStop::Launch);
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

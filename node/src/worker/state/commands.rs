//! The transitions for what is asked of a worker: to begin, to restart, to stop, and to let go of a tenant that may be
//! another node's.

use roost_store::{RestartMode, StatusReport, WorkerStatus};

use super::{
    machine::{AfterStop, BrowserState, Effect, Ending, State, StopMode},
    transition::{Transition, disconnected},
};

impl Transition {
    pub(super) fn begin(&mut self, forget: Option<RestartMode>) {
        if self.machine.state != State::Stopped || self.machine.browser != BrowserState::None {
            return;
        }
        self.tell(StatusReport {
            worker_status: Some(WorkerStatus::Running),
            last_error: Some(String::new()),
            ..disconnected()
        });
        match forget {
            None => self.launch(),
            // To be logged out it has to be resumed once more.
            Some(RestartMode::Logout) => {
                self.machine.logout_pending = true;
                self.launch();
            }
            Some(_) => self.stop_for(AfterStop::Forget, Effect::Kill),
        }
    }

    pub(super) fn restart_asked(&mut self, mode: RestartMode) {
        let browser = self.machine.browser;
        if matches!(
            self.machine.state,
            State::Stopped | State::Stopping { next: AfterStop::End(_) | AfterStop::Forget }
        ) {
            return;
        }
        self.machine.attempts = 0;
        self.machine.complaint.clear();
        self.tell(StatusReport {
            worker_status: Some(WorkerStatus::Running),
            last_error: Some(String::new()),
            ..disconnected()
        });
        match (&self.machine.state, mode) {
            // It is being started afresh already; only a session to forget is more than that.
            (State::Starting, RestartMode::Graceful | RestartMode::Force) => return,
            (State::Stopping { .. }, RestartMode::Graceful | RestartMode::Force) => {
                self.machine.state = State::Stopping { next: AfterStop::Launch };
                return;
            }
            // The messages in flight are finished first, through the page that is still there.
            (_, RestartMode::Graceful) => return self.wind_down_for(AfterStop::Launch),
            _ => self.hold(),
        }
        match mode {
            RestartMode::Graceful | RestartMode::Force => self.stop_for(AfterStop::Launch, Effect::Kill),
            RestartMode::ForceWipe => self.stop_for(AfterStop::Forget, Effect::Kill),
            RestartMode::Logout if browser == BrowserState::Up => {
                self.stop_for(AfterStop::Forget, Effect::LogOut)
            }
            RestartMode::Logout => self.stop_for(AfterStop::Forget, Effect::Kill),
        }
    }

    pub(super) fn stop_asked(&mut self, mode: StopMode) {
        match mode {
            StopMode::Graceful => match &self.machine.state {
                State::Stopped | State::Stopping { next: AfterStop::End(_) } => {}
                // The browser is going already, and what it had to save is in the hands of that step.
                State::Stopping { .. } if self.machine.browser == BrowserState::Up => {
                    self.machine.state = State::Stopping { next: AfterStop::End(Ending::Stopped) };
                }
                _ => self.wind_down_for(AfterStop::End(Ending::Stopped)),
            },
            StopMode::Kill => self.let_go(Ending::Killed),
            StopMode::Deleted => self.let_go(Ending::Deleted),
        }
    }

    /// Kills the browser and ends without another write.
    pub(super) fn let_go(&mut self, ending: Ending) {
        match self.machine.state {
            State::Stopped => return,
            // A deleted tenant's profile goes, whatever else is learnt meanwhile.
            State::Stopping { next: AfterStop::End(Ending::Deleted) } => return,
            _ => {}
        }
        self.hold();
        self.machine.state = State::Stopping { next: AfterStop::End(ending) };
        match self.machine.browser {
            BrowserState::Up => self.effects.push(Effect::Kill),
            BrowserState::Launching => {}
            BrowserState::None => self.after_stop(),
        }
    }
}

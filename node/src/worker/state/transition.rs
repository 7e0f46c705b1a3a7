//! What transitions are made of: to launch, to connect, to run, to fail and try again, to give up, and to end.

use roost_store::{SessionStatus, StatusReport, TenantStatus, WorkerStatus};

use super::machine::{AfterStop, BrowserState, Effect, Ending, Machine, Recovery, State, WorkerTime};

/// The machine on its way from one state to the next, and what is to be done on the way.
pub(super) struct Transition {
    pub machine: Machine,
    pub now: WorkerTime,
    pub effects: Vec<Effect>,
}

impl Transition {
    /// Ends the browser as `how` says, with `next` to follow; at once when there is none.
    pub(super) fn stop_for(&mut self, next: AfterStop, how: Effect) {
        self.machine.state = State::Stopping { next };
        match self.machine.browser {
            BrowserState::Up => self.effects.push(how),
            BrowserState::Launching => {}
            BrowserState::None => self.after_stop(),
        }
    }

    pub(super) fn wind_down_for(&mut self, next: AfterStop) {
        self.stop_for(next, Effect::WindDown { save: self.machine.session });
    }

    /// The browser is gone: what `Stopping` was for.
    pub(super) fn after_stop(&mut self) {
        let State::Stopping { next } = &self.machine.state else { return };
        match next.clone() {
            AfterStop::Launch => self.launch(),
            AfterStop::Forget => {
                self.machine.session = false;
                self.machine.unsaved = true;
                self.machine.link += 1;
                self.machine.logout_pending = false;
                self.effects.push(Effect::ForgetSession);
            }
            AfterStop::Fail { reason } => self.give_up(reason),
            AfterStop::End(Ending::Stopped) => {
                self.tell(disconnected());
                self.end(Ending::Stopped);
            }
            AfterStop::End(ending) => self.end(ending),
        }
    }

    pub(super) fn launch(&mut self) {
        debug_assert_eq!(self.machine.browser, BrowserState::None, "I1: a launch beside a browser");
        self.machine.browser = BrowserState::Launching;
        self.machine.linked = false;
        self.machine.code_shown = false;
        self.machine.failed_probes = 0;
        self.machine.offline_attempts_left = 0;
        self.machine.state = State::Starting;
        self.effects.push(Effect::Launch);
    }

    pub(super) fn reload(&mut self) {
        self.machine.offline_attempts_left = 0;
        self.machine.linked = false;
        self.effects.push(Effect::Reload);
        self.connect();
    }

    pub(super) fn connect(&mut self) {
        self.machine.failed_probes = 0;
        self.machine.state = State::Connecting { until: self.now + self.machine.timing.connect_within };
    }

    pub(super) fn run(&mut self) {
        self.machine.failed_probes = 0;
        self.machine.offline_attempts_left = 0;
        self.machine.reloaded = false;
        self.machine.reloaded_for_update = false;
        self.machine.state = State::Running { since: self.now };
        self.effects.push(Effect::Serve);
        self.tell(StatusReport {
            tenant_status: Some(TenantStatus::Active),
            session_status: Some(SessionStatus::Connected),
            worker_status: Some(WorkerStatus::Running),
            last_error: Some(String::new()),
            restarted: false,
        });
    }

    /// An attempt failed: the next one after a while, or none any more.
    pub(super) fn fail(&mut self, reason: String) {
        self.hold();
        let attempts = self.machine.timing.attempts;
        if self.machine.attempts >= attempts {
            let reason = format!("{reason}; gave up after {attempts} attempts to reconnect");
            self.stop_for(AfterStop::Fail { reason }, Effect::Kill);
            return;
        }
        self.machine.attempts += 1;
        let attempt = self.machine.attempts;
        let wait = self.machine.timing.reconnect.delay(attempt, self.machine.seed);
        let told = format!("{reason}; attempt {attempt} of {attempts} to reconnect");
        self.tell(StatusReport { last_error: Some(told), ..disconnected() });
        self.machine.state =
            State::Reconnecting { reason, recovery: Recovery::Waiting { until: self.now + wait } };
    }

    /// A page that is offline reconnects by itself, and loading it anew without a network would lose it: the first
    /// attempts are its own. Then it is reloaded, for a deaf one heals by that. What is left is a new browser.
    pub(super) fn attempt(&mut self) {
        if self.machine.browser == BrowserState::Up && self.machine.offline_attempts_left > 0 {
            self.machine.offline_attempts_left -= 1;
            let State::Reconnecting { reason, .. } = &self.machine.state else { return };
            let reason = reason.clone();
            return self.fail(reason);
        }
        if self.machine.browser == BrowserState::Up && !std::mem::replace(&mut self.machine.reloaded, true) {
            return self.reload();
        }
        self.tell(StatusReport { restarted: true, ..StatusReport::default() });
        self.stop_for(AfterStop::Launch, Effect::Close);
    }

    pub(super) fn give_up(&mut self, reason: String) {
        self.tell(StatusReport {
            tenant_status: Some(TenantStatus::Error),
            worker_status: Some(WorkerStatus::Error),
            last_error: Some(reason.clone()),
            ..disconnected()
        });
        self.machine.state = State::Error { reason };
    }

    pub(super) fn end(&mut self, ending: Ending) {
        self.machine.state = State::Stopped;
        self.effects.push(Effect::End(ending));
    }

    /// There is no session any more; the complaint says why.
    pub(super) fn tell_unlinked(&mut self) {
        self.tell(StatusReport {
            tenant_status: Some(TenantStatus::QrPending),
            last_error: Some(self.machine.complaint.clone()),
            ..disconnected()
        });
    }

    pub(super) fn tell(&mut self, report: StatusReport) {
        self.effects.push(Effect::Report(report));
    }

    pub(super) fn hold(&mut self) {
        if matches!(self.machine.state, State::Running { .. }) {
            self.effects.push(Effect::Hold);
        }
    }
}

pub(super) fn disconnected() -> StatusReport {
    StatusReport { session_status: Some(SessionStatus::Disconnected), ..StatusReport::default() }
}

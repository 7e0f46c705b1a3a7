//! The step and its transitions: for what is asked of a worker, for what becomes of its browser, and for time. One method per
//! event, each over every state in which the event means something; elsewhere it means nothing, because events of a browser may
//! arrive after the machine has turned to something else. Below them is what they are made of: to launch, to connect, to run,
//! to fail and try again, to give up, and to end.
//!
//! What a page says is in `page`.

use roost_store::{ConditionKind, RestartMode, SessionStatus, StatusReport, TenantStatus, WorkerStatus};

use super::{
    evidence::Evidence,
    machine::{
        AfterStop, BrowserState, Effect, Ending, Event, Machine, Recovery, State, StopMode, WorkerTime,
    },
};
use crate::{
    start_times::allowance,
    worker::fault::{Failure, FailureSeries, Fault},
};

/// One step. Pure: the same arguments give the same result.
#[must_use]
pub fn step(machine: Machine, event: Event, now: WorkerTime) -> (Machine, Vec<Effect>) {
    let mut transition = Transition { machine, now, effects: Vec::new() };
    transition.take(event);
    (transition.machine, transition.effects)
}

/// The machine on its way from one state to the next, and what is to be done on the way.
pub(super) struct Transition {
    pub machine: Machine,
    pub now: WorkerTime,
    pub effects: Vec<Effect>,
}

impl Transition {
    fn take(&mut self, event: Event) {
        match event {
            Event::Begin { forget, scan_paused } => self.begin(forget, scan_paused),
            Event::Launched => self.launched(),
            Event::LaunchFailed { reason, failure } => self.launch_failed(failure, reason),
            Event::BrowserGone => self.browser_gone(),
            Event::LogOutFailed { reason } => self.log_out_failed(&reason),
            Event::TurnTaken => self.turn_taken(),
            Event::SessionForgotten => self.session_forgotten(),
            Event::SessionSaved { link } => self.session_saved(link),
            Event::Loaded => self.loaded(),
            Event::SessionNotSaved { reason, is_overdue } => self.session_not_saved(reason, is_overdue),
            Event::Code { text, expires_in } => self.code(text, expires_in),
            Event::PairingAsked(order) => self.pairing_asked(order),
            Event::PairingCodeGiven { expires_in } => self.pairing_code_given(expires_in),
            Event::Ready { phone } => self.ready(&phone),
            Event::WentOffline => self.went_offline(),
            Event::LoggedOut { reason } => self.logged_out(&reason),
            Event::Conflicted => self.conflicted(),
            Event::Outdated => self.outdated(),
            Event::TurnedAway { status } => self.turned_away(status),
            Event::Broke { reason } => self.broke(reason),
            Event::Crashed { reason } => self.crashed(reason),
            Event::Exited { reason } => self.exited(reason),
            Event::Proved => self.proved(),
            Event::Unproved { reason } => self.unproved(reason),
            Event::SendsUnacknowledged { in_a_row } => self.sends_unacknowledged(in_a_row),
            Event::SendsAcknowledged => self.machine.sends_fail = false,
            Event::Owner(answer) => self.owner(answer),
            Event::RestartAsked(mode) => self.restart_asked(mode),
            Event::RestartScheduled => self.restart_scheduled(),
            Event::MemoryNeeded { reason } => self.memory_needed(&reason),
            Event::OverLimit { reason, at_once } => self.over_limit(&reason, at_once),
            Event::RestoreAsked => self.restore_asked(),
            Event::ReloadAsked => self.reload_asked(),
            Event::StopAsked(mode) => self.stop_asked(mode),
            Event::StandingExpired => self.let_go(Ending::Expired),
            Event::Fenced => self.let_go(Ending::NotOwner),
            Event::Tick => self.tick(),
        }
    }

    fn launched(&mut self) {
        if self.machine.browser != BrowserState::Launching {
            return;
        }
        self.machine.browser = BrowserState::Up;
        match &self.machine.state {
            State::Starting => self.connect(),
            // Asked to stop while it was launching: now there is something to stop.
            State::Stopping { next: AfterStop::End(Ending::Stopped) } => {
                self.wind_down_for(AfterStop::End(Ending::Stopped))
            }
            State::Stopping { .. } => self.effects.push(Effect::Kill),
            _ => {}
        }
    }

    fn launch_failed(&mut self, failure: Failure, reason: String) {
        if self.machine.browser != BrowserState::Launching {
            return;
        }
        self.machine.browser = BrowserState::None;
        match &self.machine.state {
            State::Starting => self.fail(failure, reason),
            State::Stopping { .. } => self.after_stop(),
            _ => {}
        }
    }

    fn browser_gone(&mut self) {
        self.machine.browser = BrowserState::None;
        if matches!(self.machine.state, State::Stopping { .. }) {
            self.after_stop();
        }
    }

    /// It is forgotten all the same; what is left to do is the owner's of the phone, who has to be told.
    fn log_out_failed(&mut self, reason: &str) {
        if self.machine.state != (State::Stopping { next: AfterStop::Forget }) {
            return;
        }
        let still_linked = format!("{reason}: remove the device on the phone, under Linked devices");
        self.machine.complaint = match self.machine.complaint.as_str() {
            "" => still_linked,
            before => format!("{before}; {still_linked}"),
        };
        self.tell_unlinked();
    }

    fn session_forgotten(&mut self) {
        if self.machine.state == (State::Stopping { next: AfterStop::Forget })
            && self.machine.browser == BrowserState::None
        {
            self.launch();
        }
    }

    fn tick(&mut self) {
        if self.machine.wake_at().is_none_or(|due| self.now < due) {
            return;
        }
        match &self.machine.state {
            State::Connecting { .. } if self.machine.linked => {
                let why = self.machine.save_failure.take().map(|(reason, _)| format!(": {reason}"));
                let what = "the newly linked session could not be saved in time";
                let reason = format!("{what}{}", why.unwrap_or_default());
                self.fail(Failure::Store, reason);
            }
            State::Connecting { .. } => {
                let reason = "the page showed neither a session nor a code in time".to_owned();
                self.fail(Failure::NotLetIn, reason);
            }
            State::QrReady { .. } => self.code_overdue(),
            State::Running { .. } => self.machine.evidence.run_out(),
            State::Reconnecting { recovery: Recovery::Waiting { .. }, .. } => self.attempt(),
            State::Reconnecting { reason, recovery: Recovery::CheckingOwner { .. } } => {
                let reason = reason.clone();
                self.machine.state =
                    State::Reconnecting { reason, recovery: Recovery::CheckingOwner { ask_at: None } };
                self.effects.push(Effect::AskOwner);
            }
            _ => {}
        }
    }

    pub(super) fn begin(&mut self, forget: Option<RestartMode>, scan_paused: bool) {
        if self.machine.state != State::Stopped || self.machine.browser != BrowserState::None {
            return;
        }
        self.tell(StatusReport {
            worker_status: Some(WorkerStatus::Running),
            last_error: Some(String::new()),
            ..disconnected()
        });
        match forget {
            None if scan_paused => self.stay_paused(),
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
        self.machine.failures = FailureSeries::default();
        self.machine.over_limit_soon = 0;
        self.machine.crashes.clear();
        self.machine.trouble = None;
        self.machine.complaint.clear();
        self.machine.unlinked = None;
        self.machine.linking.begin_anew();
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

    /// Anywhere else than in `Running` the browser is being seen to already.
    fn restart_scheduled(&mut self) {
        if !self.machine.may_restart() {
            return;
        }
        self.machine.trouble = Some((ConditionKind::Starting, "restarted on its schedule".to_owned()));
        self.tell(StatusReport { restarted: true, ..disconnected() });
        self.effects.push(Effect::RecordScheduledRestart);
        self.wind_down_for(AfterStop::Launch);
    }

    /// As a restart by force. A start that is under way may be past the point at which it looks, and is begun anew.
    fn restore_asked(&mut self) {
        if self.machine.state == State::Starting {
            self.stop_for(AfterStop::Launch, Effect::Kill);
        } else {
            self.restart_asked(RestartMode::Force);
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
        self.stop_for(AfterStop::End(ending), Effect::Kill);
    }

    /// Ends the browser as `how` says, with `next` to follow; at once when there is none.
    pub(super) fn stop_for(&mut self, next: AfterStop, how: Effect) {
        self.machine.state = State::Stopping { next };
        match self.machine.browser {
            BrowserState::Up => self.effects.push(how),
            // If the launch was faster, a graceful stop closes the browser in order.
            BrowserState::Launching => {
                let kill = !matches!(how, Effect::WindDown { .. });
                self.effects.push(Effect::CallOffLaunch { kill });
            }
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
            AfterStop::LaunchLater { reason, wait } => {
                let recovery = Recovery::Waiting { until: self.now + wait };
                self.machine.state = State::Reconnecting { reason, recovery };
            }
            AfterStop::Forget => {
                self.machine.session = false;
                self.machine.unsaved = true;
                self.machine.link += 1;
                self.machine.logout_pending = false;
                self.effects.push(Effect::ForgetSession);
            }
            AfterStop::PauseScan => self.scan_paused(),
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
        self.machine.linking.void_typed();
        self.machine.code_shown = false;
        self.machine.failed_probes = 0;
        self.machine.offline_attempts_left = 0;
        self.machine.launched_at = self.now;
        self.machine.state = State::Starting;
        self.effects.push(Effect::Launch);
    }

    /// Whatever does not run begins anew by itself, or is asking whose the session is.
    fn reload_asked(&mut self) {
        if matches!(self.machine.state, State::Running { .. }) {
            self.hold();
            self.reload();
        }
    }

    pub(super) fn reload(&mut self) {
        self.machine.offline_attempts_left = 0;
        self.machine.linked = false;
        self.machine.linking.void_typed();
        self.machine.failed_probes = 0;
        self.machine.state = State::Connecting { until: None };
        self.effects.push(Effect::TakeTurn);
    }

    fn turn_taken(&mut self) {
        // Else the page has come back by itself meanwhile, or is wanted no more.
        if self.machine.state == (State::Connecting { until: None }) {
            self.effects.push(Effect::Reload);
            self.connect();
        }
    }

    pub(super) fn connect(&mut self) {
        self.machine.failed_probes = 0;
        let within = allowance(self.machine.timing.connect_within, self.machine.surroundings.slowest_start);
        self.machine.state = State::Connecting { until: Some(self.now + within) };
    }

    pub(super) fn run(&mut self) {
        self.machine.trouble = None;
        self.machine.failed_probes = 0;
        self.machine.offline_attempts_left = 0;
        self.machine.reloaded = false;
        self.machine.reloaded_for_update = false;
        self.machine.evidence = Evidence::None;
        self.machine.state = State::Running { since: self.now };
        self.effects.push(Effect::Serve);
        self.refuse_pairing();
        self.tell(StatusReport {
            tenant_status: Some(TenantStatus::Active),
            session_status: Some(SessionStatus::Connected),
            worker_status: Some(WorkerStatus::Running),
            last_error: Some(String::new()),
            ..StatusReport::default()
        });
    }

    /// An attempt failed: the next one after a while, or none any more.
    pub(super) fn fail(&mut self, failure: Failure, reason: String) {
        let Some(attempt) = self.count_attempt(failure, &reason) else { return };
        let wait = self.machine.timing.reconnect.delay(attempt, self.machine.seed);
        self.machine.state =
            State::Reconnecting { reason, recovery: Recovery::Waiting { until: self.now + wait } };
    }

    /// Which attempt to reconnect is due now; none when there were enough: then the worker gives up.
    pub(super) fn count_attempt(&mut self, failure: Failure, reason: &str) -> Option<u32> {
        self.hold();
        let (limit, surroundings) = (self.machine.timing.attempts, self.machine.surroundings);
        let failures = &mut self.machine.failures;
        let fault = failures.add(failure, &surroundings, self.now);
        self.machine.trouble = Some((fault.condition(), reason.to_owned()));
        if fault == Fault::Tenant && failures.own() > limit {
            let reason = format!("{reason}; gave up after {limit} attempts to reconnect");
            self.stop_for(AfterStop::Fail { reason }, Effect::Kill);
            return None;
        }
        let attempt = failures.attempts();
        let told = format!("{reason}; {}", failures.outlook(limit, self.now));
        self.tell(StatusReport { last_error: Some(told), ..disconnected() });
        Some(attempt)
    }

    /// A page that is offline reconnects by itself, and loading it anew without a network would lose it: the first
    /// attempts are its own. Then it is reloaded, for a deaf one heals by that. What is left is a new browser.
    pub(super) fn attempt(&mut self) {
        if self.machine.browser == BrowserState::Up && self.machine.offline_attempts_left > 0 {
            self.machine.offline_attempts_left -= 1;
            let State::Reconnecting { reason, .. } = &self.machine.state else { return };
            let reason = reason.clone();
            return self.fail(Failure::NotLetIn, reason);
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
        self.refuse_pairing();
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

//! The transitions. One method per event, each over every state in which the event means something; elsewhere it means
//! nothing, because events of a browser may arrive after the machine has turned to something else.
//!
//! What a page says is in `page`, what is asked of a worker in `commands`, and what they all are made of in `transition`.

use super::{
    machine::{AfterStop, BrowserState, Effect, Ending, Event, Machine, Recovery, State, WorkerTime},
    transition::Transition,
};

/// One step. Pure: the same arguments give the same result.
#[must_use]
pub fn step(machine: Machine, event: Event, now: WorkerTime) -> (Machine, Vec<Effect>) {
    let mut transition = Transition { machine, now, effects: Vec::new() };
    transition.take(event);
    (transition.machine, transition.effects)
}

impl Transition {
    fn take(&mut self, event: Event) {
        match event {
            Event::Begin { forget } => self.begin(forget),
            Event::Launched => self.launched(),
            Event::LaunchFailed { reason } => self.launch_failed(reason),
            Event::BrowserGone => self.browser_gone(),
            Event::SessionForgotten => self.session_forgotten(),
            Event::SessionSaved { link } => self.session_saved(link),
            Event::Code { text, expires_in } => self.code(text, expires_in),
            Event::Ready { phone } => self.ready(&phone),
            Event::WentOffline => self.went_offline(),
            Event::LoggedOut { reason } => self.logged_out(&reason),
            Event::Conflicted => self.conflicted(),
            Event::Outdated => self.outdated(),
            Event::Broke { reason } => self.broke(reason),
            Event::Exited { reason } => self.exited(reason),
            Event::Proved => self.proved(),
            Event::Unproved { reason } => self.unproved(reason),
            Event::Owner(answer) => self.owner(answer),
            Event::RestartAsked(mode) => self.restart_asked(mode),
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

    fn launch_failed(&mut self, reason: String) {
        if self.machine.browser != BrowserState::Launching {
            return;
        }
        self.machine.browser = BrowserState::None;
        match &self.machine.state {
            State::Starting => self.fail(reason),
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
                self.fail("the newly linked session could not be saved in time".to_owned());
            }
            State::Connecting { .. } => {
                self.fail("the page showed neither a session nor a code in time".to_owned());
            }
            // WhatsApp stops rotating codes that nobody scans; a fresh page starts again. That is no failure.
            State::QrReady { .. } => self.reload(),
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
}

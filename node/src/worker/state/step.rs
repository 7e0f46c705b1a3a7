//! The transitions. One method per event, each over every state in which the event means something; elsewhere it means
//! nothing, because events of a browser may arrive after the machine has turned to something else.
//!
//! What a page says is in `page`, what is asked of a worker in `orders`, and what they all are made of in `turns`.

use super::{Browser, Effect, Ending, Event, Healing, Machine, Next, Now, State, turns::disconnected};

pub(super) struct Step {
    pub machine: Machine,
    pub now: Now,
    pub effects: Vec<Effect>,
}

impl Step {
    pub fn take(&mut self, event: Event) {
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
        if self.machine.browser != Browser::Launching {
            return;
        }
        self.machine.browser = Browser::Up;
        match &self.machine.state {
            State::Starting => self.connect(),
            // Asked to stop while it was launching: now there is something to stop.
            State::Stopping { next: Next::End(Ending::Stopped) } => {
                self.wind_down_for(Next::End(Ending::Stopped))
            }
            State::Stopping { .. } => self.effects.push(Effect::Kill),
            _ => {}
        }
    }

    fn launch_failed(&mut self, reason: String) {
        if self.machine.browser != Browser::Launching {
            return;
        }
        self.machine.browser = Browser::None;
        match &self.machine.state {
            State::Starting => self.fail(reason),
            State::Stopping { .. } => self.follow(),
            _ => {}
        }
    }

    fn browser_gone(&mut self) {
        self.machine.browser = Browser::None;
        if matches!(self.machine.state, State::Stopping { .. }) {
            self.follow();
        }
    }

    /// The browser is gone: what `Stopping` was for.
    pub(super) fn follow(&mut self) {
        let State::Stopping { next } = &self.machine.state else { return };
        match next.clone() {
            Next::Launch => self.launch(),
            Next::Forget => {
                self.machine.session = false;
                self.machine.unsaved = true;
                self.machine.link += 1;
                self.machine.unlink = false;
                self.effects.push(Effect::ForgetSession);
            }
            Next::Fail { reason } => self.give_up(reason),
            Next::End(Ending::Stopped) => {
                self.tell(disconnected());
                self.end(Ending::Stopped);
            }
            Next::End(ending) => self.end(ending),
        }
    }

    fn session_forgotten(&mut self) {
        if self.machine.state == (State::Stopping { next: Next::Forget })
            && self.machine.browser == Browser::None
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
            State::Reconnecting { healing: Healing::Waiting { .. }, .. } => self.attempt(),
            State::Reconnecting { reason, healing: Healing::Judging { .. } } => {
                let reason = reason.clone();
                self.machine.state =
                    State::Reconnecting { reason, healing: Healing::Judging { ask_at: None } };
                self.effects.push(Effect::AskOwner);
            }
            _ => {}
        }
    }
}

//! The transitions for what a page says, or fails to say.

use roost_store::{ConditionKind, StatusReport};

use super::{
    condition::unlinked,
    evidence::Evidence,
    machine::{AfterStop, BrowserState, Effect, Ending, Recovery, SENDS_FAIL, State},
    phone::digits,
    step::{Transition, disconnected},
};
use crate::worker::{
    fault::{Failure, FailureSeries},
    liveness::fresh_for,
};

const UPDATE_NEEDED: &str = "WhatsApp wants a newer page than it delivers to this browser: it is tried again; if it lasts, install a newer Chromium, or see to the tenant's user agent";

impl Transition {
    /// What was linked in the document before has to show itself in this one. If nobody here asked for it, it is an attempt
    /// to reconnect that the page made by itself: one that alone goes on like that is given up.
    pub(super) fn loaded(&mut self) {
        let was_linked = std::mem::take(&mut self.machine.linked);
        self.machine.linking.void_typed();
        if was_linked && matches!(self.machine.state, State::Running { .. } | State::Connecting { .. }) {
            let reason = "the page loaded itself anew";
            if self.count_attempt(Failure::PageFailed, reason).is_some() {
                self.connect();
            }
        }
    }

    pub(super) fn ready(&mut self, phone: &str) {
        if !matches!(
            self.machine.state,
            State::Connecting { .. }
                | State::QrReady { .. }
                | State::Reconnecting { recovery: Recovery::Waiting { .. }, .. }
        ) {
            return;
        }
        self.machine.linking.begin_anew();
        if self.machine.logout_pending {
            return self.stop_for(AfterStop::Forget, Effect::LogOut);
        }
        let phone = digits(phone);
        // An engine without a phone behind it gives none.
        if !phone.is_empty() && phone != self.machine.phone {
            self.machine.unlinked = None;
            self.machine.complaint = format!(
                "linked by the phone +{phone}, which was logged out again: scan with +{}",
                self.machine.phone
            );
            self.tell_unlinked();
            self.stop_for(AfterStop::Forget, Effect::LogOut);
            return;
        }
        self.machine.code_shown = false;
        self.machine.linked = true;
        self.machine.session = true;
        self.machine.complaint.clear();
        self.machine.unlinked = None;
        if self.machine.unsaved {
            self.connect();
            self.effects.push(Effect::SaveSession);
        } else {
            self.run();
        }
    }

    pub(super) fn session_saved(&mut self, link: u64) {
        self.machine.save_failure = None;
        // One that was under way when a code was shown holds the session before.
        if !self.machine.linked || link != self.machine.link {
            return;
        }
        let was_unsaved = std::mem::take(&mut self.machine.unsaved);
        if was_unsaved && matches!(self.machine.state, State::Connecting { .. }) {
            self.run();
        }
    }

    /// What is told is told once: each try may put the same into other words.
    pub(super) fn session_not_saved(&mut self, reason: String, is_overdue: bool) {
        if !matches!(self.machine.save_failure, Some((_, true))) {
            self.machine.save_failure = Some((reason, is_overdue));
        }
    }

    pub(super) fn went_offline(&mut self) {
        if matches!(self.machine.state, State::Running { .. }) {
            self.machine.offline_attempts_left = self.machine.timing.offline_attempts;
            let reason = "the page lost its connection to WhatsApp".to_owned();
            self.fail(Failure::NotLetIn, reason);
        }
    }

    pub(super) fn logged_out(&mut self, reason: &str) {
        if self.machine.browser != BrowserState::Up || matches!(self.machine.state, State::Stopping { .. }) {
            return;
        }
        self.hold();
        self.machine.linking.begin_anew();
        let (kind, told) = unlinked(reason);
        self.machine.unlinked = Some(kind);
        self.machine.trouble = Some((kind, told.clone()));
        self.machine.complaint = told;
        self.tell_unlinked();
        self.stop_for(AfterStop::Forget, Effect::Kill);
    }

    pub(super) fn conflicted(&mut self) {
        if matches!(
            self.machine.state,
            State::Connecting { .. }
                | State::Running { .. }
                | State::Reconnecting { recovery: Recovery::Waiting { .. }, .. }
        ) {
            self.hold();
            // Nothing is told before it is known whose the session is: who is not the owner touches nothing.
            let reason = "the session was opened elsewhere".to_owned();
            self.machine.state =
                State::Reconnecting { reason, recovery: Recovery::CheckingOwner { ask_at: None } };
            self.effects.push(Effect::AskOwner);
        }
    }

    pub(super) fn owner(&mut self, answer: Option<bool>) {
        let State::Reconnecting { reason, recovery: Recovery::CheckingOwner { ask_at: None } } =
            &self.machine.state
        else {
            return;
        };
        match answer {
            Some(false) => self.let_go(Ending::NotOwner),
            Some(true) if self.machine.browser == BrowserState::Up && !self.machine.took_over => {
                self.machine.took_over = true;
                self.machine.trouble = Some((ConditionKind::Healing, reason.clone()));
                self.tell(StatusReport { last_error: Some(reason.clone()), ..disconnected() });
                self.effects.push(Effect::TakeOver);
                self.connect();
            }
            // Once only: two that take over from each other would never stop. From here on it is a connection that
            // fails, with back-off and an end.
            Some(true) => {
                let reason = reason.clone();
                self.fail(Failure::Session, reason);
            }
            None => {
                let ask_at = Some(self.now + self.machine.timing.ask_again);
                self.machine.state = State::Reconnecting {
                    reason: reason.clone(),
                    recovery: Recovery::CheckingOwner { ask_at },
                };
            }
        }
    }

    pub(super) fn outdated(&mut self) {
        if !self.machine.wants_probes() {
            return;
        }
        if std::mem::replace(&mut self.machine.reloaded_for_update, true) {
            self.fail(Failure::NotLetIn, UPDATE_NEEDED.to_owned());
            // Unless it has given up over it.
            if let Some((kind, _)) = &mut self.machine.trouble {
                *kind = ConditionKind::NeedsUpdate;
            }
        } else {
            self.hold();
            let reason = "WhatsApp wants a newer page, which is loaded now".to_owned();
            self.machine.trouble = Some((ConditionKind::NeedsUpdate, reason));
            self.reload();
        }
    }

    /// The site's own server has answered with an error: there is no page of WhatsApp's to wait for.
    pub(super) fn turned_away(&mut self, status: u16) {
        self.machine.linked = false;
        if self.machine.wants_probes() && !matches!(self.machine.state, State::Reconnecting { .. }) {
            self.fail(Failure::SiteAway, format!("the site answers {status} instead of its page"));
        }
    }

    pub(super) fn broke(&mut self, reason: String) {
        if self.machine.wants_probes() && !matches!(self.machine.state, State::Reconnecting { .. }) {
            self.fail(Failure::PageFailed, reason);
        }
    }

    pub(super) fn proved(&mut self) {
        self.machine.failed_probes = 0;
        match self.machine.state {
            State::Running { since }
                if self.now.saturating_sub(since) >= self.machine.timing.stable_after =>
            {
                self.machine.failures = FailureSeries::default();
                self.machine.took_over = false;
            }
            State::Connecting { .. } | State::Reconnecting { recovery: Recovery::Waiting { .. }, .. }
                if self.machine.linked && !self.machine.unsaved =>
            {
                self.run();
            }
            _ => {}
        }
        if matches!(self.machine.state, State::Running { .. }) {
            self.machine.evidence =
                Evidence::Proved { at: self.now, fresh_for: fresh_for(&self.machine.timing) };
        }
    }

    /// The first of such pages is loaded anew, each further one has a new browser, more and more slowly. No attempt to
    /// reconnect counts: the page receives, and giving the worker up would end that too.
    pub(super) fn sends_unacknowledged(&mut self, in_a_row: u32) {
        if !matches!(self.machine.state, State::Running { .. }) {
            return;
        }
        self.hold();
        let reason = SENDS_FAIL.to_owned();
        self.machine.sends_fail = true;
        self.machine.trouble = Some((ConditionKind::Healing, reason.clone()));
        // Its proofs are none before it is loaded anew.
        self.machine.linked = false;
        self.machine.offline_attempts_left = 0;
        self.machine.reloaded = in_a_row > 1;
        self.tell(StatusReport { last_error: Some(reason.clone()), ..disconnected() });
        let until = self.now + self.machine.timing.reconnect.delay(in_a_row, self.machine.seed);
        self.machine.state = State::Reconnecting { reason, recovery: Recovery::Waiting { until } };
    }

    pub(super) fn unproved(&mut self, reason: String) {
        if !matches!(self.machine.state, State::Running { .. } | State::QrReady { .. }) {
            return;
        }
        self.machine.failed_probes += 1;
        self.machine.evidence = Evidence::Doubted { reason: reason.clone() };
        if self.machine.failed_probes >= self.machine.timing.failure_threshold {
            self.fail(Failure::PageFailed, reason);
        }
    }
}

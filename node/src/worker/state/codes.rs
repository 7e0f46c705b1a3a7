//! The transitions for the codes that a page shows, and for what follows when nobody scans them: the worker keeps its place, and no
//! browser, until it is started anew.

use std::time::Duration;

use roost_store::ConditionKind;

use super::{
    machine::{AfterStop, Effect, State},
    step::Transition,
};

impl Transition {
    pub(super) fn code(&mut self, text: Option<String>, expires_in: Option<Duration>) {
        match (&self.machine.state, text) {
            (State::QrReady { code, .. }, Some(text)) if *code == text => {}
            (
                State::Connecting { .. }
                | State::QrReady { .. }
                | State::Running { .. }
                | State::Reconnecting { .. },
                Some(text),
            ) => self.show(text, expires_in),
            // The page took its code back: either a phone has scanned it, or another one follows.
            (State::QrReady { code, .. }, None) => {
                let until = self.now + self.machine.timing.code_grace;
                self.machine.state = State::QrReady { code: code.clone(), until };
            }
            _ => {}
        }
    }

    fn show(&mut self, text: String, expires_in: Option<Duration>) {
        let timing = &self.machine.timing;
        let usual = if self.machine.code_shown { timing.next_code } else { timing.first_code };
        let expires_in = expires_in.unwrap_or(usual);
        let until = self.now + expires_in + timing.code_grace;
        self.hold();
        self.machine.trouble = None;
        self.machine.code_shown = true;
        self.machine.linked = false;
        self.machine.session = false;
        self.machine.unsaved = true;
        self.machine.save_failure = None;
        self.machine.link += 1;
        self.machine.logout_pending = false;
        self.machine.failed_probes = 0;
        if self.machine.linking.is_spent() {
            return self.pause_scan();
        }
        self.machine.linking.show();
        self.machine.state = State::QrReady { code: text.clone(), until };
        self.effects.push(Effect::ShowCode { text, expires_in });
    }

    /// WhatsApp stops rotating codes that nobody scans; a fresh page starts again. That is no failure.
    pub(super) fn code_overdue(&mut self) {
        if self.machine.linking.is_spent() {
            return self.pause_scan();
        }
        self.machine.trouble = Some((ConditionKind::WaitingForScan, self.machine.complaint.clone()));
        self.reload();
    }

    /// The last code is taken away at once; the rest when the browser is gone.
    fn pause_scan(&mut self) {
        self.tell_unlinked();
        self.stop_for(AfterStop::PauseScan, Effect::Close);
    }

    /// No browser is left.
    pub(super) fn scan_paused(&mut self) {
        self.machine.state = State::ScanPaused;
        self.effects.push(Effect::RecordScanPause);
    }

    /// An owner before has paused it.
    pub(super) fn stay_paused(&mut self) {
        self.machine.state = State::ScanPaused;
    }
}

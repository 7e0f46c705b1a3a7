//! The transitions for the codes that a page shows, to be scanned or typed, and for what follows when nobody scans them: the worker keeps its place, and no
//! browser, until it is started anew.

use std::time::Duration;

use roost_store::PairingOrder;

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
                let until = self.machine.linking.stay(self.now + self.machine.timing.code_grace);
                self.machine.state = State::QrReady { code: code.clone(), until };
            }
            _ => {}
        }
    }

    fn show(&mut self, text: String, expires_in: Option<Duration>) {
        let timing = &self.machine.timing;
        let usual = if self.machine.code_shown { timing.next_code } else { timing.first_code };
        let expires_in = expires_in.unwrap_or(usual);
        let until = self.machine.linking.stay(self.now + expires_in + timing.code_grace);
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
        if self.machine.linking.is_spent(self.now) {
            return self.pause_scan();
        }
        self.machine.linking.show();
        self.machine.state = State::QrReady { code: text.clone(), until };
        self.effects.push(Effect::ShowCode { text, expires_in });
        if let Some(order) = self.machine.linking.take_order() {
            self.effects.push(Effect::AskPairingCode(order));
        }
    }

    /// A page is asked once it shows what a scan would read: then it is ready to be linked.
    pub(super) fn pairing_asked(&mut self, order: PairingOrder) {
        self.machine.linking.begin_anew();
        match &self.machine.state {
            State::QrReady { .. } => self.effects.push(Effect::AskPairingCode(order)),
            State::Stopped | State::Stopping { next: AfterStop::End(_) } => {}
            _ => {
                self.machine.linking.keep_order(order);
                self.refuse_pairing();
            }
        }
    }

    pub(super) fn pairing_code_given(&mut self, expires_in: Duration) {
        self.machine.linking.typed_until(self.now + expires_in + self.machine.timing.code_grace);
        if let State::QrReady { code, until } = &self.machine.state {
            let until = self.machine.linking.stay(*until);
            self.machine.state = State::QrReady { code: code.clone(), until };
        }
    }

    /// Where there will be no code for whoever waits for one.
    pub(super) fn refuse_pairing(&mut self) {
        let reason = match &self.machine.state {
            State::Running { .. } => {
                "a phone is linked already; `roost session logout` unlinks it".to_owned()
            }
            State::Error { reason } => format!("its worker has given up: {reason}"),
            _ => return,
        };
        if let Some(order) = self.machine.linking.take_order() {
            self.effects.push(Effect::RefusePairing { order, reason });
        }
    }

    /// WhatsApp stops rotating codes that nobody scans; a fresh page starts again. That is no failure.
    pub(super) fn code_overdue(&mut self) {
        if self.machine.linking.is_spent(self.now) {
            return self.pause_scan();
        }
        self.machine.trouble = Some(self.machine.needs_scan());
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

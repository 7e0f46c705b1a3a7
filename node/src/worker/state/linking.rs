//! How far the linking of a phone has come, of which the machine's states say only that a code is shown.

use std::time::Duration;

use roost_store::PairingOrder;

/// Times are counted from the worker's beginning. Codes are counted over reloads and browsers: what is bounded is how long nobody does anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Linking {
    /// Codes that are shown in a row without a scan; 0: without an end.
    most: u32,
    shown: u32,
    /// Somebody waits for a code that is typed on the phone, which no page was asked for yet.
    order: Option<PairingOrder>,
    /// Until when one that the page has given may be typed: the page is not to be taken away under it.
    typed_until: Option<Duration>,
}

impl Linking {
    pub fn new(most: u32) -> Self {
        Self { most, shown: 0, order: None, typed_until: None }
    }

    /// What is shown already counts.
    pub fn with_most(self, most: u32) -> Self {
        Self { most, ..self }
    }

    pub fn show(&mut self) {
        self.shown = self.shown.saturating_add(1);
    }

    /// Somebody is there: a phone has linked, or an operator has asked for something.
    pub fn begin_anew(&mut self) {
        self.shown = 0;
    }

    /// No further code is to be shown.
    pub fn is_spent(&self, now: Duration) -> bool {
        self.most > 0 && self.shown >= self.most && self.typed_until.is_none_or(|until| until <= now)
    }

    /// Replaces one that waits.
    pub fn keep_order(&mut self, order: PairingOrder) {
        self.order = Some(order);
    }

    pub fn take_order(&mut self) -> Option<PairingOrder> {
        self.order.take()
    }

    pub fn typed_until(&mut self, until: Duration) {
        self.typed_until = Some(until);
    }

    /// The page is another one.
    pub fn void_typed(&mut self) {
        self.typed_until = None;
    }

    /// A page that shows a code until then stays for as long as one may be typed.
    pub fn stay(&self, until: Duration) -> Duration {
        self.typed_until.map_or(until, |typed_until| typed_until.max(until))
    }
}

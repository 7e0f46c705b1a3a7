//! How far the linking of a phone has come, of which the machine's states say only that a code is shown.

/// Counts codes, over reloads and browsers: what is bounded is how long nobody does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Linking {
    /// Codes that are shown in a row without a scan; 0: without an end.
    most: u32,
    shown: u32,
}

impl Linking {
    pub fn new(most: u32) -> Self {
        Self { most, shown: 0 }
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
    pub fn is_spent(&self) -> bool {
        self.most > 0 && self.shown >= self.most
    }
}

//! What a reign remembers from pass to pass. None of it is needed by the next one: what has to outlive a reign is in
//! the ledger.

use std::time::Duration;

use crate::ledger::{Event, Note};

use super::{calm::Calm, journal::Journal, mirror::Mirror, senses::Senses};

/// Notes that wait for the ledger; more than that are dropped, the oldest first.
const MAX_UNTOLD: usize = 200_000;

pub(super) struct Memory {
    pub(super) mirror: Mirror,
    pub(super) senses: Senses,
    pub(super) calm: Calm,
    pub(super) journal: Journal,
    pub(super) untold: Untold,
}

impl Memory {
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            mirror: Mirror::default(),
            senses: Senses::new(ttl),
            calm: Calm::new(ttl),
            journal: Journal::default(),
            untold: Untold::default(),
        }
    }
}

/// Notes that nothing would lead to again: told until the ledger has taken them.
#[derive(Default)]
pub(super) struct Untold {
    notes: Vec<Note>,
}

impl Untold {
    pub(super) fn happened(&mut self, events: impl IntoIterator<Item = Event>) {
        self.extend(events.into_iter().map(Note::Event));
    }

    pub(super) fn extend(&mut self, notes: impl IntoIterator<Item = Note>) {
        self.notes.extend(notes);
        if let Some(too_many @ 1..) = self.notes.len().checked_sub(MAX_UNTOLD) {
            tracing::warn!(dropped = too_many, "notes of the history are dropped: the ledger takes none");
            self.notes.drain(..too_many);
        }
    }

    pub(super) fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The first of them.
    pub(super) fn were_told(&mut self, count: usize) {
        self.notes.drain(..count);
    }
}

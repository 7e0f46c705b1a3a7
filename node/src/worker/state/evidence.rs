//! What it rests on that a worker is said to answer.

use std::time::Duration;

use roost_store::ConditionKind;

const CONNECTED: &str = "WhatsApp has let its page in, which has still to prove that it answers";

/// That the page of a worker that runs works. Moments are counted from the worker's beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Evidence {
    /// It was not asked yet.
    #[default]
    None,
    /// A tenant that settles other times changes when its next probe is made, not how long this one counts.
    Proved { at: Duration, fresh_for: Duration },
    /// It did, and has not when it was asked last.
    Doubted { reason: String },
}

impl Evidence {
    /// From when on it is none any more, whatever has become of the probe that was due.
    pub fn ends_at(&self) -> Option<Duration> {
        match self {
            Self::Proved { at, fresh_for } => Some(*at + *fresh_for),
            Self::None | Self::Doubted { .. } => None,
        }
    }

    /// No probe has come back in time, as where the node is slow beside browsers that start.
    pub fn run_out(&mut self) {
        if let Self::Proved { fresh_for, .. } = self {
            let span = humantime::format_duration(*fresh_for);
            *self = Self::Doubted { reason: format!("its page has proved nothing for {span}") };
        }
    }

    /// What is said of the worker on it.
    pub fn condition(&self) -> (ConditionKind, String) {
        match self {
            Self::None => (ConditionKind::Starting, CONNECTED.to_owned()),
            Self::Proved { .. } => (ConditionKind::Answering, String::new()),
            Self::Doubted { reason } => (ConditionKind::Healing, reason.clone()),
        }
    }
}

//! The worker's state machine: `step(machine, event, now) -> (machine, effects)`. No clock, no I/O, no randomness.
//!
//! ```text
//!              Begin                       code
//!   Stopped ----------> Starting --+   +---------> QrReady
//!                        ^    |    |   |            |  ^
//!          launch (again)|    |    v   | Ready, or  |  |code
//!                        |    |   Connecting <------+  +--- (Running)
//!                        |    |    |   ^    overdue
//!                        |    |    |   ^   \
//!             back-off over   |    |   |    \ Ready, or proof of life, and the session is saved
//!                        |    |    |   |     v
//!                        |    |    |   |   Running ---- offline, deaf, crashed, exited, conflict
//!                        |    |    |   |                      |
//!                        |  failed |   | reload, take over    |
//!                        |    |    v   |                      |
//!                        +--- Reconnecting <------------------+
//!                                  |
//!                                  | attempts used up
//!                                  v
//!                                Error{reason} --- restart ---> Starting
//!
//!   from every state: stop, restart, logout --> Stopping --- browser gone ---> Stopped | Starting | Error
//! ```
//!
//! Rules that hold over every sequence of events (see the property tests):
//! - A launch is asked for only when no browser is left: never two launches without the end of the first between (I1).
//! - `Error` is entered only after every attempt to reconnect failed.
//! - After a stop nothing is launched any more, and as soon as the browser is gone the machine is `Stopped`.
//! - Messages are served in `Running` only.
//! - `Running`, and with it CONNECTED, is entered only when a snapshot of the session has been recorded: a tenant that
//!   was ever shown as connected survives the loss of its machine without another scan.

use super::pace::Pace;

mod orders;
mod page;
mod step;
#[cfg(test)]
mod tests;
mod turns;
mod vocabulary;

pub use vocabulary::{Effect, Ending, Event, Healing, Next, Now, State};

/// What is known of the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Browser {
    None,
    Launching,
    Up,
}

/// The state and what it takes to leave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    state: State,
    browser: Browser,
    pace: Pace,
    /// Spreads the back-off; any number.
    seed: u64,
    /// The digits of the phone that may link.
    phone: String,
    /// Attempts to reconnect since the last good connection.
    attempts: u32,
    /// Probes failed in a row.
    strikes: u32,
    /// The right phone is linked in the page as it is loaded now.
    linked: bool,
    /// Counts the sessions: what was saved of one is nothing of the next.
    link: u64,
    /// A code was shown since the browser was launched.
    coded: bool,
    /// The profile holds a session that was seen to work.
    session: bool,
    /// No snapshot of the session has been recorded yet.
    unsaved: bool,
    /// The session is to be logged out as soon as it is there: an earlier owner was asked to and did not.
    unlink: bool,
    /// Attempts that are left to the page itself, which went offline.
    patience: u32,
    /// The page was already reloaded to heal it since it last ran, so that the next attempt takes a new browser.
    reloaded: bool,
    /// It was already reloaded because WhatsApp wants a newer one.
    renewed: bool,
    /// A conflict was already answered since the last good connection.
    took_over: bool,
    /// What the operator has to know although the worker goes on, such as a scan with the wrong phone.
    complaint: String,
}

impl Machine {
    /// A worker that has not begun. `phone` is the tenant's own number in any notation.
    pub fn new(pace: Pace, phone: &str, seed: u64) -> Self {
        Self {
            state: State::Stopped,
            browser: Browser::None,
            pace,
            seed,
            phone: digits(phone),
            attempts: 0,
            strikes: 0,
            linked: false,
            link: 0,
            coded: false,
            session: false,
            unsaved: true,
            unlink: false,
            patience: 0,
            reloaded: false,
            renewed: false,
            took_over: false,
            complaint: String::new(),
        }
    }

    /// A snapshot of the session was recorded by an earlier owner.
    #[must_use]
    pub fn with_saved_session(self) -> Self {
        Self { unsaved: false, ..self }
    }

    /// Whether the session may be saved now: there is one, and the page that holds it is the tenant's.
    pub fn may_save(&self) -> bool {
        self.linked && matches!(self.state, State::Running { .. } | State::Connecting { .. })
    }

    /// Which session it is, counted from 0.
    pub fn link(&self) -> u64 {
        self.link
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// When a `Tick` is due.
    pub fn wake_at(&self) -> Option<Now> {
        match &self.state {
            State::QrReady { until, .. } | State::Connecting { until } => Some(*until),
            State::Reconnecting { healing: Healing::Waiting { until }, .. } => Some(*until),
            State::Reconnecting { healing: Healing::Judging { ask_at }, .. } => *ask_at,
            State::Stopped
            | State::Starting
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Error { .. } => None,
        }
    }

    /// Whether the page is to be probed in this state.
    pub fn wants_probes(&self) -> bool {
        self.browser == Browser::Up
            && matches!(
                self.state,
                State::QrReady { .. }
                    | State::Connecting { .. }
                    | State::Running { .. }
                    | State::Reconnecting { .. }
            )
    }

    /// Whether a probe has to find a session: not while a code waits to be scanned.
    pub fn expects_session(&self) -> bool {
        !matches!(self.state, State::QrReady { .. })
    }

    /// The tenant's phone was changed; it counts from the next time a phone links.
    #[must_use]
    pub fn with_phone(mut self, phone: &str) -> Self {
        self.phone = digits(phone);
        self
    }
}

/// Only the digits: `+255 700 000 001`, `255700000001` and `255700000001@c.us` are one phone.
pub fn digits(phone: &str) -> String {
    let number = phone.split(['@', ':']).next().unwrap_or_default();
    number.chars().filter(char::is_ascii_digit).collect()
}

/// One step. Pure: the same arguments give the same result.
#[must_use]
pub fn step(machine: Machine, event: Event, now: Now) -> (Machine, Vec<Effect>) {
    let mut step = step::Step { machine, now, effects: Vec::new() };
    step.take(event);
    (step.machine, step.effects)
}

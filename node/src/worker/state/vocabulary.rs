//! The words of the state machine: where a worker stands, what has happened to it, and what is to be done.

use std::{fmt, time::Duration};

use roost_store::{RestartMode, StatusReport};

use crate::worker::StopMode;

/// A point in time: the time since the worker began.
pub type Now = Duration;

/// Where a worker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Before the beginning and after the end.
    Stopped,
    /// The profile is made ready and the browser launches.
    Starting,
    /// The page shows `code`; a newer one or a scan is due by `until`.
    QrReady { code: String, until: Now },
    /// The page is loaded; a session or a code has to show by `until`, and a session that was just linked be saved.
    Connecting { until: Now },
    /// Linked, online and proven; messages flow.
    Running { since: Now },
    /// The connection failed for `reason`; see [`Healing`].
    Reconnecting { reason: String, healing: Healing },
    /// The browser is on its way out, or its session is being forgotten; `next` says what follows.
    Stopping { next: Next },
    /// Given up until an operator restarts it.
    Error { reason: String },
}

/// How a worker in `Reconnecting` goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Healing {
    /// Waits for the next attempt; the page may come back by itself meanwhile.
    Waiting { until: Now },
    /// WhatsApp says that the session was opened elsewhere: the lease is asked whose it is. `ask_at` is set when the
    /// registry did not answer.
    Judging { ask_at: Option<Now> },
}

/// What follows once the browser is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Launch,
    /// The session is forgotten first: snapshot pointer cleared, profile wiped.
    Forget,
    Fail {
        reason: String,
    },
    End(Ending),
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Asked to stop; the session was saved from the closed browser.
    Stopped,
    /// Told to let go at once.
    Killed,
    /// The tenant is deleted; its profile goes too.
    Deleted,
    /// Another owner exists: a write was refused or the registry says so.
    NotOwner,
    /// The node's own lease may have run out.
    Expired,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `forget`: the session is still to be forgotten, in the way that an operator asked of an earlier owner.
    Begin {
        forget: Option<RestartMode>,
    },
    Launched,
    LaunchFailed {
        reason: String,
    },
    /// A close or a kill that was asked for has ended, and the browser with it.
    BrowserGone,
    SessionForgotten,
    /// A snapshot has been recorded that was begun when [`Machine::link`](super::Machine::link) was `link`.
    SessionSaved {
        link: u64,
    },
    /// A code to scan, or none any more.
    Code {
        text: Option<String>,
        expires_in: Option<Duration>,
    },
    Ready {
        phone: String,
    },
    WentOffline,
    LoggedOut {
        reason: String,
    },
    Conflicted,
    Outdated,
    /// The page or a call to it failed; the browser lives.
    Broke {
        reason: String,
    },
    /// The browser ended by itself.
    Exited {
        reason: String,
    },
    /// The page proved that it works.
    Proved,
    /// It could not.
    Unproved {
        reason: String,
    },
    /// The answer of the registry to [`Effect::AskOwner`]; `None` when it could not be asked.
    Owner(Option<bool>),
    RestartAsked(RestartMode),
    StopAsked(StopMode),
    /// The node's standing ran out.
    StandingExpired,
    /// A write was refused: a newer generation exists.
    Fenced,
    /// Time has passed; sent when [`Machine::wake_at`](super::Machine::wake_at) is due.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Make the profile ready and launch. Answered by `Launched` or `LaunchFailed`.
    Launch,
    Reload,
    TakeOver,
    /// Unlink the device at WhatsApp, then kill the browser. Answered by `BrowserGone`.
    LogOut,
    /// Finish the messages in flight, close the browser, and save the session if there is one. Answered by
    /// `BrowserGone`.
    WindDown {
        save: bool,
    },
    /// Close the browser and save nothing. Answered by `BrowserGone`.
    Close,
    /// Kill the browser, whatever else is being done to it. Answered by `BrowserGone`.
    Kill,
    /// Answered by `SessionForgotten`.
    ForgetSession,
    /// Answered by `Owner`.
    AskOwner,
    /// Let the messages flow.
    Serve,
    /// Hold them.
    Hold,
    /// No snapshot of the session exists: save it at once. Answered by `SessionSaved`.
    SaveSession,
    ShowCode {
        text: String,
        expires_in: Duration,
    },
    Report(StatusReport),
    End(Ending),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Starting => f.write_str("starting"),
            Self::QrReady { .. } => f.write_str("waiting for a scan"),
            Self::Connecting { .. } => f.write_str("connecting"),
            Self::Running { .. } => f.write_str("running"),
            Self::Reconnecting { reason, .. } => write!(f, "reconnecting: {reason}"),
            Self::Stopping { .. } => f.write_str("stopping"),
            Self::Error { reason } => write!(f, "error: {reason}"),
        }
    }
}

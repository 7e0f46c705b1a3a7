//! What the state machine speaks of: where a worker stands, what has happened to it, what is to be done, and the machine itself with
//! all that it has to remember.

use std::{collections::VecDeque, fmt, time::Duration};

use roost_cluster::ledger::EventKind;
use roost_store::{ConditionKind, PairingOrder, RestartMode, StatusReport};

use super::{evidence::Evidence, linking::Linking, phone::digits};
use crate::worker::{
    fault::{Failure, FailureSeries, Surroundings},
    timing::WorkerTiming,
};

/// A point in time: the time since the worker began.
pub type WorkerTime = Duration;

/// Where a worker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Before the beginning and after the end.
    Stopped,
    /// The profile is made ready and the browser launches.
    Starting,
    /// The page shows `code`; a newer one or a scan is due by `until`.
    QrReady { code: String, until: WorkerTime },
    /// The page is loaded; a session or a code has to show by `until`, and a session that was just linked be saved. Without
    /// it the page waits for its turn to be loaded anew.
    Connecting { until: Option<WorkerTime> },
    /// Nobody has scanned the codes that were shown. No browser runs and nothing is waited for but an order to start anew.
    ScanPaused,
    /// Linked, online and proven; messages flow.
    Running { since: WorkerTime },
    /// The connection failed for `reason`; see [`Recovery`].
    Reconnecting { reason: String, recovery: Recovery },
    /// The browser is on its way out, or its session is being forgotten; `next` says what follows.
    Stopping { next: AfterStop },
    /// Given up until an operator restarts it.
    Error { reason: String },
}

/// How a worker in `Reconnecting` goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Waits for the next attempt; the page may come back by itself meanwhile.
    Waiting { until: WorkerTime },
    /// WhatsApp says that the session was opened elsewhere: the lease is asked whose it is. `ask_at` is set when the
    /// registry did not answer.
    CheckingOwner { ask_at: Option<WorkerTime> },
}

/// What follows once the browser is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterStop {
    Launch,
    /// After a while, for this reason.
    LaunchLater {
        reason: String,
        wait: Duration,
    },
    /// The session is forgotten first: snapshot pointer cleared, profile wiped.
    Forget,
    PauseScan,
    Fail {
        reason: String,
    },
    End(Ending),
}

/// How a worker is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Finish the messages in flight (bounded), close the browser, save the session from the closed browser.
    Graceful,
    /// Kill the browser and touch nothing else: the tenant is not ours any more.
    Kill,
    /// The tenant was deleted: kill the browser and remove its profile.
    Deleted,
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
    /// `scan_paused`: an earlier owner has shown codes that nobody scanned, and nobody has asked for others since.
    Begin {
        forget: Option<RestartMode>,
        scan_paused: bool,
    },
    Launched,
    LaunchFailed {
        reason: String,
        failure: Failure,
    },
    /// A close or a kill that was asked for has ended, and the browser with it.
    BrowserGone,
    /// WhatsApp did not unlink the device, which the browser's end follows.
    LogOutFailed {
        reason: String,
    },
    /// It is the page's turn to be loaded anew.
    TurnTaken,
    SessionForgotten,
    /// A snapshot has been recorded that was begun when [`Machine::link`] was `link`.
    SessionSaved {
        link: u64,
    },
    /// The page is a new document.
    Loaded,
    /// No snapshot was recorded, for this reason; `is_overdue` when the last one is too old by now.
    SessionNotSaved {
        reason: String,
        is_overdue: bool,
    },
    /// A code to scan, or none any more.
    Code {
        text: Option<String>,
        expires_in: Option<Duration>,
    },
    Ready {
        phone: String,
    },
    /// Somebody waits for a code that is typed on the phone.
    PairingAsked(PairingOrder),
    /// The page has given one, for so long.
    PairingCodeGiven {
        expires_in: Duration,
    },
    WentOffline,
    LoggedOut {
        reason: String,
    },
    Conflicted,
    Outdated,
    /// The site has answered with this HTTP status instead of its page.
    TurnedAway {
        status: u16,
    },
    /// The page or a call to it failed; the browser lives.
    Broke {
        reason: String,
    },
    /// The page ended by itself; the browser lives.
    Crashed {
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
    /// Whatever it proves: what it sends is not acknowledged. So were the pages before it, `in_a_row` with this one.
    SendsUnacknowledged {
        in_a_row: u32,
    },
    /// A send was, or nothing is known against the page any more.
    SendsAcknowledged,
    /// The answer of the registry to [`Effect::AskOwner`]; `None` when it could not be asked.
    Owner(Option<bool>),
    RestartAsked(RestartMode),
    /// The tenant's schedule says so, and it is a quiet moment.
    RestartScheduled,
    /// The browser is over one of its limits: at a quiet moment, or where it cannot be waited for (`at_once`).
    OverLimit {
        reason: String,
        at_once: bool,
    },
    /// The node is short of memory, the browser uses more than it requests, and it is a quiet moment.
    MemoryNeeded {
        reason: String,
    },
    /// The session is to go back to an older snapshot, which the next launch does.
    RestoreAsked,
    /// The page may have lost what it wrote to the disk.
    ReloadAsked,
    StopAsked(StopMode),
    /// The node's standing ran out.
    StandingExpired,
    /// A write was refused: a newer generation exists.
    Fenced,
    /// Time has passed; sent when [`Machine::wake_at`] is due.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Make the profile ready and launch. Answered by `Launched` or `LaunchFailed`.
    Launch,
    /// The launch under way is not wanted any more: it is not to get as far as the site, and with `kill` the browser is not
    /// to live even if it has. Answered as the launch is, by `Launched` or `LaunchFailed`.
    CallOffLaunch {
        kill: bool,
    },
    /// A page that loads takes as much as one that starts: wait for its turn. Answered by `TurnTaken`.
    TakeTurn,
    Reload,
    TakeOver,
    /// Unlink the device at WhatsApp, then kill the browser. Answered by `BrowserGone`, and `LogOutFailed` before it.
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
    /// Ask the page for a code that is typed on the phone, and tell whoever waits. Answered by `PairingCodeGiven` if there is one.
    AskPairingCode(PairingOrder),
    /// Tell whoever waits why there is none.
    RefusePairing {
        order: PairingOrder,
        reason: String,
    },
    Report(StatusReport),
    /// Put it down, for every owner to come and for the history, that codes are shown no more.
    RecordScanPause,
    /// Put it into the history that the browser is restarted on its schedule.
    RecordScheduledRestart,
    /// Put something else into the history.
    Record(EventKind, String),
    End(Ending),
}

/// What to do about it is for whoever reads it: no state of this machine ends it.
pub(super) const SCAN_PAUSED: &str = "nobody has scanned the QR codes that were shown; `roost session resume` shows new ones, and so does every restart";
pub(super) const SENDS_FAIL: &str = "WhatsApp does not acknowledge what the page sends";

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Starting => f.write_str("starting"),
            Self::QrReady { .. } => f.write_str("waiting for a scan"),
            Self::ScanPaused => f.write_str("no more codes are shown"),
            Self::Connecting { .. } => f.write_str("connecting"),
            Self::Running { .. } => f.write_str("running"),
            Self::Reconnecting { reason, .. } => write!(f, "reconnecting: {reason}"),
            Self::Stopping { .. } => f.write_str("stopping"),
            Self::Error { reason } => write!(f, "error: {reason}"),
        }
    }
}

/// What is known of the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrowserState {
    None,
    Launching,
    Up,
}

/// The state and what it takes to leave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub(super) state: State,
    pub(super) browser: BrowserState,
    /// Of the tenant, and where it says nothing of its node ...
    pub(super) timing: WorkerTiming,
    /// ... and of its node alone.
    pub(super) nodes_timing: WorkerTiming,
    /// Of the browser and its pages, within the window; the newest last.
    pub(super) crashes: VecDeque<WorkerTime>,
    /// Spreads the back-off; any number.
    pub(super) seed: u64,
    /// The digits of the phone that may link.
    pub(super) phone: String,
    /// Since the last good connection.
    pub(super) failures: FailureSeries,
    /// How the node is otherwise.
    pub(super) surroundings: Surroundings,
    /// What the attempts to reconnect are about, and why the last one was needed.
    pub(super) trouble: Option<(ConditionKind, String)>,
    /// Probes failed in a row.
    pub(super) failed_probes: u32,
    /// The right phone is linked in the page as it is loaded now.
    pub(super) linked: bool,
    /// Counts the sessions: what was saved of one is nothing of the next.
    pub(super) link: u64,
    /// A code was shown since the browser was launched.
    pub(super) code_shown: bool,
    pub(super) linking: Linking,
    /// The profile holds a session that was seen to work.
    pub(super) session: bool,
    /// No snapshot of the session has been recorded yet.
    pub(super) unsaved: bool,
    /// Why the last snapshot was not recorded, and whether operators are to be told while the worker serves.
    pub(super) save_failure: Option<(String, bool)>,
    /// The session is to be logged out as soon as it is there: an earlier owner was asked to and did not.
    pub(super) logout_pending: bool,
    /// Attempts that are left to the page itself, which went offline.
    pub(super) offline_attempts_left: u32,
    /// The page was already reloaded to heal it since it last ran, so that the next attempt takes a new browser.
    pub(super) reloaded: bool,
    /// It was already reloaded because WhatsApp wants a newer one.
    pub(super) reloaded_for_update: bool,
    /// A conflict was already answered since the last good connection.
    pub(super) took_over: bool,
    /// WhatsApp does not acknowledge what the pages send; said until it does, also while the page runs.
    pub(super) sends_fail: bool,
    /// When the browser that runs, or the last one, was launched.
    pub(super) launched_at: WorkerTime,
    /// Browsers that were over a limit soon after their start, in a row.
    pub(super) over_limit_soon: u32,
    /// What the operator has to know although the worker goes on, such as a scan with the wrong phone.
    pub(super) complaint: String,
    /// What the complaint is of, where it is about a device that was unlinked.
    pub(super) unlinked: Option<ConditionKind>,
    /// While it runs.
    pub(super) evidence: Evidence,
}

impl Machine {
    /// A worker that has not begun. `phone` is the tenant's own number in any notation.
    pub fn new(timing: WorkerTiming, phone: &str, seed: u64) -> Self {
        Self {
            state: State::Stopped,
            browser: BrowserState::None,
            timing,
            nodes_timing: timing,
            crashes: VecDeque::new(),
            seed,
            phone: digits(phone),
            failures: FailureSeries::default(),
            surroundings: Surroundings::default(),
            trouble: None,
            failed_probes: 0,
            linked: false,
            link: 0,
            code_shown: false,
            linking: Linking::new(timing.qr_rotations),
            session: false,
            unsaved: true,
            save_failure: None,
            logout_pending: false,
            offline_attempts_left: 0,
            reloaded: false,
            reloaded_for_update: false,
            took_over: false,
            sends_fail: false,
            launched_at: WorkerTime::ZERO,
            over_limit_soon: 0,
            complaint: String::new(),
            unlinked: None,
            evidence: Evidence::None,
        }
    }

    /// A snapshot of the session was recorded by an earlier owner.
    #[must_use]
    pub fn with_saved_session(self) -> Self {
        Self { unsaved: false, ..self }
    }

    /// Whether the right phone is linked in the page as it is loaded now.
    pub fn is_linked(&self) -> bool {
        self.linked
    }

    /// Whether the session may be saved now: there is one, and the page that holds it is the tenant's.
    pub fn may_save(&self) -> bool {
        self.linked && matches!(self.state, State::Running { .. } | State::Connecting { .. })
    }

    /// Whether the browser may be restarted without need. Not while that could make something worse: the page is not known to
    /// be well, what it holds cannot be saved, or the node may be unable to start another.
    pub fn may_restart(&self) -> bool {
        matches!(self.state, State::Running { .. })
            && !self.sends_fail
            && self.failed_probes == 0
            && self.save_failure.is_none()
            && !self.surroundings.is_impaired
    }

    /// The same for a browser that is over a limit: its page may be unwell for that very reason, and so may the node be.
    pub fn may_restart_over_limit(&self) -> bool {
        matches!(self.state, State::Running { .. }) && self.save_failure.is_none()
    }

    /// Attempts to reconnect since the last good connection.
    pub fn attempts(&self) -> u32 {
        self.failures.attempts()
    }

    /// Which session it is, counted from 0.
    pub fn link(&self) -> u64 {
        self.link
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// When a `Tick` is due.
    pub fn wake_at(&self) -> Option<WorkerTime> {
        match &self.state {
            State::QrReady { until, .. } => Some(*until),
            State::Connecting { until } => *until,
            State::Reconnecting { recovery: Recovery::Waiting { until }, .. } => Some(*until),
            State::Reconnecting { recovery: Recovery::CheckingOwner { ask_at }, .. } => *ask_at,
            State::Running { .. } => self.evidence.ends_at(),
            State::Stopped
            | State::Starting
            | State::ScanPaused
            | State::Stopping { .. }
            | State::Error { .. } => None,
        }
    }

    /// Whether the page is on its way to a session or a code.
    pub fn awaits_page(&self) -> bool {
        matches!(self.state, State::Starting | State::Connecting { .. }) && !self.linked
    }

    /// Whether the page is to be probed in this state.
    pub fn wants_probes(&self) -> bool {
        self.browser == BrowserState::Up
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

    /// How the node is at the next step.
    #[must_use]
    pub fn amid(self, surroundings: Surroundings) -> Self {
        Self { surroundings, ..self }
    }
}

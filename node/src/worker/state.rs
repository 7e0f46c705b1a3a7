//! The worker's state machine: `step(machine, event, now) -> (machine, effects)`. No clock, no I/O, no randomness.
//!
//! ```text
//!                             .--code--> QrReady <--code--.
//!                             |             |             |
//!                             |        Ready, overdue     |
//!                             |             v             |
//!   Stopped --> Starting --> Connecting ----------------> Running
//!                ^     |      ^     |                      |
//!   a new browser|     |      |     |                      |
//!                |     v      |     v                      |
//!                '---- Reconnecting <----------------------'
//!                           |
//!                           '--> Error --restart--> Starting
//! ```
//!
//! | from | on | to |
//! |---|---|---|
//! | Stopped | Begin | Starting; Stopping, to forget the session, if an earlier owner was asked to and did not |
//! | Starting | launched | Connecting |
//! | | launch failed | Reconnecting |
//! | Connecting, QrReady | Ready, and a snapshot of the session exists | Running |
//! | | Ready, and none exists | Connecting, until it is saved: Running |
//! | Connecting | a code | QrReady |
//! | | proof of a linked and saved session | Running |
//! | | overdue | Reconnecting |
//! | QrReady | another code, or the code taken back | QrReady |
//! | | overdue | Connecting, by a reload |
//! | Connecting, QrReady, Running, Reconnecting | a further code, or QrReady overdue, when as many were shown as may be | Stopping: ScanPaused |
//! | Stopped | Begin, and an earlier owner was there | ScanPaused |
//! | ScanPaused | restart, to go back to a snapshot | Starting |
//! | Running; Connecting until it is saved | the page loaded itself anew | Connecting, as an attempt |
//! | Running | a code | QrReady |
//! | | offline | Reconnecting |
//! | Running, QrReady | deaf: probes failed in a row | Reconnecting |
//! | Running | a probe that fails, or does not come back in time | Running, and is not said to answer until the next proof |
//! | | sends are not acknowledged | Reconnecting, for a reload; the next time for a new browser |
//! | all three, Reconnecting | outdated | Connecting, by a reload; the second time Reconnecting |
//! | Connecting, by a reload | its turn has come | Connecting, with a deadline from now on |
//! | all three | broken, exited, turned away by the site | Reconnecting |
//! | Connecting, Running, Reconnecting | conflict | Reconnecting, until it is known whose the session is: another's: Stopping, to end; ours: Connecting, by taking it back, once; then a failed attempt |
//! | Reconnecting | a code; Ready or proof, unless a conflict is being decided | as from Connecting |
//! | | time for an attempt | the page's own: Reconnecting; then Connecting, by a reload; then Stopping, for a new browser: Starting |
//! | any of these | what leads to Reconnecting by the tenant's own fault, with the attempts used up | Stopping, to fail: Error |
//! | any of these with a browser | another phone linked, logged out | Stopping, to forget the session: Starting |
//! | Running, and well | scheduled restart | Stopping: Starting |
//! | any with a browser | over a limit | Stopping: Starting, after a while if it was so soon after its start; too often: Stopping, to fail: Error |
//! | any with a browser | a crash of it or its page, one of too many of late | Stopping, to fail: Error |
//! | Running | its node is short of memory | Stopping: Starting |
//! | any, Error too | restart, logout | Stopping, to forget the session if that was asked for: Starting |
//! | any, Error and Starting too | to go back to a snapshot | Stopping, without a save: Starting |
//! | Stopping | WhatsApp did not unlink the device | Stopping; the complaint says so until a phone is linked |
//! | any, Error too | stop, fenced, standing expired | Stopping, to end: Stopped |
//!
//! Rules that hold over every sequence of events (see the property tests):
//! - A launch is asked for only when no browser is left: never two launches without the end of the first between (I1).
//! - In `ScanPaused` there is no browser, and nothing but an order leads out of it.
//! - `Error` is entered only after every attempt to reconnect failed by the tenant's own fault (see [`super::fault`]), when its
//!   browser was over a limit soon after each of several starts, or when it or its page crashed too often of late.
//! - After a stop nothing is launched any more, and as soon as the browser is gone the machine is `Stopped`.
//! - Messages are served in `Running` only.
//! - `Running`, and with it CONNECTED, is entered only when a snapshot of the session has been recorded: a tenant that
//!   was ever shown as connected survives the loss of its machine without another scan.

mod codes;
mod condition;
mod crashes;
mod evidence;
mod linking;
mod machine;
mod over_limit;
mod page;
mod phone;
mod settings;
mod step;
#[cfg(test)]
mod tests;

pub use machine::{AfterStop, Effect, Ending, Event, Machine, Recovery, State, StopMode, WorkerTime};
pub use phone::digits;
pub use step::step;

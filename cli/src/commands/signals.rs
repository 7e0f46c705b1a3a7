//! The signals that end a command.

use std::{future::poll_fn, task::Poll};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// What ends a command that runs until it is told to stop: SIGTERM, SIGHUP and Ctrl-C.
pub(super) const ENDING: [SignalKind; 3] =
    [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];

/// Listened for from the call of [`Signals::listen`] on; what comes before it ends the process as the system does by default.
/// (`tokio::signal::ctrl_c` listens only from its first poll on, which may be after something was shown.)
pub(super) struct Signals(Vec<Signal>);

impl Signals {
    pub fn listen(kinds: &[SignalKind]) -> Result<Self, Failure> {
        let listened = kinds.iter().map(|kind| signal(*kind)).collect::<Result<_, _>>();
        listened.map(Self).map_err(|source| Failure::Input { what: "signals".into(), source })
    }

    /// Until one of them comes.
    pub async fn received(&mut self) {
        poll_fn(|context| {
            let has_come = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if has_come { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

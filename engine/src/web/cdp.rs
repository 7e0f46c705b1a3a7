//! The DevTools protocol over a pair of pipes, with the typed commands and events of chromiumoxide_cdp.
//!
//! Why not chromiumoxide's own connection and handler:
//! - They speak over a TCP port that every process of the machine may connect to, and whoever does owns the session. A
//!   pipe belongs to this process alone, needs no port and no file to find it, and its end is the browser's end.
//! - Nagle's algorithm is on for that connection: the second of two small commands waits for the answer to the first.
//! - The handler enables the Network, Log, Performance and Runtime domains for every page, which keep what they see in
//!   the browser's memory, and its event listeners are unbounded queues.
//!
//! Messages are JSON, each ended by a zero byte. Sessions are flattened: a message to a page carries its session's id.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chromiumoxide_cdp::cdp::browser_protocol::target::SessionId;
use chromiumoxide_types::{CallId, Command, Error as Refusal, MethodCall};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::EngineError;

/// For a command that the browser answers out of its memory.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Commands that wait to be written.
const COMMANDS: usize = 256;
/// Events that wait to be taken. The bridge tells at most its window of messages ahead and everything else is rare, so a
/// full queue means that nobody takes them.
const EVENTS: usize = 1024;

/// The commanding end. Cheap to clone; the connection ends when every clone is gone.
#[derive(Clone)]
pub(super) struct Cdp {
    commands: mpsc::Sender<Vec<u8>>,
    pending: Arc<Mutex<Pending>>,
    next: Arc<AtomicUsize>,
}

/// Calls whose answers have not come; `None` once none will.
type Pending = Option<HashMap<CallId, oneshot::Sender<Result<Value, Refusal>>>>;

/// An event, parsed as far as telling it from others takes.
#[derive(Debug)]
pub(super) struct Event {
    pub method: String,
    pub session: Option<String>,
    pub params: Value,
}

impl Cdp {
    /// Speaks to a browser. The receiver ends when the browser closes its pipe, or when nobody took events for so long
    /// that the queue was full.
    pub(super) fn open(
        input: impl AsyncWrite + Unpin + Send + 'static,
        output: impl AsyncRead + Unpin + Send + 'static,
    ) -> (Self, mpsc::Receiver<Event>) {
        let (commands, to_write) = mpsc::channel(COMMANDS);
        let (events, taken) = mpsc::channel(EVENTS);
        let pending = Arc::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(write(input, to_write));
        tokio::spawn(read(output, pending.clone(), events));
        (Self { commands, pending, next: Arc::default() }, taken)
    }

    /// Sends a command to the browser (`session` none) or to a page, and waits for its answer for at most `limit`.
    pub(super) async fn call<C: Command>(
        &self,
        step: &'static str,
        session: Option<&SessionId>,
        command: C,
        limit: Duration,
    ) -> Result<C::Response, EngineError> {
        let answered = timeout(limit, self.exchange(step, session, command)).await;
        let answer = answered.map_err(|_| EngineError::TimedOut { step, limit })??;
        C::response_from_value(answer).map_err(|source| EngineError::Malformed { step, source })
    }

    async fn exchange<C: Command>(
        &self,
        step: &'static str,
        session: Option<&SessionId>,
        command: C,
    ) -> Result<Value, EngineError> {
        let malformed = |source| EngineError::Malformed { step, source };
        let id = CallId::new(self.next.fetch_add(1, Ordering::Relaxed));
        let method = command.identifier();
        let params = serde_json::to_value(command).map_err(malformed)?;
        let call =
            MethodCall { id, method, session_id: session.map(|session| session.inner().clone()), params };
        let mut frame = serde_json::to_vec(&call).map_err(malformed)?;
        frame.push(0);
        let (answer, answered) = oneshot::channel();
        // Forgets the call when it is given up, so that what is never answered is not kept.
        let _forget = Forget { pending: &self.pending, id };
        self.pending.lock().as_mut().ok_or(EngineError::Gone)?.insert(id, answer);
        self.commands.send(frame).await.map_err(|_| EngineError::Gone)?;
        let answer = answered.await.map_err(|_| EngineError::Gone)?;
        answer.map_err(|refusal| EngineError::Refused { step, reason: refusal.message })
    }
}

struct Forget<'a> {
    pending: &'a Mutex<Pending>,
    id: CallId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.lock().as_mut() {
            pending.remove(&self.id);
        }
    }
}

async fn write(mut input: impl AsyncWrite + Unpin, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if input.write_all(&frame).await.is_err() {
            // The browser is gone: the reader sees the same and says so.
            return;
        }
    }
}

/// Both an answer and an event; an answer has an id.
#[derive(Deserialize)]
struct Incoming {
    id: Option<CallId>,
    result: Option<Value>,
    error: Option<Refusal>,
    method: Option<String>,
    #[serde(rename = "sessionId")]
    session: Option<String>,
    #[serde(default)]
    params: Value,
}

async fn read(output: impl AsyncRead + Unpin, pending: Arc<Mutex<Pending>>, events: mpsc::Sender<Event>) {
    let mut output = BufReader::with_capacity(64 * 1024, output);
    let mut frame = Vec::new();
    loop {
        frame.clear();
        match output.read_until(0, &mut frame).await {
            Ok(read) if read > 0 && frame.ends_with(&[0]) => {}
            _ => break,
        }
        match serde_json::from_slice(&frame[..frame.len() - 1]) {
            Ok(incoming) => {
                if !dispatch(incoming, &pending, &events) {
                    break;
                }
            }
            Err(error) => tracing::warn!(%error, "the browser sent what is no message of the protocol"),
        }
    }
    // Dropping the senders tells everyone who waits.
    *pending.lock() = None;
}

/// `false` when the event found no room: blocking here would also keep answers from the one who has to make room.
fn dispatch(incoming: Incoming, pending: &Mutex<Pending>, events: &mpsc::Sender<Event>) -> bool {
    if let Some(id) = incoming.id {
        let waiting = pending.lock().as_mut().and_then(|pending| pending.remove(&id));
        if let Some(waiting) = waiting {
            let answer = incoming.error.map_or_else(|| Ok(incoming.result.unwrap_or(Value::Null)), Err);
            // Nobody waits any more for a call that was given up.
            let _ = waiting.send(answer);
        }
        return true;
    }
    let Some(method) = incoming.method else { return true };
    let event = Event { method, session: incoming.session, params: incoming.params };
    match events.try_send(event) {
        Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => true,
        Err(mpsc::error::TrySendError::Full(event)) => {
            tracing::error!(
                method = event.method,
                "the page's events are not taken; the connection is given up"
            );
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use chromiumoxide_cdp::cdp::browser_protocol::browser::GetVersionParams;
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_refusal_a_silence_and_an_end_are_told_apart() {
        let (input, mut browser_in) = duplex(4096);
        let (mut browser_out, output) = duplex(4096);
        let (cdp, mut events) = Cdp::open(input, output);

        let silent = cdp.call("asking", None, GetVersionParams::default(), Duration::from_millis(20)).await;
        assert!(matches!(silent, Err(EngineError::TimedOut { step: "asking", .. })));
        assert!(cdp.pending.lock().as_ref().unwrap().is_empty(), "a call that is given up is forgotten");

        let calling = tokio::spawn({
            let cdp = cdp.clone();
            async move { cdp.call("asking", None, GetVersionParams::default(), LIMIT).await }
        });
        let mut seen = vec![0; 1024];
        while !String::from_utf8_lossy(&seen).contains("\"id\":1") {
            let _ = browser_in.read(&mut seen).await.unwrap();
        }
        let lines = b"{\"method\":\"A.b\",\"params\":{\"x\":1}}\0{\"id\":1,\"error\":{\"code\":-1,\"message\":\"no\"}}\0";
        browser_out.write_all(lines).await.unwrap();
        assert!(matches!(calling.await.unwrap(), Err(EngineError::Refused { reason, .. }) if reason == "no"));
        assert_eq!(events.recv().await.unwrap().params["x"], 1);

        drop(browser_out);
        assert!(events.recv().await.is_none());
        let late = cdp.call("asking", None, GetVersionParams::default(), LIMIT).await;
        assert!(matches!(late, Err(EngineError::Gone)));
    }
}

//! The DevTools protocol over a pair of pipes, with the typed commands and events of chromiumoxide_cdp.
//!
//! Why not chromiumoxide's own connection and handler:
//! - They speak over a TCP port that every process of the machine may connect to, and whoever does owns the session. A
//!   pipe belongs to this process alone, needs no port and no file to find it, and its end is the browser's end.
//! - Nagle's algorithm is on for that connection: the second of two small commands waits for the answer to the first.
//! - The handler enables the Network, Log and Runtime domains for every page, which keep what they see in the browser's
//!   memory, and its event listeners are unbounded queues.
//!
//! Messages are JSON, each ended by a zero byte. Sessions are flattened: a message to a page carries its session's id.
//!
//! What a page can have its browser send is bounded, one message as all that wait: a browser that sends more is given up
//! ([`Excess`]), for the memory is that of the node and of all its tenants.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chromiumoxide_cdp::cdp::browser_protocol::target::SessionId;
use chromiumoxide_types::{CallId, Command, Error as Refusal, MethodCall};
use parking_lot::Mutex;
use roost_model::causes;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::well_formed::well_formed;
use crate::EngineError;

/// For a command that the browser answers out of its memory.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Commands that wait to be written.
const COMMANDS: usize = 256;
/// Events that wait to be taken. The bridge tells at most its window of messages ahead and everything else is rare, so a
/// full queue means that nobody takes them.
const EVENTS: usize = 1024;
/// One message. The largest that is asked for is a whole localStorage: Chromium lets it hold five million characters, of which
/// JSON may make six bytes each.
pub(super) const MESSAGE_BYTES: usize = 32 * 1024 * 1024;
/// Of this domain nothing is read, and it tells of every frame of a websocket. It is on only for what comes with it: see
/// [`super::pinned`].
const UNREAD: &str = "Network.";
/// All events that wait to be taken.
const EVENT_BYTES: usize = 2 * MESSAGE_BYTES;
/// What is kept of the buffer of a larger message.
const READ_BYTES: usize = 64 * 1024;

/// Why a browser is given up: it sent more than may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Excess {
    #[error("the browser is ended: it sent a message of more than {MESSAGE_BYTES} bytes")]
    Message,
    #[error("the browser is ended: it sent more events than could be taken")]
    Events,
    #[error("the browser is ended: its page told more than {limit} bytes at once")]
    Payload { limit: usize },
}

/// The commanding end. Cheap to clone; the connection ends when every clone is gone.
#[derive(Clone)]
pub(super) struct Cdp {
    commands: mpsc::Sender<Vec<u8>>,
    pending: Arc<Mutex<Pending>>,
    next: Arc<AtomicUsize>,
    excess: watch::Receiver<Option<Excess>>,
}

/// Calls whose answers have not come; `None` once none will.
type Pending = Option<HashMap<CallId, oneshot::Sender<Result<Value, Refusal>>>>;

/// An event, parsed as far as telling it from others takes.
#[derive(Debug)]
pub(super) struct Event {
    pub method: String,
    pub session: Option<String>,
    pub params: Value,
    /// Its share of [`EVENT_BYTES`].
    _room: Option<OwnedSemaphorePermit>,
}

impl Cdp {
    /// Speaks to a browser. The receiver ends when the browser closes its pipe, or is given up.
    pub(super) fn open(
        input: impl AsyncWrite + Unpin + Send + 'static,
        output: impl AsyncRead + Unpin + Send + 'static,
    ) -> (Self, mpsc::Receiver<Event>) {
        let (commands, to_write) = mpsc::channel(COMMANDS);
        let (events, taken) = mpsc::channel(EVENTS);
        let (given_up, excess) = watch::channel(None);
        let pending = Arc::new(Mutex::new(Some(HashMap::new())));
        let reader = Reader { pending: pending.clone(), events, room: Arc::new(Semaphore::new(EVENT_BYTES)) };
        tokio::spawn(write(input, to_write));
        tokio::spawn(async move {
            if let Err(excess) = reader.read(output).await {
                given_up.send_replace(Some(excess));
            }
        });
        (Self { commands, pending, next: Arc::default(), excess }, taken)
    }

    /// Resolves when the browser is given up, and never else.
    pub(super) fn exceeded(&self) -> impl Future<Output = Excess> + use<> {
        let mut excess = self.excess.clone();
        async move {
            let known = excess.wait_for(Option::is_some).await.ok().and_then(|excess| *excess);
            match known {
                Some(excess) => excess,
                // It ended otherwise.
                None => std::future::pending().await,
            }
        }
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

/// Without the replacement a call whose answer has half a character in it would never be answered.
fn read_message(frame: &[u8]) -> serde_json::Result<Incoming> {
    serde_json::from_slice(frame).or_else(|error| {
        let text = std::str::from_utf8(frame).map_err(|_| error)?;
        serde_json::from_str(&well_formed(text))
    })
}

struct Reader {
    pending: Arc<Mutex<Pending>>,
    events: mpsc::Sender<Event>,
    room: Arc<Semaphore>,
}

impl Reader {
    /// Until the browser closes its pipe. Dropping the senders tells everyone who waits.
    async fn read(self, output: impl AsyncRead + Unpin) -> Result<(), Excess> {
        let done = self.read_all(output).await;
        *self.pending.lock() = None;
        done
    }

    async fn read_all(&self, output: impl AsyncRead + Unpin) -> Result<(), Excess> {
        let mut output = BufReader::with_capacity(READ_BYTES, output);
        let mut frame = Vec::new();
        loop {
            frame.clear();
            frame.shrink_to(READ_BYTES);
            let read = (&mut output).take(MESSAGE_BYTES as u64 + 1).read_until(0, &mut frame).await;
            if !read.is_ok_and(|read| read > 0) {
                return Ok(());
            }
            if frame.pop() != Some(0) {
                // Else the pipe has ended within a message.
                return if frame.len() == MESSAGE_BYTES { Err(Excess::Message) } else { Ok(()) };
            }
            match read_message(&frame) {
                Ok(incoming) => self.dispatch(incoming, frame.len())?,
                Err(error) => {
                    tracing::warn!(error = %causes(&error), "the browser sent what is no message of the protocol")
                }
            }
        }
    }

    /// An event that finds no room is an error: waiting here would also keep answers from the one who has to make room.
    fn dispatch(&self, incoming: Incoming, bytes: usize) -> Result<(), Excess> {
        if let Some(id) = incoming.id {
            let waiting = self.pending.lock().as_mut().and_then(|pending| pending.remove(&id));
            if let Some(waiting) = waiting {
                let answer = incoming.error.map_or_else(|| Ok(incoming.result.unwrap_or(Value::Null)), Err);
                // Nobody waits any more for a call that was given up.
                let _ = waiting.send(answer);
            }
            return Ok(());
        }
        let Some(method) = incoming.method.filter(|method| !method.starts_with(UNREAD)) else {
            return Ok(());
        };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = self.room.clone().try_acquire_many_owned(bytes).map_err(|_| Excess::Events)?;
        let event = Event { method, session: incoming.session, params: incoming.params, _room: Some(room) };
        match self.events.try_send(event) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Excess::Events),
        }
    }
}

#[cfg(test)]
impl Event {
    /// As if a browser had sent it.
    pub(super) fn of(domain: &str, name: &str, params: Value) -> Self {
        Self { method: format!("{domain}.{name}"), session: None, params, _room: None }
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

    /// What becomes of a browser that sends this.
    async fn sends(event: &[u8], times: usize) -> (Option<Excess>, Cdp, mpsc::Receiver<Event>) {
        let (input, _browser_in) = duplex(4096);
        let (mut browser_out, output) = duplex(4096);
        let (cdp, events) = Cdp::open(input, output);
        let sending = async {
            for _ in 0..times {
                if browser_out.write_all(event).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = sending => unreachable!("it waits for its end"),
            excess = cdp.exceeded() => (Some(excess), cdp, events),
            () = tokio::time::sleep(LIMIT) => (None, cdp, events),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_browser_that_sends_a_message_without_an_end_is_given_up() {
        let (excess, cdp, mut events) = sends(&[b'x'; 1024 * 1024], 64).await;
        assert_eq!(excess, Some(Excess::Message));
        assert!(events.recv().await.is_none());
        let late = cdp.call("asking", None, GetVersionParams::default(), LIMIT).await;
        assert!(matches!(late, Err(EngineError::Gone)));
    }

    #[tokio::test(start_paused = true)]
    async fn events_that_nobody_takes_are_bounded_by_their_number_and_by_their_size() {
        let small = b"{\"method\":\"A.b\"}\0";
        assert_eq!(sends(small, EVENTS).await.0, None);
        assert_eq!(sends(small, EVENTS + 1).await.0, Some(Excess::Events));
        assert_eq!(sends(b"{\"method\":\"Network.x\"}\0", EVENTS + 1).await.0, None, "of no interest");
        let mut large =
            format!("{{\"method\":\"A.b\",\"params\":\"{}\"}}", "x".repeat(MESSAGE_BYTES / 2)).into_bytes();
        large.push(0);
        let (excess, _cdp, mut events) = sends(&large, 8).await;
        assert_eq!(excess, Some(Excess::Events));
        let mut waiting = 0;
        while events.recv().await.is_some() {
            waiting += 1;
        }
        assert_eq!(waiting, 3, "there was room for so many");
    }
}

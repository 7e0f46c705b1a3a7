//! One page's WebSocket: carries frames between it and the world, rotates its code, and keeps the time of what is to happen
//! on the connection later.

use std::collections::BTreeMap;
use std::future::pending;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use tokio::time::{Instant, sleep_until};

use crate::app_state::AppState;
use crate::clock::UnixMillis;
use crate::config::Timing;
use crate::journal::ConnectionId;
use crate::later::{Due, Later};
use crate::outlet::{Inlet, Outlet};
use crate::wire::{FromPage, ToPage};

const LARGEST_FRAME: usize = 1 << 20;
const FRAMES_AT_ONCE: usize = 256;
/// More than a page can refuse of one delivery window, and ask for meanwhile.
const TIMERS: usize = 4096;

pub async fn upgrade(State(state): State<AppState>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(LARGEST_FRAME).on_upgrade(|socket| Session::serve(state, socket))
}

struct Session {
    state: AppState,
    id: ConnectionId,
    timing: Timing,
    rotate_at: Option<Instant>,
    /// By the time at which it is due, and in the order of asking.
    later: BTreeMap<(Instant, u64), Due>,
    last_timer: u64,
}

impl Session {
    async fn serve(state: AppState, mut socket: WebSocket) {
        let (outlet, inlet) = Outlet::new();
        let id = state.world.lock().connect(outlet);
        let timing = state.timing;
        let mut session = Self { state, id, timing, rotate_at: None, later: BTreeMap::new(), last_timer: 0 };
        session.run(&mut socket, inlet).await;
        // Recorded before the socket is dropped: the page opens its next connection when it has seen this one close.
        session.state.world.lock().disconnect(id, UnixMillis::now());
    }

    async fn run(&mut self, socket: &mut WebSocket, mut inlet: Inlet) {
        let mut frames = Vec::new();
        loop {
            tokio::select! {
                () = inlet.close.notified() => return,
                count = inlet.frames.recv_many(&mut frames, FRAMES_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    for text in encode(frames.drain(..)) {
                        tokio::select! {
                            sent = socket.send(Message::text(text)) => if sent.is_err() { return },
                            () = inlet.close.notified() => return,
                        }
                    }
                }
                received = socket.recv() => match received {
                    Some(Ok(Message::Text(text))) => if !self.received(&text) { return },
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => return,
                },
                () = at(self.next_timer()) => self.timer_fired(Instant::now()),
            }
        }
    }

    /// False when the frame is none: a page that speaks another protocol is cut off.
    fn received(&mut self, text: &str) -> bool {
        let frame = match serde_json::from_str::<FromPage>(text) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::warn!(%error, "a page sent a frame that cannot be read, closing its connection");
                return false;
            }
        };
        let now = Instant::now();
        let state = self.state.clone();
        let mut world = state.world.lock();
        match frame {
            FromPage::Hello { .. } => {
                world.frame(self.id, frame, UnixMillis::now());
                self.rotate_at = world.show_code(self.id).then(|| now + self.timing.first_code);
            }
            FromPage::RefreshCode => {
                self.rotate_at = world.show_code(self.id).then(|| now + self.timing.code_every);
            }
            frame => {
                for Later { after, what } in world.frame(self.id, frame, UnixMillis::now()) {
                    if after.is_zero() {
                        world.due(self.id, what);
                    } else {
                        self.last_timer += 1;
                        self.later.insert((now + after, self.last_timer), what);
                    }
                }
            }
        }
        self.later.len() <= TIMERS
    }

    fn next_timer(&self) -> Option<Instant> {
        let next = self.later.keys().next().map(|(at, _)| *at);
        self.rotate_at.into_iter().chain(next).min()
    }

    fn timer_fired(&mut self, now: Instant) {
        let mut world = self.state.world.lock();
        if self.rotate_at.is_some_and(|at| at <= now) {
            self.rotate_at = world.show_code(self.id).then(|| now + self.timing.code_every);
        }
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            world.due(self.id, entry.remove());
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

/// Frames as text. Neighbouring messages travel in one frame: under load the page then handles them together.
fn encode(frames: impl Iterator<Item = ToPage>) -> Vec<String> {
    let mut merged: Vec<ToPage> = Vec::new();
    for frame in frames {
        match (merged.last_mut(), frame) {
            (Some(ToPage::Messages { messages }), ToPage::Messages { messages: more }) => {
                messages.extend(more)
            }
            (_, frame) => merged.push(frame),
        }
    }
    merged.iter().filter_map(|frame| serde_json::to_string(frame).ok()).collect()
}

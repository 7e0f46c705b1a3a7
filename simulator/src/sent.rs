//! What the server received from a phone's device: every message id once, and every time that its page sent it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;
use crate::journal::ConnectionId;

const REMEMBERED: usize = 100_000;
const RESENDS_REMEMBERED: usize = 100;

#[derive(Debug, Default)]
pub struct Sent {
    messages: VecDeque<SentMessage>,
    indexes: HashMap<String, u64>,
    last_index: u64,
    /// Messages of which no send has arrived so far, by id.
    undelivered: HashMap<String, SentMessage>,
}

/// One send of a page, as the server takes it.
#[derive(Debug, Clone)]
pub struct Frame {
    pub id: String,
    pub to: String,
    pub body: String,
    pub at: UnixMillis,
    pub connection: ConnectionId,
    pub life: String,
    pub cause: Cause,
    /// Its recipient has it, and can read it.
    pub delivered: bool,
    /// The page is told that the server has it.
    pub acknowledged: bool,
}

/// Why a page sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody asked it to.
    #[default]
    Asked,
    /// It was asked to while there was no connection, or by an earlier life, and had no acknowledgement.
    Unsent,
    /// The recipient could not decrypt the send before.
    Retry,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SentMessage {
    /// Counts the messages of the phone from 1; what `after` of `/control/sent` refers to.
    pub index: u64,
    pub to: String,
    pub body: String,
    pub id: String,
    /// When it arrived.
    pub at_ms: UnixMillis,
    /// The connection and the life of the page that sent it first.
    pub connection: ConnectionId,
    pub life: String,
    /// Each further send of the same id; the newest 100.
    pub resends: VecDeque<Resend>,
    /// The lives of the page that have sent it, and when each had its last acknowledgement.
    #[serde(skip)]
    lives: BTreeMap<String, Option<UnixMillis>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resend {
    pub at_ms: UnixMillis,
    pub connection: ConnectionId,
    pub life: String,
    pub cause: Cause,
    /// A send before it had arrived.
    pub delivered_before: bool,
    /// The same life of the page had sent it before.
    pub sent_by_life: bool,
    /// A send before it was acknowledged, to whichever life.
    pub acknowledged_before: bool,
    /// When the same life was last told that the server has one.
    pub acknowledged_to_life_at_ms: Option<UnixMillis>,
}

impl Sent {
    pub fn record(&mut self, frame: Frame) {
        let index = self.indexes.get(&frame.id).copied();
        let known = match index {
            Some(index) => self.at(index),
            None => self.undelivered.get_mut(&frame.id),
        };
        match known {
            Some(known) => known.again(&frame, index.is_some()),
            None => {
                // Nothing of a test's size comes near; a page that sends what never arrives is not kept for good.
                if self.undelivered.len() >= REMEMBERED {
                    self.undelivered.clear();
                }
                self.undelivered.insert(frame.id.clone(), SentMessage::first(&frame));
            }
        }
        if frame.delivered
            && let Some(message) = self.undelivered.remove(&frame.id)
        {
            self.deliver(SentMessage { at_ms: frame.at, ..message });
        }
    }

    fn deliver(&mut self, message: SentMessage) {
        self.last_index += 1;
        self.indexes.insert(message.id.clone(), self.last_index);
        self.messages.push_back(SentMessage { index: self.last_index, ..message });
        if self.messages.len() > REMEMBERED
            && let Some(oldest) = self.messages.pop_front()
        {
            self.indexes.remove(&oldest.id);
        }
    }

    fn at(&mut self, index: u64) -> Option<&mut SentMessage> {
        let first = self.messages.front()?.index;
        self.messages.get_mut(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    pub fn after(&self, index: u64) -> Vec<SentMessage> {
        let start = self.messages.partition_point(|message| message.index <= index);
        self.messages.range(start..).cloned().collect()
    }
}

impl SentMessage {
    fn first(frame: &Frame) -> Self {
        let Frame { id, to, body, at, connection, life, .. } = frame.clone();
        let lives = BTreeMap::from([(life.clone(), frame.acknowledged.then_some(at))]);
        Self { index: 0, to, body, id, at_ms: at, connection, life, resends: VecDeque::new(), lives }
    }

    fn again(&mut self, frame: &Frame, delivered_before: bool) {
        let of_life = self.lives.get(&frame.life).copied();
        self.resends.push_back(Resend {
            at_ms: frame.at,
            connection: frame.connection,
            life: frame.life.clone(),
            cause: frame.cause,
            delivered_before,
            sent_by_life: of_life.is_some(),
            acknowledged_before: self.lives.values().any(Option::is_some),
            acknowledged_to_life_at_ms: of_life.flatten(),
        });
        if self.resends.len() > RESENDS_REMEMBERED {
            self.resends.pop_front();
        }
        let acknowledged_at = frame.acknowledged.then_some(frame.at).or(of_life.flatten());
        self.lives.insert(frame.life.clone(), acknowledged_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: &str, life: &str, delivered: bool, acknowledged: bool) -> Frame {
        Frame {
            id: id.to_owned(),
            to: "1@c.us".to_owned(),
            body: "hi".to_owned(),
            at: UnixMillis(1),
            connection: ConnectionId(1),
            life: life.to_owned(),
            cause: Cause::Asked,
            delivered,
            acknowledged,
        }
    }

    fn sent(frames: &[Frame]) -> Vec<SentMessage> {
        let mut sent = Sent::default();
        for frame in frames {
            sent.record(frame.clone());
        }
        sent.after(0)
    }

    #[test]
    fn the_same_id_is_listed_once_with_its_resends() {
        let frames = ["A", "B", "A"].map(|id| frame(id, "x", true, true));
        let listed: Vec<_> =
            sent(&frames).iter().map(|message| (message.index, message.resends.len())).collect();
        assert_eq!(listed, [(1, 1), (2, 0)]);
    }

    #[test]
    fn a_resend_is_told_by_life_and_by_acknowledgement() {
        let frames = [
            frame("A", "x", true, false),
            frame("A", "x", true, true),
            frame("A", "x", true, true),
            frame("A", "y", true, true),
            frame("A", "y", true, true),
        ];
        let [message] = sent(&frames).try_into().unwrap();
        let told = message.resends.iter().map(|resend| {
            (resend.sent_by_life, resend.acknowledged_before, resend.acknowledged_to_life_at_ms.is_some())
        });
        let expected = [(true, false, false), (true, true, true), (false, true, false), (true, true, true)];
        assert!(told.eq(expected), "{:?}", message.resends);
    }

    #[test]
    fn what_has_not_arrived_is_not_listed_and_counts_once_it_has() {
        let mut all = Sent::default();
        all.record(frame("A", "x", false, true));
        assert_eq!(all.after(0), []);
        all.record(frame("B", "x", true, true));
        all.record(Frame { at: UnixMillis(9), ..frame("A", "x", true, true) });
        let [b, a] = all.after(0).try_into().unwrap();
        assert_eq!((b.index, a.index, a.at_ms), (1, 2, UnixMillis(9)));
        assert!(!a.resends[0].delivered_before);
        assert_eq!(all.after(1).len(), 1);
    }
}

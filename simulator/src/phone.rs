//! A phone: the device linked to it, the messages that wait for that device, and what the device has sent.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use crate::clock::UnixMillis;
use crate::delivery::Queue;
use crate::journal::ConnectionId;

const REMEMBERED: usize = 100_000;

#[derive(Debug, Default)]
pub struct Phone {
    pub pushname: String,
    pub device: Option<Device>,
    /// The connection in force: the newest that logged in, if it is still there.
    pub current: Option<ConnectionId>,
    pub queue: Queue,
    pub sent: Sent,
    /// Logins of its device are turned away until then.
    down_until: Option<UnixMillis>,
    links: u32,
}

/// A linked device. A phone has one at a time: linking another unlinks it (the real limit is four).
#[derive(Debug)]
pub struct Device {
    pub id: String,
    pub token: String,
    /// The ratchet as the server has last seen it.
    pub counter: u64,
}

impl Phone {
    pub fn link(&mut self, phone: &str, pushname: String) -> &Device {
        self.links += 1;
        let [a, b]: [u64; 2] = rand::random();
        self.unlink();
        self.pushname = pushname;
        let id = format!("{phone}:{}", self.links);
        self.device.insert(Device { id, token: format!("{a:016x}{b:016x}"), counter: 0 })
    }

    /// What waited for the device goes with it: another one starts afresh.
    pub fn unlink(&mut self) {
        self.device = None;
        self.queue = Queue::default();
    }

    /// The page has written more to its ratchet.
    pub fn advance(&mut self, counter: u64) {
        if let Some(device) = &mut self.device {
            device.counter = device.counter.max(counter);
        }
    }

    pub fn take_down(&mut self, now: UnixMillis, period: Duration) {
        self.down_until = Some(now.plus(period));
    }

    pub fn is_down(&self, now: UnixMillis) -> bool {
        self.down_until.is_some_and(|until| now < until)
    }
}

/// What the server received from a phone's device: every message id once.
#[derive(Debug, Default)]
pub struct Sent {
    messages: VecDeque<SentMessage>,
    indexes: HashMap<String, u64>,
    last_index: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SentMessage {
    /// Counts the messages of the phone from 1; what `after` of `/control/sent` refers to.
    pub index: u64,
    pub to: String,
    pub body: String,
    pub id: String,
    pub at_ms: UnixMillis,
    /// How often the page sent the same id again.
    pub resends: u64,
}

impl Sent {
    pub fn record(&mut self, to: String, body: String, id: String, now: UnixMillis) {
        if let Some(known) = self.indexes.get(&id).copied().and_then(|index| self.at(index)) {
            known.resends += 1;
            return;
        }
        self.last_index += 1;
        self.indexes.insert(id.clone(), self.last_index);
        let message = SentMessage { index: self.last_index, to, body, id, at_ms: now, resends: 0 };
        self.messages.push_back(message);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_id_is_listed_once_and_its_resends_are_counted() {
        let mut sent = Sent::default();
        for id in ["true_1@c.us_A", "true_1@c.us_B", "true_1@c.us_A"] {
            sent.record("1@c.us".to_owned(), "hi".to_owned(), id.to_owned(), UnixMillis(1));
        }
        let resends: Vec<_> = sent.after(0).iter().map(|message| (message.index, message.resends)).collect();
        assert_eq!(resends, [(1, 1), (2, 0)]);
        assert_eq!(sent.after(1).len(), 1);
        assert_eq!(sent.after(2).len(), 0);
    }
}

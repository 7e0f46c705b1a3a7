//! A phone: the device linked to it, the messages that wait for that device, and what the device has sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::UnixMillis;
use crate::delivery::Queue;
use crate::hardness::Hardness;
use crate::journal::ConnectionId;
use crate::sent::Sent;

#[derive(Debug, Default)]
pub struct Phone {
    pub hardness: Hardness,
    pub pushname: String,
    pub device: Option<Device>,
    /// The connection in force: the newest that logged in, if it is still there.
    pub current: Option<ConnectionId>,
    pub queue: Queue,
    pub sent: Sent,
    /// The device has not been given its history.
    pub history_due: bool,
    /// The ids of sends that a recipient could not decrypt and wants once more.
    pub retries: BTreeSet<String>,
    /// Receipts that no page has been told of: the stanza id of the message, and its chat.
    pub receipts: BTreeMap<String, String>,
    /// How often, and how long after it has logged in, a page of it is still to be loaded anew.
    pub reloads: u64,
    pub reload_after_ms: u64,
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
    pub fn new(hardness: Hardness) -> Self {
        Self { hardness, ..Self::default() }
    }

    pub fn link(&mut self, phone: &str, pushname: String) -> &Device {
        self.links += 1;
        let [a, b]: [u64; 2] = rand::random();
        self.unlink();
        self.pushname = pushname;
        self.history_due = true;
        let id = format!("{phone}:{}", self.links);
        self.device.insert(Device { id, token: format!("{a:016x}{b:016x}"), counter: 0 })
    }

    /// What waited for the device goes with it: another one starts afresh.
    pub fn unlink(&mut self) {
        self.device = None;
        self.queue = Queue::default();
        self.retries.clear();
        self.receipts.clear();
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

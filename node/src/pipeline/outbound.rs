//! Replies on their way out: a reply of a chat at a time, many chats at once. Pure, like [`super::inbound`].
//!
//! A reply leaves its chat's lane when WhatsApp has acknowledged it, not when that is durable: should this process
//! die in between, the next owner sends it again under the same id, and the page finds the first one (I6).

use std::{collections::HashSet, mem};

use roost_store::Outbound;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Now, inbound::BATCH, lanes::Lanes};

/// Being sent at the same time.
const SENDING: usize = 32;
/// With this many replies waiting nothing more is answered until some are sent. A batch of answers may go above it.
const QUEUED: usize = 512;

/// What is to be done next.
#[derive(Debug)]
pub(super) enum OutboundJob {
    /// Pending rows with an id above `after`, at most [`BATCH`].
    Read {
        after: i64,
    },
    Send(Reply),
    MarkSent(Vec<i64>),
}

/// A reply on its way.
#[derive(Debug)]
pub(super) struct Reply {
    pub row: Outbound,
    /// This process or an earlier owner may have sent it already; the page looks for that first.
    pub maybe_sent: bool,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    lanes: Lanes<Reply>,
    /// Every row in the lanes, being sent, or sent and not marked: a completion made again may name one of these.
    known: HashSet<i64>,
    /// At the start: rows of an earlier owner may be pending above this id. Nothing is sent or queued before they are
    /// known, so that they go first.
    unread: Option<i64>,
    reading: bool,
    sending: usize,
    sent: Vec<i64>,
    marking: Vec<i64>,
}

impl Outbox {
    /// Starts with reading what an earlier owner left pending.
    pub fn new() -> Self {
        Self { unread: Some(0), ..Self::default() }
    }

    /// Whether more replies may be made: all pending ones are known, so that new ones go behind them, and not too many.
    pub fn has_room(&self) -> bool {
        self.unread.is_none() && self.lanes.len() < QUEUED
    }

    /// The next job, or none for now.
    pub fn next(&mut self, now: Now, sending: bool) -> Option<OutboundJob> {
        if self.marking.is_empty() && !self.sent.is_empty() {
            let rest = self.sent.split_off(self.sent.len().min(BATCH));
            self.marking = mem::replace(&mut self.sent, rest);
            return Some(OutboundJob::MarkSent(self.marking.clone()));
        }
        if let Some(after) = self.unread {
            let idle = !mem::replace(&mut self.reading, true);
            return idle.then_some(OutboundJob::Read { after });
        }
        if sending && self.sending < SENDING {
            let reply = self.lanes.take(now)?;
            self.sending += 1;
            return Some(OutboundJob::Send(reply));
        }
        None
    }

    /// Pending rows, in the order of their ids; fewer than [`BATCH`] means that there are no more.
    pub fn read(&mut self, rows: Vec<Outbound>, now: Now) {
        self.reading = false;
        self.unread = if rows.len() >= BATCH { rows.last().map(|row| row.id) } else { None };
        self.queue(rows, true, now);
    }

    /// Replies have become durable, in the order of their ids. Only an owner sends, so they were not sent before.
    pub fn completed(&mut self, rows: Vec<Outbound>, now: Now) {
        self.queue(rows, false, now);
    }

    fn queue(&mut self, rows: Vec<Outbound>, maybe_sent: bool, now: Now) {
        for row in rows {
            if self.known.insert(row.id) {
                let (chat, due) = (row.chat.clone(), now + row.due_in);
                self.lanes.push(&chat, due, Reply { row, maybe_sent });
            }
        }
    }

    pub fn sent(&mut self, reply: &Reply) {
        self.sending -= 1;
        self.lanes.finish(&reply.row.chat);
        self.sent.push(reply.row.id);
    }

    /// The replies of the last MarkSent are done with.
    pub fn marked(&mut self) {
        for id in mem::take(&mut self.marking) {
            self.known.remove(&id);
        }
    }

    /// A reply was not sent and is tried again; its chat waits for it.
    pub fn retry(&mut self, mut reply: Reply, due: Now) {
        self.sending -= 1;
        reply.maybe_sent = true;
        let chat = reply.row.chat.clone();
        self.lanes.put_back(&chat, due, reply);
    }

    /// A reply was given up.
    pub fn buried(&mut self, reply: &Reply) {
        self.sending -= 1;
        self.lanes.finish(&reply.row.chat);
        self.known.remove(&reply.row.id);
    }

    /// When a reply that waits for another try is due.
    pub fn next_due(&self) -> Option<Now> {
        self.lanes.next_due()
    }
}

/// The id of a reply, chosen before it is sent and the same whenever and by whomever the same message is answered:
/// `true_<chat>_3EB0` and 18 hexadecimal digits, the form of WhatsApp Web's own ids.
pub fn reply_id(tenant: Uuid, inbound_whatsapp_id: &str, chat: &str, seq: i32) -> String {
    let digest = Sha256::digest(format!("{tenant}|{inbound_whatsapp_id}|{seq}"));
    format!("true_{chat}_3EB0{}", hex::encode_upper(&digest[..9]))
}

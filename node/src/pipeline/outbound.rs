//! Replies on their way out: a reply of a chat at a time, many chats at once, at the pace of the reply limit. Pure, like
//! [`super::inbound`].
//!
//! At most [`CLAIMED`] are claimed and not sent: those that a Complete claimed because they could go at once, and waves of
//! those that could not. So after a crash no others are in doubt: the next owner has the page look for these alone before
//! any of them may be sent.
//!
//! A reply leaves its chat's queue when WhatsApp has acknowledged it, not when that is durable: should this process
//! die in between, the next owner's page finds it (I6).

use std::{collections::HashSet, iter, mem, time::Duration};

use roost_model::sent_message_id;
use roost_store::{Completion, Outbound};
use uuid::Uuid;

use super::{
    chat_queues::ChatQueues,
    context::{BATCH, PipelineTime},
    send_judge::Doubt,
    send_pace::SendPace,
};

/// Being sent at the same time.
const SENDING: usize = 32;
/// Claimed and not sent.
const CLAIMED: usize = 128;
/// While other replies are on their way, the sent ones wait so long for company before they are marked: nobody waits for
/// the mark, and the reply would share the cores with it.
const MARK_WAIT: Duration = Duration::from_millis(50);
/// With this many replies waiting nothing more is answered until some are sent. A batch of answers may go above it.
const QUEUED: usize = 512;

/// What is to be done next.
#[derive(Debug)]
pub(super) enum OutboundJob {
    /// Pending rows with an id above `after`, at most [`BATCH`].
    Read { after: i64 },
    /// To be claimed, and then sent.
    Claim(Vec<Reply>),
    /// Of different chats, to be sent together.
    Send(Vec<Reply>),
    MarkSent {
        ids: Vec<i64>,
        /// Those of them that were sent again.
        resent: Vec<i64>,
    },
}

/// A reply on its way.
#[derive(Debug)]
pub(super) struct Reply {
    pub row: Outbound,
    /// This process or an earlier owner may have sent it already; the page looks for that first.
    pub maybe_sent: bool,
    /// What came of that is lost with an earlier owner or a browser, so that it is only looked for until the page has
    /// answered.
    pub in_doubt: bool,
    /// It was in doubt, the page did not know of it, and it is to be sent all the same.
    pub resent: bool,
    /// Sends of it were not acknowledged.
    pub doubt: Option<Doubt>,
    /// The pace has let it through once; further tries are the same reply.
    paced: bool,
}

impl Reply {
    fn new(row: Outbound, is_ours: bool) -> Self {
        let in_doubt = row.claimed && !is_ours;
        let maybe_sent = in_doubt || row.redriven;
        Self { row, maybe_sent, in_doubt, resent: false, doubt: None, paced: false }
    }
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    queues: ChatQueues<Reply>,
    /// Every row in the queues, being sent, or sent and not marked: a completion made again may name one of these.
    known: HashSet<i64>,
    /// At the start: rows of an earlier owner may be pending above this id. Nothing is sent or queued before they are
    /// known, so that they go first.
    unread: Option<i64>,
    reading: bool,
    /// There may be such rows anywhere, also among those that were done with.
    look_again: bool,
    /// Rows that were marked or given up while others were read, which may still tell of them as waiting.
    settled: Vec<i64>,
    pace: SendPace,
    /// How many of the known ones are claimed.
    claimed: usize,
    /// Claimed by the Complete under way.
    completing: usize,
    /// Taken from their queues, to be claimed next.
    to_claim: Vec<Reply>,
    sending: usize,
    sent: Vec<i64>,
    /// Those of `sent` that were sent again.
    resent: Vec<i64>,
    /// When the first of `sent` is to be marked at the latest.
    mark_by: PipelineTime,
    marking: Vec<i64>,
}

impl Outbox {
    /// Starts with reading what an earlier owner left pending.
    pub fn new(pace: SendPace) -> Self {
        Self { unread: Some(0), pace, ..Self::default() }
    }

    /// The operator changed the reply limit.
    pub fn set_pace(&mut self, per_window: u32) {
        self.pace.set(per_window);
    }

    /// Some that were given up may be pending again: everything is read, once what is being read is here.
    pub fn look_again(&mut self) {
        if self.reading {
            self.look_again = true;
        } else {
            self.unread = Some(0);
        }
    }

    /// Whether more replies may be made: all pending ones are known, so that new ones go behind them, and not too many.
    pub fn has_room(&self) -> bool {
        self.unread.is_none() && self.queues.len() < QUEUED
    }

    /// The next job, or none for now.
    pub fn next(&mut self, now: PipelineTime, sending: bool) -> Option<OutboundJob> {
        if self.marking.is_empty() && self.may_mark(now) {
            let rest = self.sent.split_off(self.sent.len().min(BATCH));
            self.marking = mem::replace(&mut self.sent, rest);
            let (resent, rest) = self.resent.iter().partition(|id| self.marking.contains(id));
            self.resent = rest;
            return Some(OutboundJob::MarkSent { ids: self.marking.clone(), resent });
        }
        if let Some(after) = self.unread {
            let idle = !mem::replace(&mut self.reading, true);
            return idle.then_some(OutboundJob::Read { after });
        }
        if sending && self.to_claim.is_empty() {
            let (claimed, unclaimed): (Vec<_>, Vec<_>) =
                iter::from_fn(|| self.take(now)).partition(|reply| reply.row.claimed);
            self.to_claim = unclaimed;
            if !claimed.is_empty() {
                return Some(OutboundJob::Send(claimed));
            }
        }
        let wave = mem::take(&mut self.to_claim);
        (!wave.is_empty()).then_some(OutboundJob::Claim(wave))
    }

    /// The next reply for which there is room everywhere.
    fn take(&mut self, now: PipelineTime) -> Option<Reply> {
        if self.sending >= SENDING {
            return None;
        }
        let is_open = self.pace.room(now) > 0;
        let may_claim = self.claimed + self.completing < CLAIMED;
        let may_go = |reply: &Reply| {
            let is_paced = reply.paced || !reply.row.counted || is_open;
            is_paced && (reply.row.claimed || may_claim)
        };
        let mut reply = self.queues.take_if(now, may_go)?;
        if !mem::replace(&mut reply.paced, true) && reply.row.counted {
            self.pace.sent(&reply.row.chat, now);
        }
        self.claimed += usize::from(!reply.row.claimed);
        self.sending += 1;
        Some(reply)
    }

    /// Claims those of the answers that may go as soon as they are durable.
    pub fn claim(&mut self, completions: &mut [Completion], now: PipelineTime, sending: bool) {
        if !sending || !self.has_room() {
            return;
        }
        let room = self.pace.room(now).saturating_sub(self.queues.len());
        let unclaimed = CLAIMED.saturating_sub(self.claimed);
        let replies = completions.iter_mut().flat_map(|completion| &mut completion.replies);
        for reply in replies.take(room.min(unclaimed)) {
            reply.claimed = true;
            self.completing += 1;
        }
    }

    fn may_mark(&self, now: PipelineTime) -> bool {
        let waits = self.queues.len() > 0 && self.sent.len() < BATCH && now < self.mark_by;
        !self.sent.is_empty() && !waits
    }

    /// Nothing waits to be marked: what has been sent is durable, or about to be.
    pub fn is_marked(&self) -> bool {
        self.sent.is_empty()
    }

    /// Pending rows, in the order of their ids; fewer than [`BATCH`] means that there are no more.
    pub fn read(&mut self, rows: Vec<Outbound>, now: PipelineTime) {
        self.reading = false;
        self.unread = if rows.len() >= BATCH { rows.last().map(|row| row.id) } else { None };
        self.queue(rows, false, now);
        if mem::take(&mut self.look_again) {
            self.unread = Some(0);
        }
        for id in mem::take(&mut self.settled) {
            self.known.remove(&id);
        }
    }

    /// The row does not wait any more, and that is durable.
    fn settle(&mut self, id: i64) {
        if self.reading {
            self.settled.push(id);
        } else {
            self.known.remove(&id);
        }
    }

    /// Replies have become durable, in the order of their ids. Only an owner sends, so they were not sent before.
    pub fn completed(&mut self, rows: Vec<Outbound>, now: PipelineTime) {
        self.completing = 0;
        self.queue(rows, true, now);
    }

    /// Of those that are not ours alone the claimed ones may have been sent.
    fn queue(&mut self, rows: Vec<Outbound>, is_ours: bool, now: PipelineTime) {
        for row in rows {
            if self.known.insert(row.id) {
                let (chat, due) = (row.chat.clone(), now + row.due_in);
                self.claimed += usize::from(row.claimed);
                self.queues.push(&chat, due, Reply::new(row, is_ours));
            }
        }
    }

    pub fn sent(&mut self, reply: &Reply, now: PipelineTime) {
        self.sending -= 1;
        self.claimed -= 1;
        self.queues.finish(&reply.row.chat);
        if self.sent.is_empty() {
            self.mark_by = now + MARK_WAIT;
        }
        self.sent.push(reply.row.id);
        self.resent.extend(reply.resent.then_some(reply.row.id));
    }

    /// The replies of the last MarkSent are done with.
    pub fn marked(&mut self) {
        for id in mem::take(&mut self.marking) {
            self.settle(id);
        }
    }

    /// A reply was not sent and is tried again; its chat waits for it.
    pub fn retry(&mut self, mut reply: Reply, due: PipelineTime) {
        self.sending -= 1;
        reply.maybe_sent = true;
        let chat = reply.row.chat.clone();
        self.queues.put_back(&chat, due, reply);
    }

    /// A claimed reply that could not be tried: there is no page any more that sends.
    pub fn not_tried(&mut self, reply: Reply, due: PipelineTime) {
        self.sending -= 1;
        let chat = reply.row.chat.clone();
        self.queues.put_back(&chat, due, reply);
    }

    /// A reply was given up.
    pub fn dead_lettered(&mut self, reply: &Reply) {
        self.sending -= 1;
        self.claimed -= 1;
        self.queues.finish(&reply.row.chat);
        self.settle(reply.row.id);
    }

    /// When [`Outbox::next`] has a reply to send or a mark to make that it does not have now; `None` while that takes more
    /// than time.
    pub fn next_due(&self, sending: bool) -> Option<PipelineTime> {
        let mark_by = (self.marking.is_empty() && !self.sent.is_empty()).then_some(self.mark_by);
        let may_send = sending && self.unread.is_none() && self.sending < SENDING;
        let paced = self.pace.opens_at().filter(|_| may_send && self.queues.has_ready());
        [self.queues.next_due().filter(|_| may_send), paced, mark_by].into_iter().flatten().min()
    }
}

/// The id of a reply, chosen before it is sent and the same whenever and by whomever the same message is answered.
pub fn reply_id(tenant: Uuid, inbound_whatsapp_id: &str, chat: &str, seq: i32) -> String {
    sent_message_id(chat, &format!("{tenant}|{inbound_whatsapp_id}|{seq}"))
}

#[cfg(test)]
mod tests;

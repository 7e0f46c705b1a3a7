//! Replies on their way out: a reply of a chat at a time, many chats at once. Pure, like [`super::inbound`].
//!
//! A reply leaves its chat's queue when WhatsApp has acknowledged it, not when that is durable: should this process
//! die in between, the next owner sends it again under the same id, and the page finds the first one (I6).

use std::{collections::HashSet, iter, mem, time::Duration};

use roost_store::Outbound;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    chat_queues::ChatQueues,
    context::{BATCH, PipelineTime},
    send_judge::Doubt,
};

/// Being sent at the same time.
const SENDING: usize = 32;
/// While other replies are on their way, the sent ones wait so long for company before they are marked: nobody waits for
/// the mark, and the reply would share the cores with it.
const MARK_WAIT: Duration = Duration::from_millis(50);
/// With this many replies waiting nothing more is answered until some are sent. A batch of answers may go above it.
const QUEUED: usize = 512;

/// What is to be done next.
#[derive(Debug)]
pub(super) enum OutboundJob {
    /// Pending rows with an id above `after`, at most [`BATCH`].
    Read {
        after: i64,
    },
    /// Of different chats, to be sent together.
    Send(Vec<Reply>),
    MarkSent(Vec<i64>),
}

/// A reply on its way.
#[derive(Debug)]
pub(super) struct Reply {
    pub row: Outbound,
    /// This process or an earlier owner may have sent it already; the page looks for that first.
    pub maybe_sent: bool,
    /// Sends of it were not acknowledged.
    pub doubt: Option<Doubt>,
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
    sending: usize,
    sent: Vec<i64>,
    /// When the first of `sent` is to be marked at the latest.
    mark_by: PipelineTime,
    marking: Vec<i64>,
}

impl Outbox {
    /// Starts with reading what an earlier owner left pending.
    pub fn new() -> Self {
        Self { unread: Some(0), ..Self::default() }
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
            return Some(OutboundJob::MarkSent(self.marking.clone()));
        }
        if let Some(after) = self.unread {
            let idle = !mem::replace(&mut self.reading, true);
            return idle.then_some(OutboundJob::Read { after });
        }
        if !sending {
            return None;
        }
        let room = SENDING - self.sending;
        let replies: Vec<_> = iter::from_fn(|| self.queues.take(now)).take(room).collect();
        self.sending += replies.len();
        (!replies.is_empty()).then_some(OutboundJob::Send(replies))
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
        self.queue(rows, true, now);
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
        self.queue(rows, false, now);
    }

    fn queue(&mut self, rows: Vec<Outbound>, maybe_sent: bool, now: PipelineTime) {
        for row in rows {
            if self.known.insert(row.id) {
                let (chat, due) = (row.chat.clone(), now + row.due_in);
                self.queues.push(&chat, due, Reply { row, maybe_sent, doubt: None });
            }
        }
    }

    pub fn sent(&mut self, reply: &Reply, now: PipelineTime) {
        self.sending -= 1;
        self.queues.finish(&reply.row.chat);
        if self.sent.is_empty() {
            self.mark_by = now + MARK_WAIT;
        }
        self.sent.push(reply.row.id);
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

    /// A reply was given up.
    pub fn dead_lettered(&mut self, reply: &Reply) {
        self.sending -= 1;
        self.queues.finish(&reply.row.chat);
        self.settle(reply.row.id);
    }

    /// When [`Outbox::next`] has a reply to send or a mark to make that it does not have now; `None` while that takes more
    /// than time.
    pub fn next_due(&self, sending: bool) -> Option<PipelineTime> {
        let mark_by = (self.marking.is_empty() && !self.sent.is_empty()).then_some(self.mark_by);
        let may_send = sending && self.unread.is_none() && self.sending < SENDING;
        [self.queues.next_due().filter(|_| may_send), mark_by].into_iter().flatten().min()
    }
}

/// The id of a reply, chosen before it is sent and the same whenever and by whomever the same message is answered:
/// `true_<chat>_3EB0` and 18 hexadecimal digits, the form of WhatsApp Web's own ids.
pub fn reply_id(tenant: Uuid, inbound_whatsapp_id: &str, chat: &str, seq: i32) -> String {
    let digest = Sha256::digest(format!("{tenant}|{inbound_whatsapp_id}|{seq}"));
    format!("true_{chat}_3EB0{}", hex::encode_upper(&digest[..9]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: PipelineTime = Duration::from_secs(60);

    fn row(id: i64, chat: &str) -> Outbound {
        Outbound {
            id,
            inbound_id: id,
            seq: 0,
            whatsapp_id: format!("true_{chat}_{id}"),
            chat: chat.into(),
            body: String::new(),
            attempts: 0,
            due_in: Duration::ZERO,
        }
    }

    /// An outbox that has read what an earlier owner left: nothing.
    fn outbox() -> Outbox {
        let mut outbox = Outbox::new();
        assert!(matches!(outbox.next(NOW, true), Some(OutboundJob::Read { after: 0 })));
        outbox.read(Vec::new(), NOW);
        outbox
    }

    fn send(outbox: &mut Outbox) -> Vec<Reply> {
        match outbox.next(NOW, true) {
            Some(OutboundJob::Send(replies)) => replies,
            job => panic!("{job:?} instead of a send"),
        }
    }

    #[test]
    fn what_is_ready_goes_together_and_one_of_a_chat() {
        let mut outbox = outbox();
        outbox.completed(vec![row(1, "a"), row(2, "a"), row(3, "b")], NOW);
        let together = send(&mut outbox);
        assert_eq!(together.iter().map(|reply| reply.row.id).collect::<Vec<_>>(), [1, 3]);
        assert!(outbox.next(NOW, true).is_none());
        outbox.sent(&together[0], NOW);
        assert_eq!(send(&mut outbox)[0].row.id, 2);
    }

    #[test]
    fn a_due_reply_that_may_not_be_sent_is_no_reason_to_wake() {
        let mut outbox = outbox();
        outbox.completed((1..=SENDING as i64).map(|id| row(id, &id.to_string())).collect(), NOW);
        assert!(outbox.next(NOW, false).is_none());
        assert_eq!((outbox.next_due(false), outbox.next_due(true)), (None, Some(NOW)), "the gate is shut");
        let replies = send(&mut outbox);
        assert_eq!(replies.len(), SENDING);
        outbox.completed(vec![row(99, "one more")], NOW);
        assert!(outbox.next(NOW, true).is_none());
        assert_eq!(outbox.next_due(true), None, "as many are on their way as may be");
        outbox.retry(replies.into_iter().next().unwrap(), NOW);
        assert_eq!(outbox.next_due(true), Some(NOW));
    }

    #[test]
    fn nothing_is_due_before_what_an_earlier_owner_left_is_known() {
        let mut outbox = Outbox::new();
        outbox.completed(vec![row(1, "a")], NOW);
        assert!(matches!(outbox.next(NOW, true), Some(OutboundJob::Read { after: 0 })));
        assert_eq!(outbox.next_due(true), None);
    }

    #[test]
    fn what_is_read_again_is_sent_once_and_what_was_given_up_again() {
        let mut outbox = outbox();
        outbox.completed(vec![row(1, "a"), row(2, "b"), row(3, "c")], NOW);
        let replies = send(&mut outbox);
        outbox.dead_lettered(&replies[0]);
        outbox.sent(&replies[1], NOW);
        outbox.look_again();
        let marked = outbox.next(NOW + MARK_WAIT, true);
        assert!(matches!(marked, Some(OutboundJob::MarkSent(ids)) if ids == [2]));
        assert!(matches!(outbox.next(NOW, true), Some(OutboundJob::Read { after: 0 })));
        outbox.marked();
        // It was asked before the mark.
        outbox.read(vec![row(1, "a"), row(2, "b"), row(3, "c")], NOW);
        assert_eq!(send(&mut outbox).iter().map(|reply| reply.row.id).collect::<Vec<_>>(), [1]);
        assert!(outbox.known.len() == 2, "{:?}", outbox.known);
    }

    #[test]
    fn a_mark_waits_for_company_while_others_are_on_their_way_but_not_for_long() {
        let mut outbox = outbox();
        outbox.completed(vec![row(1, "a"), row(2, "b")], NOW);
        let together = send(&mut outbox);
        outbox.sent(&together[0], NOW);
        assert!(outbox.next(NOW, true).is_none() && !outbox.is_marked());
        assert_eq!(outbox.next_due(true), Some(NOW + MARK_WAIT));
        let Some(OutboundJob::MarkSent(ids)) = outbox.next(NOW + MARK_WAIT, true) else { panic!("no mark") };
        assert_eq!(ids, [1]);
        outbox.marked();
        outbox.sent(&together[1], NOW);
        assert!(
            matches!(outbox.next(NOW, true), Some(OutboundJob::MarkSent(ids)) if ids == [2]),
            "the last one"
        );
    }
}

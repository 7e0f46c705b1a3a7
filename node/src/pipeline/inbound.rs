//! Messages on their way in: received, made durable, answered, the answer made durable. Pure: it says what is to be
//! done next and is told what came of it.
//!
//! ```text
//!   received --Admit--> bm_in --queues (a message of a chat at a time)--Answer--> answered --Complete--> bm_out
//!                         ^
//!                         +--- Read: at the start, and whenever this process may not know every pending row
//! ```
//!
//! Memory is bounded (I5). What has been received waits here for its turn, [`RECEIVED`] and a batch of it, then in the intake
//! (`intake.rs`), and beyond that in the page, unacknowledged; of the durable ones at most [`QUEUED`] and a batch are held here, the rest stay in the
//! database until there is room, which is what `behind` means.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem,
    time::Duration,
};

use roost_store::{Admitted, Completion, Inbound, NewInbound};

use super::{
    chat_queues::ChatQueues,
    context::{BATCH, PipelineTime},
};

/// Received and not under way to the database: with as many no more are taken up.
const RECEIVED: usize = BATCH;
/// Durable and known here.
const QUEUED: usize = 1024;
/// Being answered at the same time, so that a slow responder holds up its own chats only.
const ANSWERING: usize = 32;
/// Answered and not yet taken up by a Complete; with more nothing is answered until Postgres keeps up.
const ANSWERED: usize = 2 * BATCH;

/// What is to be done next.
#[derive(Debug)]
pub(super) enum InboundJob {
    Admit(Vec<NewInbound>),
    /// Pending rows with an id above `after`, at most [`BATCH`].
    Read {
        after: i64,
    },
    Answer(Inbound),
    Complete(Vec<Completion>),
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    received: VecDeque<NewInbound>,
    queues: ChatQueues<Inbound>,
    /// Answers whose completion is not durable yet, in the order in which they were given.
    answered: Vec<Completion>,
    /// Every pending row up to this id is in the queues.
    known_to: i64,
    /// There may be pending rows above `known_to`.
    behind: bool,
    /// Every row that is queued, being answered, or answered and not durably so: a Read may bring it again.
    known: HashSet<i64>,
    /// Those of them that were done with while an Admit or a Read was under way, which may still tell of them as waiting.
    settled: Vec<i64>,
    /// An Admit or a Read is under way: never both, so that rows come in the order of their ids.
    taking_in: bool,
    /// There may be pending rows anywhere, also among those that were done with.
    look_again: bool,
    answering: usize,
    /// What the Complete under way is about: one at a time, so that what is durable of a chat has no gap.
    completing: Vec<i64>,
}

impl Inbox {
    /// Starts behind: what an earlier owner left pending is read first.
    pub fn new() -> Self {
        Self { behind: true, ..Self::default() }
    }

    /// Whether another message may be received.
    pub fn has_room(&self) -> bool {
        self.received.len() < RECEIVED
    }

    /// Some that were given up may be pending again: everything is read, once what is being read or admitted is here.
    pub fn look_again(&mut self) {
        self.look_again = true;
        if !self.taking_in {
            self.taken_in();
        }
    }

    pub fn receive(&mut self, message: NewInbound) {
        self.received.push_back(message);
    }

    /// The next job, or none for now. `taking` allows new messages to become durable; `answering` allows answers,
    /// which are held back while too many replies wait to be sent.
    pub fn next(&mut self, now: PipelineTime, taking: bool, answering: bool) -> Option<InboundJob> {
        if !self.taking_in && self.behind && self.queues.len() <= QUEUED / 2 {
            self.taking_in = true;
            return Some(InboundJob::Read { after: self.known_to });
        }
        if !self.taking_in && taking && !self.received.is_empty() {
            self.taking_in = true;
            let batch = self.received.len().min(BATCH);
            return Some(InboundJob::Admit(self.received.drain(..batch).collect()));
        }
        if self.completing.is_empty() && !self.answered.is_empty() {
            let rest = self.answered.split_off(self.answered.len().min(BATCH));
            let batch = mem::replace(&mut self.answered, rest);
            self.completing = batch.iter().map(|completion| completion.inbound_id).collect();
            return Some(InboundJob::Complete(batch));
        }
        if self.may_answer(answering) {
            let message = self.queues.take(now)?;
            self.answering += 1;
            return Some(InboundJob::Answer(message));
        }
        None
    }

    fn may_answer(&self, answering: bool) -> bool {
        answering && self.answering < ANSWERING && self.answered.len() < ANSWERED
    }

    /// A batch is durable. A row that waits and is unknown here, though it is not fresh, is of an admission whose answer was
    /// lost: an earlier try of this one, or the last one of the pipeline before. It is read.
    pub fn admitted(&mut self, batch: Vec<NewInbound>, rows: &[Admitted], now: PipelineTime) {
        let unknown = rows.iter().filter(|row| row.waits && !row.fresh && !self.known.contains(&row.id));
        if let Some(first) = unknown.map(|row| row.id).min() {
            self.known_to = self.known_to.min(first - 1);
            self.behind = true;
        }
        self.taken_in();
        if self.behind || self.queues.len() > QUEUED {
            self.behind = true;
            return;
        }
        let mut batch: HashMap<String, NewInbound> =
            batch.into_iter().map(|message| (message.whatsapp_id.clone(), message)).collect();
        for row in rows.iter().filter(|row| row.fresh && row.waits) {
            let Some(message) = batch.remove(&row.whatsapp_id) else {
                // Its id is another one in the database, which cannot hold every character.
                self.behind = true;
                return;
            };
            self.queue(as_pending(message, row), now);
        }
    }

    /// Pending rows, in the order of their ids; fewer than [`BATCH`] means that there are no more.
    pub fn read(&mut self, rows: Vec<Inbound>, now: PipelineTime) {
        self.behind = rows.len() >= BATCH;
        for row in rows {
            self.queue(row, now);
        }
        self.taken_in();
    }

    fn queue(&mut self, row: Inbound, now: PipelineTime) {
        self.known_to = self.known_to.max(row.id);
        if self.known.insert(row.id) {
            let (chat, due) = (row.chat.clone(), now + row.due_in);
            self.queues.push(&chat, due, row);
        }
    }

    fn taken_in(&mut self) {
        self.taking_in = false;
        if mem::take(&mut self.look_again) {
            (self.known_to, self.behind) = (0, true);
        }
        for id in mem::take(&mut self.settled) {
            self.known.remove(&id);
        }
    }

    /// The row does not wait any more, and that is durable.
    fn settle(&mut self, id: i64) {
        if self.taking_in {
            self.settled.push(id);
        } else {
            self.known.remove(&id);
        }
    }

    /// A message has its answer, to be made durable with the next Complete. Its chat goes on at once: answers become
    /// durable in the order in which they were given, so after a crash a chat is taken up at its first one that is not.
    pub fn answered(&mut self, chat: &str, completion: Completion) {
        self.answering -= 1;
        self.answered.push(completion);
        self.queues.finish(chat);
    }

    /// The answers of the last Complete are durable.
    pub fn completed(&mut self) {
        for id in mem::take(&mut self.completing) {
            self.settle(id);
        }
    }

    /// A message could not be answered and is tried again; its chat waits for it.
    pub fn retry(&mut self, message: Inbound, due: PipelineTime) {
        self.answering -= 1;
        let chat = message.chat.clone();
        self.queues.put_back(&chat, due, message);
    }

    /// A message was given up.
    pub fn dead_lettered(&mut self, message: &Inbound) {
        self.answering -= 1;
        self.queues.finish(&message.chat);
        self.settle(message.id);
    }

    /// When [`Inbox::next`] has an answer to give that it does not have now; `None` while that takes more than time.
    pub fn next_due(&self, answering: bool) -> Option<PipelineTime> {
        self.queues.next_due().filter(|_| self.may_answer(answering))
    }
}

/// A message that has just become durable, as it would be read.
fn as_pending(message: NewInbound, row: &Admitted) -> Inbound {
    Inbound {
        id: row.id,
        whatsapp_id: message.whatsapp_id,
        chat: message.chat,
        sender: message.sender,
        body: message.body,
        attempts: 0,
        due_in: Duration::ZERO,
        received_at: message.received_at,
        first_in_chat: row.first_in_chat,
    }
}

#[cfg(test)]
mod tests;

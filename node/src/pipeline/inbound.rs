//! Messages on their way in: received, made durable, answered, the answer made durable. Pure: it says what is to be
//! done next and is told what came of it.
//!
//! ```text
//!   received --Admit--> bm_in --queues (a message of a chat at a time)--Answer--> answered --Complete--> bm_out
//!                         ^
//!                         +--- Read: at the start, and whenever this process may not know every pending row
//! ```
//!
//! Memory is bounded (I5). What has been received waits for its turn in a queue of [`RECEIVED`], and beyond that in the
//! page, unacknowledged; of the durable ones at most [`QUEUED`] and a batch are held here, the rest stay in the
//! database until there is room, which is what `behind` means.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    time::Duration,
};

use roost_store::{Admitted, Completion, Inbound, NewInbound};

use super::{
    chat_queues::ChatQueues,
    context::{BATCH, PipelineTime},
};

/// Received and not yet durable: a few batches.
const RECEIVED: usize = 4 * BATCH;
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
    /// An Admit or a Read is under way: never both, so that rows come in the order of their ids.
    taking_in: bool,
    answering: usize,
    /// A Complete is under way: one at a time, so that what is durable of a chat has no gap.
    completing: bool,
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
        if !self.completing && !self.answered.is_empty() {
            self.completing = true;
            let rest = self.answered.split_off(self.answered.len().min(BATCH));
            return Some(InboundJob::Complete(mem::replace(&mut self.answered, rest)));
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

    /// A batch is durable. `unsure`: an earlier try may have been what made it so, and "not fresh" then does not mean
    /// that the row is known here.
    pub fn admitted(&mut self, batch: Vec<NewInbound>, rows: &[Admitted], unsure: bool, now: PipelineTime) {
        self.taking_in = false;
        if unsure || self.behind || self.queues.len() > QUEUED {
            self.behind = true;
            return;
        }
        let mut batch: HashMap<String, NewInbound> =
            batch.into_iter().map(|message| (message.whatsapp_id.clone(), message)).collect();
        for row in rows.iter().filter(|row| row.fresh) {
            self.known_to = self.known_to.max(row.id);
            if let Some(message) = batch.remove(&row.whatsapp_id) {
                let chat = message.chat.clone();
                self.queues.push(&chat, now, as_pending(message, row));
            }
        }
    }

    /// Pending rows, in the order of their ids; fewer than [`BATCH`] means that there are no more.
    pub fn read(&mut self, rows: Vec<Inbound>, now: PipelineTime) {
        self.taking_in = false;
        self.behind = rows.len() >= BATCH;
        for row in rows {
            self.known_to = self.known_to.max(row.id);
            let (chat, due) = (row.chat.clone(), now + row.due_in);
            self.queues.push(&chat, due, row);
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
        self.completing = false;
    }

    /// A message could not be answered and is tried again; its chat waits for it.
    pub fn retry(&mut self, message: Inbound, due: PipelineTime) {
        self.answering -= 1;
        let chat = message.chat.clone();
        self.queues.put_back(&chat, due, message);
    }

    /// A message was given up.
    pub fn dead_lettered(&mut self, chat: &str) {
        self.answering -= 1;
        self.queues.finish(chat);
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

//! The loop that does what [`super::inbound`] and [`super::outbound`] ask for. One task owns all state; the jobs are
//! futures within it, so nothing is locked, and dropping the task drops whatever is under way.

mod sends;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use roost_engine::InboundMessage;
use roost_model::ChatKind;
use roost_responder::{Question, Responder, ResponderError, template};
use roost_store::{Completion, Inbound, NewInbound, NewOutbound, StoreError, Tenant};
use time::OffsetDateTime;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tracing::{debug, error, info, warn};

use super::{
    BODY_BYTES, Gate, Now, PipelineContext,
    inbound::{BATCH, InboundJob, Inbox},
    jobs::{self, Desk, Done, Job, insist},
    limit::{ReplyLimit, Verdict, WINDOW},
    outbound::{OutboundJob, Outbox, reply_id},
};
use crate::worker::Backoff;

/// Tries of one message or reply before it is given up.
const TRIES: u32 = 8;
/// Waits between them.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(60) };
/// Before a page that said it is offline is tried again; its worker closes the gate long before that matters.
const OFFLINE_WAIT: Duration = Duration::from_millis(500);

/// The driver's ends of the pipeline's channels.
pub(super) struct Ports {
    pub intake: mpsc::Receiver<InboundMessage>,
    pub gate: watch::Receiver<Gate>,
    pub tenant: watch::Receiver<Arc<Tenant>>,
    pub idle: watch::Sender<bool>,
    pub changes: watch::Sender<u64>,
}

/// Runs until the store refuses.
pub(super) async fn run(context: PipelineContext, ports: Ports) -> StoreError {
    let desk = Desk { store: context.store, fence: context.fence };
    let begun = Instant::now();
    let read = || {
        let desk = desk.clone();
        async move { desk.store.reply_window(&desk.fence).await }
    };
    let window = match insist("read the reply window", read).await {
        Ok((window, _)) => window,
        Err(error) => return error,
    };
    let limit =
        ReplyLimit::seeded(context.tenant.settings.reply_limit_per_minute, &window, WINDOW + begun.elapsed());
    let driver = Driver {
        desk,
        responder: context.responder,
        begun,
        limit,
        inbox: Inbox::new(),
        outbox: Outbox::new(),
        jobs: FuturesUnordered::new(),
        ports,
    };
    driver.drive().await
}

struct Driver {
    desk: Desk,
    responder: Arc<dyn Responder>,
    begun: Instant,
    limit: ReplyLimit,
    inbox: Inbox,
    outbox: Outbox,
    jobs: FuturesUnordered<Job>,
    ports: Ports,
}

impl Driver {
    async fn drive(mut self) -> StoreError {
        let mut events = Vec::with_capacity(BATCH);
        loop {
            self.start_jobs();
            let idle = self.jobs.is_empty() && self.outbox.is_marked();
            self.ports.idle.send_if_modified(|told| std::mem::replace(told, idle) != idle);
            let due = [self.inbox.next_due(), self.outbox.next_due()].into_iter().flatten().min();
            let wake = due.map(|due| self.begun + due.saturating_sub(WINDOW));
            tokio::select! {
                Some(done) = self.jobs.next() => {
                    if let Err(error) = self.take(done) {
                        return error;
                    }
                }
                received = self.ports.intake.recv_many(&mut events, BATCH), if self.may_receive() => {
                    if received == 0 {
                        // The pipeline's handle is gone; the task is about to be dropped.
                        std::future::pending::<()>().await;
                    }
                    self.receive(events.drain(..));
                }
                Ok(()) = self.ports.gate.changed() => {}
                Ok(()) = self.ports.tenant.changed() => {
                    self.limit.set(self.ports.tenant.borrow_and_update().settings.reply_limit_per_minute);
                }
                () = sleep_until(wake.unwrap_or(self.begun)), if wake.is_some() => {}
            }
        }
    }

    fn now(&self) -> Now {
        WINDOW + self.begun.elapsed()
    }

    fn may_receive(&self) -> bool {
        self.inbox.has_room() && self.ports.gate.borrow().taking
    }

    /// Starts every job that may run now.
    fn start_jobs(&mut self) {
        let gate = self.ports.gate.borrow_and_update().clone();
        let now = self.now();
        while let Some(job) = self.outbox.next(now, gate.sending && gate.page.is_some()) {
            let desk = self.desk.clone();
            self.jobs.push(match (job, &gate.page) {
                (OutboundJob::Read { after }, _) => desk.read_outbound(after),
                (OutboundJob::MarkSent(ids), _) => desk.mark_sent(ids),
                (OutboundJob::Send(replies), Some(page)) => {
                    self.send(page, replies);
                    continue;
                }
                (OutboundJob::Send(replies), None) => {
                    replies.into_iter().for_each(|reply| self.outbox.retry(reply, now + OFFLINE_WAIT));
                    continue;
                }
            });
        }
        while let Some(job) = self.inbox.next(now, gate.taking, self.outbox.has_room()) {
            let desk = self.desk.clone();
            self.jobs.push(match job {
                InboundJob::Admit(batch) => desk.admit(batch),
                InboundJob::Read { after } => desk.read_inbound(after),
                InboundJob::Complete(batch) => desk.complete(batch),
                InboundJob::Answer(message) => self.answer(message),
            });
        }
    }

    fn answer(&self, message: Inbound) -> Job {
        let question = Question {
            tenant: self.ports.tenant.borrow().settings.clone(),
            chat: message.chat.clone(),
            sender: message.sender.clone(),
            body: message.body.clone(),
            first_in_chat: message.first_in_chat,
        };
        jobs::answer(self.responder.clone(), message, question)
    }

    /// Keeps what is to be answered; the rest is confirmed at once and forgotten.
    fn receive(&mut self, messages: impl Iterator<Item = InboundMessage>) {
        let mut ignored = Vec::new();
        for message in messages {
            if message.from_me || message.kind != ChatKind::Direct {
                ignored.push(message.whatsapp_id);
            } else {
                self.inbox.receive(to_store(message));
            }
        }
        self.confirm(ignored);
    }

    fn confirm(&self, whatsapp_ids: Vec<String>) {
        if let Some(page) = self.ports.gate.borrow().page.clone().filter(|_| !whatsapp_ids.is_empty()) {
            self.jobs.push(jobs::confirm(page, whatsapp_ids));
        }
    }

    fn take(&mut self, done: Done) -> Result<(), StoreError> {
        let now = self.now();
        match done {
            Done::Failed(error) => return Err(error),
            Done::Confirmed => {}
            Done::Admitted { batch, rows, unsure } => {
                self.confirm(batch.iter().map(|message| message.whatsapp_id.clone()).collect());
                self.changed(batch.len());
                self.inbox.admitted(batch, &rows, unsure, now);
            }
            Done::InboundRead(rows) => self.inbox.read(rows, now),
            Done::Answered { message, replies: Ok(replies) } => self.decide(message, replies, now),
            Done::Answered { message, replies: Err(error) } => self.not_answered(message, &error),
            Done::InboundSetBack { message, delay: Some(delay) } => self.inbox.retry(message, now + delay),
            Done::InboundSetBack { message, delay: None } => self.inbox.buried(&message.chat),
            Done::Completed(rows) => {
                self.inbox.completed();
                self.outbox.completed(rows, now);
            }
            Done::OutboundRead(rows) => self.outbox.read(rows, now),
            Done::Sent { reply, outcome } => self.sent(reply, outcome, now),
            Done::SentTogether { page, replies, outcomes } => {
                self.sent_together(&page, replies, outcomes, now)
            }
            Done::OutboundSetBack { reply, delay: Some(delay) } => self.outbox.retry(reply, now + delay),
            Done::OutboundSetBack { reply, delay: None } => self.outbox.buried(&reply),
            Done::Marked { count } => {
                debug!(count, "replies are sent");
                self.outbox.marked();
            }
        }
        Ok(())
    }

    /// Applies the reply limit to an answer and queues it to be made durable.
    fn decide(&mut self, message: Inbound, replies: Vec<String>, now: Now) {
        let verdict = if replies.is_empty() { Verdict::Reply } else { self.limit.judge(replies.len(), now) };
        let (bodies, suppressed) = match verdict {
            Verdict::Reply => (replies, false),
            Verdict::Suppress => (Vec::new(), true),
            Verdict::Warn => {
                info!("the reply limit is reached; replies are suppressed");
                (vec![template::limit_warning(&self.ports.tenant.borrow().settings, &message.body)], true)
            }
        };
        let uid = self.ports.tenant.borrow().uid;
        let replies = (0..).zip(bodies).map(|(seq, body)| NewOutbound {
            seq,
            whatsapp_id: reply_id(uid, &message.whatsapp_id, &message.chat, seq),
            chat: message.chat.clone(),
            body: cut(body),
            counted: verdict == Verdict::Reply,
        });
        let completion = Completion { inbound_id: message.id, replies: replies.collect(), suppressed };
        self.inbox.answered(&message.chat, completion);
    }

    fn not_answered(&mut self, mut message: Inbound, error: &ResponderError) {
        message.attempts += 1;
        let delay = next_try(message.attempts, message.id);
        match delay {
            Some(_) => {
                warn!(%error, attempt = message.attempts, "a message could not be answered; it is tried again")
            }
            None => error!(%error, message = message.id, "a message was given up"),
        }
        self.jobs.push(self.desk.clone().set_back_inbound(message, error.to_string(), delay));
    }

    fn changed(&self, messages: usize) {
        self.ports.changes.send_modify(|count| *count += messages as u64);
    }
}

/// The wait before the next try, after `attempts` failed ones; `None` when they were enough.
fn next_try(attempts: u32, id: i64) -> Option<Duration> {
    (attempts < TRIES).then(|| BACKOFF.delay(attempts, id.unsigned_abs()))
}

fn to_store(message: InboundMessage) -> NewInbound {
    NewInbound {
        whatsapp_id: message.whatsapp_id,
        chat: message.chat,
        sender: message.sender,
        body: cut(message.body),
        received_at: OffsetDateTime::from_unix_timestamp(message.timestamp)
            .unwrap_or_else(|_| OffsetDateTime::now_utc()),
    }
}

/// At most [`BODY_BYTES`], without half a character at the end.
fn cut(mut body: String) -> String {
    body.truncate(body.floor_char_boundary(BODY_BYTES));
    body
}

//! The loop that does what [`super::inbound`] and [`super::outbound`] ask for; sends and what comes of them are in
//! [`super::sends`]. One task owns all state; the jobs are
//! futures within it, so nothing is locked, and dropping the task drops whatever is under way.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use roost_engine::InboundMessage;
use roost_model::{ChatKind, causes};
use roost_responder::{Question, Responder, ResponderError, template};
use roost_store::{Completion, Inbound, NewInbound, NewOutbound, StoreError, Tenant};
use time::OffsetDateTime;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::{debug, error, info, warn};

use super::{
    context::{BATCH, Gate, PipelineContext, PipelineTime, cut},
    inbound::{InboundJob, Inbox},
    intake::Intake,
    jobs::{self, FencedStore, Job, JobOutcome},
    limit::{ReplyLimit, Verdict},
    outbound::{OutboundJob, Outbox, reply_id},
    send_judge::SendJudge,
    send_pace::SendPace,
    send_tally::SendTally,
    sliding_window::WINDOW,
    traffic::Traffic,
};
use crate::retry::{Backoff, until_available};

/// Tries of one message or reply before it is given up.
const TRIES: u32 = 8;
/// Waits between them.
pub(super) const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(60) };
/// Before a page that is offline or being loaded is tried again; its worker closes the gate long before that matters.
pub(super) const OFFLINE_WAIT: Duration = Duration::from_millis(500);

/// The driver's ends of the pipeline's channels.
pub(super) struct DriverChannels {
    pub intake: Arc<Intake>,
    pub gate: watch::Receiver<Gate>,
    pub tenant: watch::Receiver<Arc<Tenant>>,
    pub idle: watch::Sender<bool>,
    pub changes: watch::Sender<u64>,
    pub page_faults: watch::Sender<u32>,
}

/// Runs until the store refuses.
pub(super) async fn run(context: PipelineContext, channels: DriverChannels) -> StoreError {
    let fenced = FencedStore { store: context.store, fence: context.fence };
    let begun = Instant::now();
    let read = || {
        let fenced = fenced.clone();
        async move { fenced.store.reply_window(&fenced.fence).await }
    };
    let window = match until_available("read the reply window", read).await {
        Ok(window) => window,
        Err(error) => return error,
    };
    let (per_window, now) = (context.tenant.settings.reply_limit_per_minute, WINDOW + begun.elapsed());
    let driver = Driver {
        fenced,
        responder: context.responder,
        begun,
        limit: ReplyLimit::seeded(per_window, &window, now),
        inbox: Inbox::new(),
        outbox: Outbox::new(SendPace::seeded(per_window, &window.sent_ages, now)),
        judge: SendJudge::default(),
        jobs: FuturesUnordered::new(),
        traffic: context.traffic,
        sends: context.sends,
        channels,
    };
    driver.drive().await
}

pub(super) struct Driver {
    pub fenced: FencedStore,
    responder: Arc<dyn Responder>,
    begun: Instant,
    limit: ReplyLimit,
    inbox: Inbox,
    pub outbox: Outbox,
    pub judge: SendJudge,
    pub jobs: FuturesUnordered<Job>,
    pub traffic: Traffic,
    pub sends: SendTally,
    pub channels: DriverChannels,
}

impl Driver {
    async fn drive(mut self) -> StoreError {
        loop {
            let gate = self.channels.gate.borrow_and_update().clone();
            self.judge.on_page(gate.opened);
            self.start_jobs(&gate);
            let idle = self.jobs.is_empty() && self.outbox.is_marked();
            self.channels.idle.send_if_modified(|told| std::mem::replace(told, idle) != idle);
            let wake = self.next_due(&gate).map(|due| self.begun + due.saturating_sub(WINDOW));
            tokio::select! {
                Some(done) = self.jobs.next() => {
                    if let Err(error) = self.take(done) {
                        return error;
                    }
                }
                messages = self.channels.intake.take(BATCH), if self.may_receive() => self.receive(messages),
                Ok(()) = self.channels.gate.changed() => {}
                Ok(()) = self.channels.tenant.changed() => {
                    let limit = self.channels.tenant.borrow_and_update().settings.reply_limit_per_minute;
                    self.limit.set(limit);
                    self.outbox.set_pace(limit);
                    // It may be told for the sake of dead letters that are pending again.
                    self.inbox.look_again();
                    self.outbox.look_again();
                }
                () = sleep_until(wake.unwrap_or(self.begun)), if wake.is_some() => {}
            }
        }
    }

    fn now(&self) -> PipelineTime {
        WINDOW + self.begun.elapsed()
    }

    /// When time alone lets something begin. What waits for more than time is woken by what it waits for.
    fn next_due(&self, gate: &Gate) -> Option<PipelineTime> {
        let answer = self.inbox.next_due(self.outbox.has_room());
        [answer, self.outbox.next_due(gate.may_send())].into_iter().flatten().min()
    }

    fn may_receive(&self) -> bool {
        self.inbox.has_room() && self.channels.gate.borrow().taking
    }

    /// Starts every job that may run now.
    fn start_jobs(&mut self, gate: &Gate) {
        let now = self.now();
        while let Some(job) = self.outbox.next(now, gate.may_send()) {
            let fenced = self.fenced.clone();
            self.jobs.push(match (job, &gate.page) {
                (OutboundJob::Read { after }, _) => fenced.read_outbound(after),
                (OutboundJob::Claim(replies), _) => fenced.claim(replies),
                (OutboundJob::MarkSent { ids, resent }, _) => fenced.mark_sent(ids, resent),
                (OutboundJob::Send(replies), Some(page)) => {
                    self.send(page, gate.opened, replies);
                    continue;
                }
                (OutboundJob::Send(replies), None) => {
                    self.not_tried(replies, now);
                    continue;
                }
            });
        }
        while let Some(job) = self.inbox.next(now, gate.taking, self.outbox.has_room()) {
            let fenced = self.fenced.clone();
            self.jobs.push(match job {
                InboundJob::Admit(batch) => fenced.admit(batch),
                InboundJob::Read { after } => fenced.read_inbound(after),
                InboundJob::Complete(mut batch) => {
                    self.outbox.claim(&mut batch, now, gate.may_send());
                    fenced.complete(batch)
                }
                InboundJob::Answer(message) => self.answer(message),
            });
        }
    }

    fn answer(&self, message: Inbound) -> Job {
        let question = Question {
            tenant: self.channels.tenant.borrow().settings.clone(),
            chat: message.chat.clone(),
            sender: message.sender.clone(),
            body: message.body.clone(),
            first_in_chat: message.first_in_chat,
        };
        jobs::answer(self.responder.clone(), message, question)
    }

    /// Keeps what is to be answered; the rest is confirmed at once and forgotten.
    fn receive(&mut self, messages: Vec<InboundMessage>) {
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
        if let Some(page) = self.channels.gate.borrow().page.clone().filter(|_| !whatsapp_ids.is_empty()) {
            self.jobs.push(jobs::confirm(page, whatsapp_ids));
        }
    }

    fn take(&mut self, done: JobOutcome) -> Result<(), StoreError> {
        let now = self.now();
        match done {
            JobOutcome::Failed(error) => return Err(error),
            JobOutcome::Confirmed => {}
            JobOutcome::Admitted { batch, rows } => {
                self.confirm(batch.iter().map(|message| message.whatsapp_id.clone()).collect());
                let too_old = rows.iter().filter(|row| row.fresh && !row.waits).count();
                if too_old > 0 {
                    info!(messages = too_old, "messages were too old to be answered");
                }
                self.changed(batch.len());
                self.traffic.count(rows.iter().filter(|row| row.fresh).count());
                self.inbox.admitted(batch, &rows, now);
            }
            JobOutcome::InboundRead(rows) => self.inbox.read(rows, now),
            JobOutcome::Answered { message, replies: Ok(replies) } => self.decide(message, replies, now),
            JobOutcome::Answered { message, replies: Err(error) } => self.not_answered(message, &error),
            JobOutcome::InboundSetBack { message, delay: Some(delay) } => {
                self.inbox.retry(message, now + delay)
            }
            JobOutcome::InboundSetBack { message, delay: None } => self.inbox.dead_lettered(&message),
            JobOutcome::Completed(rows) => {
                self.inbox.completed();
                self.outbox.completed(rows, now);
            }
            JobOutcome::OutboundRead(rows) => self.outbox.read(rows, now),
            JobOutcome::Claimed(replies) => self.claimed(replies, now),
            JobOutcome::Sent { opened, reply, outcome } => self.sent(opened, reply, outcome, now),
            JobOutcome::SentTogether { opened, page, replies, outcomes } => {
                self.sent_together(&page, opened, replies, outcomes, now)
            }
            JobOutcome::OutboundSetBack { reply, delay: Some(delay) } => {
                self.outbox.retry(reply, now + delay)
            }
            JobOutcome::OutboundSetBack { reply, delay: None } => self.outbox.dead_lettered(&reply),
            JobOutcome::Marked { count, resent } => {
                debug!(count, "replies are sent");
                if resent > 0 {
                    info!(count = resent, "replies that may have been sent before were sent again");
                }
                self.outbox.marked();
            }
        }
        Ok(())
    }

    /// Applies the reply limit to an answer and queues it to be made durable.
    fn decide(&mut self, message: Inbound, replies: Vec<String>, now: PipelineTime) {
        let verdict = match replies.len() {
            0 => Verdict::Reply,
            count => self.limit.judge(&message.chat, count, now),
        };
        let (bodies, suppressed) = match verdict {
            Verdict::Reply => (replies, None),
            Verdict::Suppress(over) => (Vec::new(), Some(over)),
            Verdict::Warn(over) => {
                info!("the reply limit is reached; replies are suppressed");
                (
                    vec![template::limit_warning(&self.channels.tenant.borrow().settings, &message.body)],
                    Some(over),
                )
            }
        };
        let uid = self.channels.tenant.borrow().uid;
        let replies = (0..).zip(bodies).map(|(seq, body)| NewOutbound {
            seq,
            whatsapp_id: reply_id(uid, &message.whatsapp_id, &message.chat, seq),
            chat: message.chat.clone(),
            body: cut(body),
            counted: verdict == Verdict::Reply,
            claimed: false,
        });
        let (replies, suppressed) = (replies.collect(), suppressed.map(|over| over.to_string()));
        let completion = Completion { inbound_id: message.id, replies, suppressed };
        self.inbox.answered(&message.chat, completion);
    }

    fn not_answered(&mut self, mut message: Inbound, error: &ResponderError) {
        message.attempts += 1;
        let delay = next_try(message.attempts, message.id);
        match delay {
            Some(_) => {
                warn!(error = %causes(&error), attempt = message.attempts, "a message could not be answered; it is tried again")
            }
            None => error!(error = %causes(&error), message = message.id, "a message was given up"),
        }
        self.jobs.push(self.fenced.clone().set_back_inbound(message, causes(error).to_string(), delay));
    }

    pub fn changed(&self, messages: usize) {
        self.channels.changes.send_modify(|count| *count += messages as u64);
    }
}

/// The wait before the next try, after `attempts` failed ones; `None` when they were enough.
pub(super) fn next_try(attempts: u32, id: i64) -> Option<Duration> {
    (attempts < TRIES).then(|| BACKOFF.delay(attempts, id.unsigned_abs()))
}

fn to_store(message: InboundMessage) -> NewInbound {
    NewInbound {
        whatsapp_id: message.whatsapp_id,
        chat: message.chat,
        sender: message.sender,
        body: message.body,
        received_at: written_at(message.timestamp),
        undecoded: message.undecoded,
    }
}

/// A page that does not say when a message was written (0), or says nonsense, tells of one that was written now.
fn written_at(timestamp: i64) -> OffsetDateTime {
    let told = OffsetDateTime::from_unix_timestamp(timestamp).ok().filter(|_| timestamp > 0);
    told.unwrap_or_else(OffsetDateTime::now_utc)
}

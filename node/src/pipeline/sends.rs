//! What the driver does about sends: how replies go to the page, and what follows from the outcomes.

use std::sync::Arc;

use roost_engine::{EngineError, Page, SendError, SendOutcomes};
use roost_model::{ResendPolicy, causes};
use tracing::{error, info, warn};

use super::{
    context::PipelineTime,
    driver::{BACKOFF, Driver, OFFLINE_WAIT, next_try},
    jobs,
    outbound::Reply,
    send_judge::Fault,
};

const HELD: &str = "it may have been sent already: held, as the tenant's resend policy says";

impl Driver {
    /// They may be tried now, unless the page has gone meanwhile.
    pub fn claimed(&mut self, replies: Vec<Reply>, now: PipelineTime) {
        let gate = self.channels.gate.borrow().clone();
        match gate.page.as_ref().filter(|_| gate.sending) {
            Some(page) => self.send(page, gate.opened, replies),
            None => self.not_tried(replies, now),
        }
    }

    pub fn not_tried(&mut self, replies: Vec<Reply>, now: PipelineTime) {
        replies.into_iter().for_each(|reply| self.outbox.not_tried(reply, now + OFFLINE_WAIT));
    }

    /// Together; but what has failed before goes alone, so that one which makes the whole call fail takes no other with it
    /// a second time.
    pub fn send(&self, page: &Arc<dyn Page>, opened: u64, replies: Vec<Reply>) {
        let has_failed = |reply: &Reply| reply.row.attempts > 0 || reply.doubt.is_some();
        let (failed, together): (Vec<_>, Vec<_>) = replies.into_iter().partition(has_failed);
        for reply in failed {
            self.jobs.push(jobs::send(page.clone(), opened, reply));
        }
        if !together.is_empty() {
            self.jobs.push(jobs::send_together(page.clone(), opened, together));
        }
    }

    pub fn sent(&mut self, opened: u64, reply: Reply, outcome: Result<(), SendError>, now: PipelineTime) {
        match outcome {
            Ok(()) => {
                self.outbox.sent(&reply, now);
                self.changed(1);
                self.traffic.count(1);
                self.sends.acknowledged();
                if self.judge.acknowledged() {
                    info!("whatsapp acknowledges what the page sends again");
                    self.channels.page_faults.send_replace(0);
                }
            }
            Err(error) => self.not_sent(opened, reply, &error, now),
        }
    }

    /// Those whose outcome is open are waited for one by one, so that they hold up nobody else.
    pub fn sent_together(
        &mut self,
        page: &Arc<dyn Page>,
        opened: u64,
        replies: Vec<Reply>,
        outcomes: Result<SendOutcomes, SendError>,
        now: PipelineTime,
    ) {
        let mut outcomes = match outcomes {
            Ok(outcomes) => outcomes.into_iter(),
            Err(error) => return self.call_failed(opened, replies, &error, now),
        };
        for mut reply in replies {
            match outcomes.next().flatten() {
                Some(outcome) => self.sent(opened, reply, outcome, now),
                None => {
                    reply.maybe_sent = true;
                    self.jobs.push(jobs::send(page.clone(), opened, reply));
                }
            }
        }
    }

    /// One failure, whoever of them it was about.
    fn call_failed(&mut self, opened: u64, replies: Vec<Reply>, error: &SendError, now: PipelineTime) {
        let mut replies = replies.into_iter();
        if let Some(first) = replies.next() {
            self.not_sent(opened, first, error, now);
        }
        for mut reply in replies {
            reply.in_doubt |= ended_with_its_browser(error);
            self.judge.doubt(&mut reply.doubt);
            self.outbox.retry(reply, now + BACKOFF.first);
        }
    }

    fn not_sent(&mut self, opened: u64, mut reply: Reply, error: &SendError, now: PipelineTime) {
        if matches!(error, SendError::NotKnown) {
            return self.not_known(reply, now);
        }
        reply.in_doubt |= ended_with_its_browser(error);
        // The page's troubles are not the message's: they end with the page, which its worker sees to.
        let page_gone = !self.channels.gate.borrow().sending;
        if page_gone || error.is_untried() {
            return self.outbox.retry(reply, now + OFFLINE_WAIT);
        }
        if error.is_answer() {
            let hopeless = matches!(error, SendError::InvalidRecipient);
            return self.count_try(reply, causes(error).to_string(), hopeless);
        }
        self.sends.unacknowledged();
        match self.judge.not_acknowledged(reply.row.id, &mut reply.doubt, opened) {
            Fault::Open => {
                warn!(error = %causes(error), "a reply was not acknowledged; it is tried again");
                self.outbox.retry(reply, now + BACKOFF.first);
            }
            Fault::Page { in_a_row } => {
                warn!(error = %causes(error), in_a_row, "whatsapp does not acknowledge what the page sends");
                self.channels.page_faults.send_replace(in_a_row);
                let wait = BACKOFF.delay(in_a_row, reply.row.id.unsigned_abs());
                self.outbox.retry(reply, now + wait);
            }
            Fault::Message => self.count_try(reply, causes(error).to_string(), false),
            Fault::MessageOnEveryPage => {
                self.channels.page_faults.send_replace(0);
                let reason =
                    format!("no page could send it, however often it was loaded anew: {}", causes(error));
                self.count_try(reply, reason, true);
            }
        }
    }

    /// The page has looked for a reply in doubt.
    fn not_known(&mut self, mut reply: Reply, now: PipelineTime) {
        reply.in_doubt = false;
        let policy = self.channels.tenant.borrow().settings.resend_policy;
        match policy {
            ResendPolicy::Resend => {
                reply.resent = true;
                self.outbox.retry(reply, now);
            }
            ResendPolicy::Hold => self.count_try(reply, HELD.to_owned(), true),
        }
    }

    fn count_try(&mut self, mut reply: Reply, reason: String, hopeless: bool) {
        reply.row.attempts += 1;
        let delay = next_try(reply.row.attempts, reply.row.id).filter(|_| !hopeless);
        match delay {
            Some(_) => {
                warn!(reason, attempt = reply.row.attempts, "a reply was not sent; it is tried again")
            }
            None => {
                error!(reason, reply = reply.row.id, "a reply was given up: see `roost message dead list`")
            }
        }
        self.jobs.push(self.fenced.clone().set_back_outbound(reply, reason, delay));
    }
}

/// The page may have sent it before, and its memory of that may be lost too.
fn ended_with_its_browser(error: &SendError) -> bool {
    matches!(error, SendError::Page(EngineError::Gone))
}

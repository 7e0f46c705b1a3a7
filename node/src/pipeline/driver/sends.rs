//! Sends, and what follows from them.

use std::sync::Arc;

use roost_engine::{Page, SendError, SendOutcomes};
use tracing::{error, warn};

use super::{Driver, OFFLINE_WAIT, next_try};
use crate::pipeline::{Now, jobs, outbound::Reply};

impl Driver {
    /// Together; but what has failed before goes alone, so that one which makes the whole call fail takes no other with it
    /// a second time.
    pub(super) fn send(&self, page: &Arc<dyn Page>, replies: Vec<Reply>) {
        let (failed, together): (Vec<_>, Vec<_>) =
            replies.into_iter().partition(|reply| reply.row.attempts > 0);
        for reply in failed {
            self.jobs.push(jobs::send(page.clone(), reply));
        }
        if !together.is_empty() {
            self.jobs.push(jobs::send_together(page.clone(), together));
        }
    }

    pub(super) fn sent(&mut self, reply: Reply, outcome: Result<(), SendError>, now: Now) {
        match outcome {
            Ok(()) => {
                self.outbox.sent(&reply, now);
                self.changed(1);
            }
            Err(error) => self.not_sent(reply, &error, now),
        }
    }

    /// Those whose outcome is open are waited for one by one, so that they hold up nobody else.
    pub(super) fn sent_together(
        &mut self,
        page: &Arc<dyn Page>,
        replies: Vec<Reply>,
        outcomes: Result<SendOutcomes, SendError>,
        now: Now,
    ) {
        let mut outcomes = match outcomes {
            Ok(outcomes) => outcomes.into_iter(),
            Err(error) => return replies.into_iter().for_each(|reply| self.not_sent(reply, &error, now)),
        };
        for mut reply in replies {
            match outcomes.next().flatten() {
                Some(outcome) => self.sent(reply, outcome, now),
                None => {
                    reply.maybe_sent = true;
                    self.jobs.push(jobs::send(page.clone(), reply));
                }
            }
        }
    }

    fn not_sent(&mut self, mut reply: Reply, error: &SendError, now: Now) {
        // The page's troubles are not the message's: they end with the page, which its worker sees to.
        let page_gone = !self.ports.gate.borrow().sending;
        if page_gone || matches!(error, SendError::Offline) {
            return self.outbox.retry(reply, now + OFFLINE_WAIT);
        }
        reply.row.attempts += 1;
        let hopeless = matches!(error, SendError::InvalidRecipient);
        let delay = next_try(reply.row.attempts, reply.row.id).filter(|_| !hopeless);
        match delay {
            Some(_) => warn!(%error, attempt = reply.row.attempts, "a reply was not sent; it is tried again"),
            None => error!(%error, reply = reply.row.id, "a reply was given up"),
        }
        self.jobs.push(self.desk.clone().set_back_outbound(reply, error.to_string(), delay));
    }
}

//! The jobs of the pipeline, each a future that ends with what came of it. Calls to the store are made again until
//! Postgres takes them: the order of a chat hangs on them, so nothing overtakes, and nothing is dropped.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use roost_engine::{OutboundText, Page, SendError, SendOutcomes};
use roost_model::causes;
use roost_responder::{Question, Responder, ResponderError};
use roost_store::{Admitted, Completion, Fence, Inbound, NewInbound, Outbound, Store, StoreError};
use tracing::debug;

use super::{context::BATCH, outbound::Reply};
use crate::retry::until_available;

/// What came of a job.
pub(super) enum JobOutcome {
    Admitted {
        batch: Vec<NewInbound>,
        rows: Vec<Admitted>,
    },
    InboundRead(Vec<Inbound>),
    Answered {
        message: Inbound,
        replies: Result<Vec<String>, ResponderError>,
    },
    Completed(Vec<Outbound>),
    OutboundRead(Vec<Outbound>),
    Claimed(Vec<Reply>),
    Sent {
        /// See [`super::context::Gate::opened`].
        opened: u64,
        reply: Reply,
        outcome: Result<(), SendError>,
    },
    /// Sent together by this page, which may not know the outcome of each yet; an error is that of every one.
    SentTogether {
        opened: u64,
        page: Arc<dyn Page>,
        replies: Vec<Reply>,
        outcomes: Result<SendOutcomes, SendError>,
    },
    Marked {
        count: usize,
        /// How many of them were sent again.
        resent: usize,
    },
    /// The failure of a message or reply is durable; `delay` says when it is tried again, `None` that it is given up.
    InboundSetBack {
        message: Inbound,
        delay: Option<Duration>,
    },
    OutboundSetBack {
        reply: Reply,
        delay: Option<Duration>,
    },
    /// Nothing follows from it.
    Confirmed,
    Failed(StoreError),
}

pub(super) type Job = BoxFuture<'static, JobOutcome>;

/// The store in the name of the worker.
#[derive(Clone)]
pub(super) struct FencedStore {
    pub store: Store,
    pub fence: Fence,
}

impl FencedStore {
    pub fn admit(self, batch: Vec<NewInbound>) -> Job {
        Box::pin(async move {
            let batch = Arc::new(batch);
            let admit = || {
                let (fenced, batch) = (self.clone(), batch.clone());
                async move { fenced.store.admit(&fenced.fence, &batch).await }
            };
            match until_available("admit messages", admit).await {
                Ok(rows) => JobOutcome::Admitted { batch: Arc::unwrap_or_clone(batch), rows },
                Err(error) => JobOutcome::Failed(error),
            }
        })
    }

    pub fn read_inbound(self, after: i64) -> Job {
        Box::pin(async move {
            let read = || {
                let fenced = self.clone();
                async move { fenced.store.pending_inbound(&fenced.fence, after, BATCH as u32).await }
            };
            until_available("read pending messages", read)
                .await
                .map_or_else(JobOutcome::Failed, JobOutcome::InboundRead)
        })
    }

    pub fn complete(self, batch: Vec<Completion>) -> Job {
        Box::pin(async move {
            let batch = Arc::new(batch);
            let complete = || {
                let (fenced, batch) = (self.clone(), batch.clone());
                async move { fenced.store.complete(&fenced.fence, &batch).await }
            };
            until_available("complete messages", complete)
                .await
                .map_or_else(JobOutcome::Failed, JobOutcome::Completed)
        })
    }

    pub fn read_outbound(self, after: i64) -> Job {
        Box::pin(async move {
            let read = || {
                let fenced = self.clone();
                async move { fenced.store.pending_outbound(&fenced.fence, after, BATCH as u32).await }
            };
            until_available("read pending replies", read)
                .await
                .map_or_else(JobOutcome::Failed, JobOutcome::OutboundRead)
        })
    }

    pub fn claim(self, mut replies: Vec<Reply>) -> Job {
        Box::pin(async move {
            let ids: Arc<Vec<i64>> = Arc::new(replies.iter().map(|reply| reply.row.id).collect());
            let claim = || {
                let (fenced, ids) = (self.clone(), ids.clone());
                async move { fenced.store.claim(&fenced.fence, &ids).await }
            };
            if let Err(error) = until_available("claim replies", claim).await {
                return JobOutcome::Failed(error);
            }
            replies.iter_mut().for_each(|reply| reply.row.claimed = true);
            JobOutcome::Claimed(replies)
        })
    }

    pub fn mark_sent(self, ids: Vec<i64>, resent: Vec<i64>) -> Job {
        Box::pin(async move {
            let (count, resent_count) = (ids.len(), resent.len());
            let marks = Arc::new((ids, resent));
            let mark = || {
                let (fenced, marks) = (self.clone(), marks.clone());
                async move { fenced.store.mark_sent(&fenced.fence, &marks.0, &marks.1).await }
            };
            until_available("mark replies sent", mark)
                .await
                .map_or_else(JobOutcome::Failed, |()| JobOutcome::Marked { count, resent: resent_count })
        })
    }

    /// Makes it durable that a message could not be answered: for `delay`, or for good.
    pub fn set_back_inbound(self, message: Inbound, error: String, delay: Option<Duration>) -> Job {
        Box::pin(async move {
            let (id, error) = (message.id, Arc::new(error));
            let write = || {
                let (fenced, error) = (self.clone(), error.clone());
                async move {
                    match delay {
                        Some(delay) => fenced.store.retry_inbound(&fenced.fence, id, &error, delay).await,
                        None => fenced.store.bury_inbound(&fenced.fence, id, &error).await,
                    }
                }
            };
            let done = until_available("set a message back", write).await;
            done.map_or_else(JobOutcome::Failed, |()| JobOutcome::InboundSetBack { message, delay })
        })
    }

    /// The same for a reply that could not be sent.
    pub fn set_back_outbound(self, reply: Reply, error: String, delay: Option<Duration>) -> Job {
        Box::pin(async move {
            let (id, error) = (reply.row.id, Arc::new(error));
            let write = || {
                let (fenced, error) = (self.clone(), error.clone());
                async move {
                    match delay {
                        Some(delay) => fenced.store.retry_outbound(&fenced.fence, id, &error, delay).await,
                        None => fenced.store.bury_outbound(&fenced.fence, id, &error).await,
                    }
                }
            };
            let done = until_available("set a reply back", write).await;
            done.map_or_else(JobOutcome::Failed, |()| JobOutcome::OutboundSetBack { reply, delay })
        })
    }
}

pub(super) fn answer(responder: Arc<dyn Responder>, message: Inbound, question: Question) -> Job {
    Box::pin(async move {
        let replies = responder.respond(&question).await;
        JobOutcome::Answered { message, replies }
    })
}

pub(super) fn send(page: Arc<dyn Page>, opened: u64, reply: Reply) -> Job {
    Box::pin(async move {
        let outcome = page.send(&text_of(&reply)).await;
        JobOutcome::Sent { opened, reply, outcome }
    })
}

pub(super) fn send_together(page: Arc<dyn Page>, opened: u64, replies: Vec<Reply>) -> Job {
    Box::pin(async move {
        let texts: Vec<_> = replies.iter().map(text_of).collect();
        let outcomes = page.send_all(&texts).await;
        JobOutcome::SentTogether { opened, page, replies, outcomes }
    })
}

fn text_of(reply: &Reply) -> OutboundText {
    OutboundText {
        whatsapp_id: reply.row.whatsapp_id.clone(),
        chat: reply.row.chat.clone(),
        body: reply.row.body.clone(),
        maybe_sent: reply.maybe_sent,
        only_look: reply.in_doubt,
    }
}

/// Lets the page acknowledge durable messages. If it cannot, WhatsApp delivers them again and they are found.
pub(super) fn confirm(page: Arc<dyn Page>, whatsapp_ids: Vec<String>) -> Job {
    Box::pin(async move {
        if let Err(error) = page.confirm(&whatsapp_ids).await {
            debug!(error = %causes(&error), messages = whatsapp_ids.len(), "the page did not take a confirmation");
        }
        JobOutcome::Confirmed
    })
}

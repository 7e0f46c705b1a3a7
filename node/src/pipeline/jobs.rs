//! The jobs of the pipeline, each a future that ends with what came of it. Calls to the store are made again until
//! Postgres takes them: the order of a chat hangs on them, so nothing overtakes, and nothing is dropped.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use roost_engine::{OutboundText, Page, SendError, SendOutcomes};
use roost_responder::{Question, Responder, ResponderError};
use roost_store::{Admitted, Completion, Fence, Inbound, NewInbound, Outbound, Store, StoreError};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::{inbound::BATCH, outbound::Reply};

/// What came of a job.
pub(super) enum Done {
    Admitted {
        batch: Vec<NewInbound>,
        rows: Vec<Admitted>,
        unsure: bool,
    },
    InboundRead(Vec<Inbound>),
    Answered {
        message: Inbound,
        replies: Result<Vec<String>, ResponderError>,
    },
    Completed(Vec<Outbound>),
    OutboundRead(Vec<Outbound>),
    Sent {
        reply: Reply,
        outcome: Result<(), SendError>,
    },
    /// Sent together by this page, which may not know the outcome of each yet; an error is that of every one.
    SentTogether {
        page: Arc<dyn Page>,
        replies: Vec<Reply>,
        outcomes: Result<SendOutcomes, SendError>,
    },
    Marked {
        count: usize,
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

pub(super) type Job = BoxFuture<'static, Done>;

/// The store in the name of the worker.
#[derive(Clone)]
pub(super) struct Desk {
    pub store: Store,
    pub fence: Fence,
}

impl Desk {
    pub fn admit(self, batch: Vec<NewInbound>) -> Job {
        Box::pin(async move {
            let batch = Arc::new(batch);
            let admit = || {
                let (desk, batch) = (self.clone(), batch.clone());
                async move { desk.store.admit(&desk.fence, &batch).await }
            };
            match insist("admit messages", admit).await {
                Ok((rows, unsure)) => Done::Admitted { batch: Arc::unwrap_or_clone(batch), rows, unsure },
                Err(error) => Done::Failed(error),
            }
        })
    }

    pub fn read_inbound(self, after: i64) -> Job {
        Box::pin(async move {
            let read = || {
                let desk = self.clone();
                async move { desk.store.pending_inbound(&desk.fence, after, BATCH as u32).await }
            };
            insist("read pending messages", read)
                .await
                .map_or_else(Done::Failed, |(rows, _)| Done::InboundRead(rows))
        })
    }

    pub fn complete(self, batch: Vec<Completion>) -> Job {
        Box::pin(async move {
            let batch = Arc::new(batch);
            let complete = || {
                let (desk, batch) = (self.clone(), batch.clone());
                async move { desk.store.complete(&desk.fence, &batch).await }
            };
            insist("complete messages", complete)
                .await
                .map_or_else(Done::Failed, |(rows, _)| Done::Completed(rows))
        })
    }

    pub fn read_outbound(self, after: i64) -> Job {
        Box::pin(async move {
            let read = || {
                let desk = self.clone();
                async move { desk.store.pending_outbound(&desk.fence, after, BATCH as u32).await }
            };
            insist("read pending replies", read)
                .await
                .map_or_else(Done::Failed, |(rows, _)| Done::OutboundRead(rows))
        })
    }

    pub fn mark_sent(self, ids: Vec<i64>) -> Job {
        Box::pin(async move {
            let count = ids.len();
            let ids = Arc::new(ids);
            let mark = || {
                let (desk, ids) = (self.clone(), ids.clone());
                async move { desk.store.mark_sent(&desk.fence, &ids).await }
            };
            insist("mark replies sent", mark).await.map_or_else(Done::Failed, |_| Done::Marked { count })
        })
    }

    /// Makes it durable that a message could not be answered: for `delay`, or for good.
    pub fn set_back_inbound(self, message: Inbound, error: String, delay: Option<Duration>) -> Job {
        Box::pin(async move {
            let (id, error) = (message.id, Arc::new(error));
            let write = || {
                let (desk, error) = (self.clone(), error.clone());
                async move {
                    match delay {
                        Some(delay) => desk.store.retry_inbound(&desk.fence, id, &error, delay).await,
                        None => desk.store.bury_inbound(&desk.fence, id, &error).await,
                    }
                }
            };
            let done = insist("set a message back", write).await;
            done.map_or_else(Done::Failed, |_| Done::InboundSetBack { message, delay })
        })
    }

    /// The same for a reply that could not be sent.
    pub fn set_back_outbound(self, reply: Reply, error: String, delay: Option<Duration>) -> Job {
        Box::pin(async move {
            let (id, error) = (reply.row.id, Arc::new(error));
            let write = || {
                let (desk, error) = (self.clone(), error.clone());
                async move {
                    match delay {
                        Some(delay) => desk.store.retry_outbound(&desk.fence, id, &error, delay).await,
                        None => desk.store.bury_outbound(&desk.fence, id, &error).await,
                    }
                }
            };
            let done = insist("set a reply back", write).await;
            done.map_or_else(Done::Failed, |_| Done::OutboundSetBack { reply, delay })
        })
    }
}

pub(super) fn answer(responder: Arc<dyn Responder>, message: Inbound, question: Question) -> Job {
    Box::pin(async move {
        let replies = responder.respond(&question).await;
        Done::Answered { message, replies }
    })
}

pub(super) fn send(page: Arc<dyn Page>, reply: Reply) -> Job {
    Box::pin(async move {
        let outcome = page.send(&text_of(&reply)).await;
        Done::Sent { reply, outcome }
    })
}

pub(super) fn send_together(page: Arc<dyn Page>, replies: Vec<Reply>) -> Job {
    Box::pin(async move {
        let texts: Vec<_> = replies.iter().map(text_of).collect();
        let outcomes = page.send_all(&texts).await;
        Done::SentTogether { page, replies, outcomes }
    })
}

fn text_of(reply: &Reply) -> OutboundText {
    OutboundText {
        whatsapp_id: reply.row.whatsapp_id.clone(),
        chat: reply.row.chat.clone(),
        body: reply.row.body.clone(),
        maybe_sent: reply.maybe_sent,
    }
}

/// Lets the page acknowledge durable messages. If it cannot, WhatsApp delivers them again and they are found.
pub(super) fn confirm(page: Arc<dyn Page>, whatsapp_ids: Vec<String>) -> Job {
    Box::pin(async move {
        if let Err(error) = page.confirm(&whatsapp_ids).await {
            debug!(%error, messages = whatsapp_ids.len(), "the page did not take a confirmation");
        }
        Done::Confirmed
    })
}

/// Waits between two tries on an unavailable Postgres.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Repeats a call for as long as Postgres is unavailable. The flag says that it took more than one try, so that an
/// earlier one may have been carried out although its answer was lost.
pub(crate) async fn insist<T, F>(step: &'static str, call: impl Fn() -> F) -> Result<(T, bool), StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut wait = FIRST_WAIT;
    let mut unsure = false;
    loop {
        match call().await {
            Err(error @ StoreError::Unavailable { .. }) => {
                if !unsure {
                    warn!(step, %error, "postgres is unavailable; messages wait");
                }
                unsure = true;
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            Err(error) => return Err(error),
            Ok(value) => {
                if unsure {
                    info!(step, "postgres is back");
                }
                return Ok((value, unsure));
            }
        }
    }
}

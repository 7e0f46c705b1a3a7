//! I6: an owner may die at any point. Here it is cut off at every point where it waits for the database, one after the
//! other; a new owner takes over, and each message is answered once and in order.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::pin,
    sync::Mutex,
    task::Poll,
};

use roost_store::{Fence, NewInbound, Outbound, Store, StoreError};

use crate::support::{Db, answer, message};

/// WhatsApp: it delivers until a message is confirmed, and takes a reply with a known id for the first one.
struct Whatsapp {
    unconfirmed: Mutex<Vec<NewInbound>>,
    /// By reply id: how often it was sent.
    received: Mutex<BTreeMap<String, u32>>,
    /// The distinct replies in the order in which they came.
    order: Mutex<Vec<String>>,
}

impl Whatsapp {
    fn with_messages(count: usize) -> Self {
        let messages = (0..count).map(|n| message(&format!("m{n:02}"), &format!("chat{}", n % 2))).collect();
        Self { unconfirmed: Mutex::new(messages), received: Mutex::default(), order: Mutex::default() }
    }

    fn deliver(&self, most: usize) -> Vec<NewInbound> {
        self.unconfirmed.lock().unwrap().iter().take(most).cloned().collect()
    }

    fn confirm(&self, delivered: &[NewInbound]) {
        self.unconfirmed.lock().unwrap().retain(|message| !delivered.contains(message));
    }

    fn send(&self, reply: &Outbound) {
        let mut received = self.received.lock().unwrap();
        let times = received.entry(reply.whatsapp_id.clone()).or_default();
        *times += 1;
        if *times == 1 {
            self.order.lock().unwrap().push(reply.whatsapp_id.clone());
        }
    }
}

/// The life of an owner, as short as it can be: finish what was left, then take and answer what comes.
async fn own(store: &Store, fence: &Fence, whatsapp: &Whatsapp) -> Result<(), StoreError> {
    let left = store.pending_outbound(fence, 0, 100).await?;
    send(store, fence, whatsapp, &left).await?;
    answer_pending(store, fence, whatsapp).await?;
    loop {
        let delivered = whatsapp.deliver(3);
        if delivered.is_empty() {
            return Ok(());
        }
        store.admit(fence, &delivered).await?;
        whatsapp.confirm(&delivered);
        answer_pending(store, fence, whatsapp).await?;
    }
}

async fn answer_pending(store: &Store, fence: &Fence, whatsapp: &Whatsapp) -> Result<(), StoreError> {
    let pending = store.pending_inbound(fence, 0, 100).await?;
    let completions: Vec<_> = pending.iter().map(answer).collect();
    let queued = store.complete(fence, &completions).await?;
    send(store, fence, whatsapp, &queued).await
}

async fn send(store: &Store, fence: &Fence, whatsapp: &Whatsapp, replies: &[Outbound]) -> Result<(), StoreError> {
    for reply in replies {
        whatsapp.send(reply);
        store.mark_sent(fence, &[reply.id]).await?;
    }
    Ok(())
}

/// Runs until it has been polled so often, then drops it where it stands. `None`: it was cut off.
async fn cut_off_after<T>(polls: u32, life: impl Future<Output = T>) -> Option<T> {
    let mut life = pin!(life);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        life.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test]
async fn an_owner_that_is_cut_off_anywhere_loses_nothing_and_doubles_nothing() {
    const MESSAGES: usize = 8;
    let db = Db::new().await;
    let mut cuts = 0;
    for polls in 1.. {
        let id = format!("t{polls}");
        let whatsapp = Whatsapp::with_messages(MESSAGES);
        let first = db.owned(&id).await;
        let outcome = cut_off_after(polls, own(&db.store, &first, &whatsapp)).await;
        let second = db.place(&first.tenant, "b").await;
        own(&db.store, &second, &whatsapp).await.unwrap();
        check(&db, &second, &whatsapp, MESSAGES, polls).await;
        match outcome {
            Some(whole_life) => {
                whole_life.unwrap();
                break;
            }
            None => cuts += 1,
        }
    }
    assert!(cuts > 20, "only {cuts} points to be cut off at: the test has lost its grip");
}

async fn check(db: &Db, fence: &Fence, whatsapp: &Whatsapp, messages: usize, polls: u32) {
    let expected: Vec<String> = (0..messages).map(|n| format!("reply-m{n:02}")).collect();
    let order = whatsapp.order.lock().unwrap().clone();
    assert_eq!(order, expected, "cut off after {polls} polls: lost, doubled or out of order");
    let resent = whatsapp.received.lock().unwrap().values().filter(|times| **times > 1).count();
    assert!(resent <= 1, "cut off after {polls} polls: {resent} replies were sent again, and only one was in flight");
    assert!(db.store.pending_inbound(fence, 0, 1).await.unwrap().is_empty());
    assert!(db.store.pending_outbound(fence, 0, 1).await.unwrap().is_empty());
    let filter = roost_store::MessageFilter { tenant: Some(fence.tenant.clone()), ..Default::default() };
    let log = db.store.list_messages(&filter, None, 100).await.unwrap();
    assert_eq!(log.len(), 2 * messages, "cut off after {polls} polls: each message and reply is logged once");
}

#[tokio::test]
async fn a_cut_off_call_leaves_the_pool_usable() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    for polls in 1..60 {
        let batch = [message(&format!("m{polls}"), "c")];
        cut_off_after(polls % 6, db.store.admit(&fence, &batch)).await;
    }
    db.store.admit(&fence, &[message("last", "c")]).await.unwrap();
}

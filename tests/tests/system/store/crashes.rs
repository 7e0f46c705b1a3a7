//! I6: an owner may die at any point. Here it dies between any two steps, and at points where a statement is under way,
//! one after the other; a new owner takes over, and each message is answered once and in order.

use std::{cell::Cell, collections::BTreeMap, future::poll_fn, pin::pin, sync::Mutex, task::Poll};

use roost_store::{Fence, NewInbound, Outbound, Store, StoreError};

use crate::store::support::{Db, answer, message};

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

/// How many more steps an owner lives.
struct Life(Cell<u32>);

/// Why an owner stopped.
#[derive(Debug)]
enum End {
    Died,
    Refused(#[expect(dead_code, reason = "shown when a test fails")] StoreError),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl Life {
    /// Goes before every step that leaves a trace anywhere.
    fn step(&self) -> Result<(), End> {
        let left = self.0.get().checked_sub(1).ok_or(End::Died)?;
        self.0.set(left);
        Ok(())
    }
}

/// What an owner does, as short as it can be: finish what was left, then take and answer what comes.
async fn own(store: &Store, fence: &Fence, whatsapp: &Whatsapp, life: &Life) -> Result<(), End> {
    let left = store.pending_outbound(fence, 0, 100).await?;
    send(store, fence, whatsapp, life, &left).await?;
    answer_pending(store, fence, whatsapp, life).await?;
    loop {
        let delivered = whatsapp.deliver(3);
        if delivered.is_empty() {
            return Ok(());
        }
        life.step()?;
        store.admit(fence, &delivered).await?;
        life.step()?;
        whatsapp.confirm(&delivered);
        answer_pending(store, fence, whatsapp, life).await?;
    }
}

async fn answer_pending(store: &Store, fence: &Fence, whatsapp: &Whatsapp, life: &Life) -> Result<(), End> {
    let pending = store.pending_inbound(fence, 0, 100).await?;
    let completions: Vec<_> = pending.iter().map(answer).collect();
    life.step()?;
    let queued = store.complete(fence, &completions).await?;
    send(store, fence, whatsapp, life, &queued).await
}

async fn send(
    store: &Store,
    fence: &Fence,
    whatsapp: &Whatsapp,
    life: &Life,
    replies: &[Outbound],
) -> Result<(), End> {
    for reply in replies {
        life.step()?;
        whatsapp.send(reply);
        life.step()?;
        store.mark_sent(fence, &[reply.id], &[]).await?;
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

const MESSAGES: usize = 8;

fn immortal() -> Life {
    Life(Cell::new(u32::MAX))
}

#[tokio::test]
async fn an_owner_that_dies_between_any_two_steps_loses_nothing_and_doubles_nothing() {
    let db = Db::new().await;
    for steps in 0.. {
        let whatsapp = Whatsapp::with_messages(MESSAGES);
        let first = db.owned(&format!("t{steps}")).await;
        let outcome = own(&db.store, &first, &whatsapp, &Life(Cell::new(steps))).await;
        let second = db.place(&first.tenant, "b").await;
        own(&db.store, &second, &whatsapp, &immortal()).await.unwrap();
        check(&db, &second, &whatsapp, &format!("died after {steps} steps")).await;
        match outcome {
            Err(End::Died) => {}
            Ok(()) => return assert!(steps > 20, "only {steps} steps to die between"),
            Err(refused) => panic!("{refused:?}"),
        }
    }
}

#[tokio::test]
async fn an_owner_that_is_cut_off_in_the_middle_of_a_call_loses_nothing_and_doubles_nothing() {
    let db = Db::new().await;
    let mut cuts = 0;
    for polls in 1..40 {
        let whatsapp = Whatsapp::with_messages(MESSAGES);
        let first = db.owned(&format!("t{polls}")).await;
        let outcome = cut_off_after(polls, own(&db.store, &first, &whatsapp, &immortal())).await;
        let second = db.place(&first.tenant, "b").await;
        own(&db.store, &second, &whatsapp, &immortal()).await.unwrap();
        check(&db, &second, &whatsapp, &format!("cut off after {polls} polls")).await;
        match outcome {
            Some(whole_life) => whole_life.unwrap(),
            None => cuts += 1,
        }
    }
    assert!(cuts > 10, "only {cuts} points to be cut off at: the test has lost its grip");
}

async fn check(db: &Db, fence: &Fence, whatsapp: &Whatsapp, case: &str) {
    let expected: Vec<String> = (0..MESSAGES).map(|n| format!("reply-m{n:02}")).collect();
    let order = whatsapp.order.lock().unwrap().clone();
    assert_eq!(order, expected, "{case}: lost, doubled or out of order");
    let resent = whatsapp.received.lock().unwrap().values().filter(|times| **times > 1).count();
    assert!(resent <= 1, "{case}: {resent} replies were sent again, and only one was in flight");
    assert!(db.store.pending_inbound(fence, 0, 1).await.unwrap().is_empty());
    assert!(db.store.pending_outbound(fence, 0, 1).await.unwrap().is_empty());
    assert_eq!(db.astray().await, 0, "{case}");
    let filter = roost_store::MessageFilter { tenant: Some(fence.tenant.clone()), ..Default::default() };
    let log = db.store.list_messages(&filter, None, 100).await.unwrap();
    assert_eq!(log.len(), 2 * MESSAGES, "{case}: each message and reply is logged once");
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

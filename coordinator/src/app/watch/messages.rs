//! WatchMessages: the last messages, then each new one.
//!
//! Nobody is notified of new messages (a notification would cost more than the message), so the log is read again and
//! again: by the process's one feed, for all who follow messages.

use std::time::{Duration, Instant};

use roost_store::{Message, MessageFilter, Store, StoreError};
use tokio::time::sleep;

use super::{
    feed::{Feed, Follower, Reader, Source},
    streams::{Outlet, Watched},
    tail::Tail,
};
use crate::app::{App, Error};

/// From one reading to the next.
const READ_EVERY: Duration = Duration::from_millis(250);
const CHUNK: u32 = 500;
/// The newest rows at the beginning, among which one may still appear.
const LOOK_BACK: u32 = 100;

impl App {
    /// The last `backlog` messages, oldest first, then each new one.
    pub async fn watch_messages(
        &self,
        filter: MessageFilter,
        backlog: u32,
    ) -> Result<Watched<Message>, Error> {
        self.check_tenant(filter.tenant.as_ref()).await?;
        let begun = begin(self.store()?.clone(), &self.feeds.messages, filter, backlog).await?;
        let (feed, backlog, watch) = begun;
        self.streams.open(|outlet| feed.run(watch, backlog, outlet))
    }
}

/// The end of the log, of all tenants.
struct LogEnd {
    store: Store,
    tail: Tail,
    /// How far this reading has got.
    after: Option<i64>,
}

impl LogEnd {
    async fn begin(store: Store) -> Result<Self, StoreError> {
        let newest = store.list_messages(&MessageFilter::default(), None, LOOK_BACK).await?;
        let tail = Tail::begin(newest.iter().rev().map(|message| message.id), Instant::now());
        Ok(Self { store, tail, after: None })
    }
}

impl Source for LogEnd {
    type Item = Message;

    async fn wait(&mut self) {
        sleep(READ_EVERY).await;
    }

    async fn read(&mut self) -> Result<(Vec<Message>, bool), StoreError> {
        let now = Instant::now();
        let after = self.after.take().unwrap_or_else(|| {
            self.tail.settle(now);
            self.tail.floor()
        });
        let (messages, next) =
            new_after(&self.store, &MessageFilter::default(), after, &mut self.tail, now).await?;
        self.after = next;
        Ok((messages, next.is_some()))
    }
}

/// The last messages of those that there are, and who goes on from there.
async fn begin(
    store: Store,
    feed: &Feed<Message>,
    filter: MessageFilter,
    backlog: u32,
) -> Result<(Follower<Message>, Vec<Message>, WatchMessages), StoreError> {
    // First, so that nothing is missed between the two.
    let feed = feed.follow(LogEnd::begin(store.clone())).await?;
    let mut newest = store.list_messages(&filter, None, backlog.max(LOOK_BACK)).await?;
    newest.reverse();
    let tail = Tail::begin(newest.iter().map(|message| message.id), Instant::now());
    let older = newest.len().saturating_sub(backlog as usize);
    Ok((feed, newest.split_off(older), WatchMessages { store, filter, tail }))
}

struct WatchMessages {
    store: Store,
    filter: MessageFilter,
    /// What was sent.
    tail: Tail,
}

impl WatchMessages {
    /// Those of them that the caller wants and has not got.
    fn new_ones(&mut self, messages: &[Message]) -> Vec<Message> {
        let now = Instant::now();
        self.tail.settle(now);
        let wanted = messages.iter().filter(|message| self.filter.takes(message));
        wanted.filter(|message| self.tail.is_new(message.id, now)).cloned().collect()
    }
}

impl Reader<Message> for WatchMessages {
    async fn take(&mut self, outlet: &Outlet<Message>, messages: &[Message]) {
        send(outlet, self.new_ones(messages)).await;
    }

    async fn catch_up(&mut self, outlet: &Outlet<Message>) -> Result<(), StoreError> {
        let now = Instant::now();
        self.tail.settle(now);
        let mut after = Some(self.tail.floor());
        while let Some(from) = after {
            let (messages, next) = new_after(&self.store, &self.filter, from, &mut self.tail, now).await?;
            send(outlet, messages).await;
            after = next;
        }
        Ok(())
    }
}

/// Those after `after` that were not read yet, and from where to go on if there may be more.
async fn new_after(
    store: &Store,
    filter: &MessageFilter,
    after: i64,
    tail: &mut Tail,
    now: Instant,
) -> Result<(Vec<Message>, Option<i64>), StoreError> {
    let mut messages = store.messages_after(filter, after, CHUNK).await?;
    let next = messages.last().filter(|_| messages.len() == CHUNK as usize).map(|last| last.id);
    messages.retain(|message| tail.is_new(message.id, now));
    Ok((messages, next))
}

async fn send(outlet: &Outlet<Message>, messages: Vec<Message>) {
    for message in messages {
        outlet.send(message).await;
    }
}

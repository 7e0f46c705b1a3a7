//! WatchMessages: the last messages, then each new one.
//!
//! Nobody is notified of new messages (a notification would cost more than the message), so the log is read again and
//! again. Ids are given before their rows are committed, so a row may appear below one that was sent already. Each
//! reading therefore begins at a floor that follows some seconds behind, and [`Tail`] remembers what was sent above it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use roost_store::{Message, MessageFilter, Store, StoreError};

use super::streams::{Outage, Outlet, Watched};
use crate::app::{App, Error};

/// From one reading to the next.
const READ_EVERY: Duration = Duration::from_millis(250);
/// How long a row may take from its id to its commit and still be sent.
const LATE: Duration = Duration::from_secs(5);
/// Sent rows that are remembered; with more than these in [`LATE`], a row that comes late may be missed.
const REMEMBERED: usize = 4_096;
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
        let watch = WatchMessages::begin(self.store()?.clone(), filter, backlog).await?;
        self.streams.open(|outlet| watch.run(outlet))
    }
}

struct WatchMessages {
    store: Store,
    filter: MessageFilter,
    tail: Tail,
    backlog: Vec<Message>,
}

impl WatchMessages {
    /// Reads the end of the log: what is written after this is sent.
    async fn begin(store: Store, filter: MessageFilter, backlog: u32) -> Result<Self, StoreError> {
        let mut newest = store.list_messages(&filter, None, backlog.max(LOOK_BACK)).await?;
        newest.reverse();
        let tail = Tail::begin(newest.iter().map(|message| message.id), Instant::now());
        let older = newest.len().saturating_sub(backlog as usize);
        Ok(Self { store, filter, tail, backlog: newest.split_off(older) })
    }

    async fn run(self, outlet: Outlet<Message>) -> Error {
        let Self { store, filter, mut tail, backlog } = self;
        let mut outage = Outage::default();
        send(&outlet, backlog).await;
        loop {
            tokio::time::sleep(READ_EVERY).await;
            if let Err(error) = catch_up(&store, &filter, &mut tail, &outlet).await {
                if let Err(end) = outage.sit_out(error) {
                    return end;
                }
            } else {
                outage.over();
            }
        }
    }
}

async fn catch_up(
    store: &Store,
    filter: &MessageFilter,
    tail: &mut Tail,
    outlet: &Outlet<Message>,
) -> Result<(), StoreError> {
    let now = Instant::now();
    tail.settle(now);
    let mut after = tail.floor;
    loop {
        let mut messages = store.messages_after(filter, after, CHUNK).await?;
        let Some(last) = messages.last() else { return Ok(()) };
        after = last.id;
        let more = messages.len() == CHUNK as usize;
        messages.retain(|message| tail.is_new(message.id, now));
        send(outlet, messages).await;
        if !more {
            return Ok(());
        }
    }
}

async fn send(outlet: &Outlet<Message>, messages: Vec<Message>) {
    for message in messages {
        outlet.send(message).await;
    }
}

/// What has been sent.
#[derive(Debug, Default)]
struct Tail {
    /// Everything up to this id has been sent or came too late.
    floor: i64,
    /// What was sent above the floor, and when.
    sent: BTreeMap<i64, Instant>,
}

impl Tail {
    /// The rows of these ids, in order, are all there were at the end of the log; they count as sent.
    fn begin(ids: impl Iterator<Item = i64>, now: Instant) -> Self {
        let sent: BTreeMap<i64, Instant> = ids.map(|id| (id, now)).collect();
        Self { floor: sent.keys().next().map_or(0, |first| first - 1), sent }
    }

    /// Whether the row has not been sent; it counts as sent from now on.
    fn is_new(&mut self, id: i64, now: Instant) -> bool {
        if id <= self.floor || self.sent.contains_key(&id) {
            return false;
        }
        self.sent.insert(id, now);
        true
    }

    /// Raises the floor over what was sent long enough ago.
    fn settle(&mut self, now: Instant) {
        while let Some(first) = self.sent.first_entry() {
            if now.duration_since(*first.get()) < LATE && self.sent.len() <= REMEMBERED {
                return;
            }
            if let Some((id, _)) = self.sent.pop_first() {
                self.floor = id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_appears_below_one_already_sent_is_sent_once() {
        let (mut tail, now) = (Tail::default(), Instant::now());
        assert!(tail.is_new(11, now));
        tail.settle(now + LATE / 2);
        assert!(tail.is_new(10, now + LATE / 2));
        assert!(!tail.is_new(10, now + LATE / 2));
        assert!(!tail.is_new(11, now + LATE / 2));
    }

    #[test]
    fn a_tail_begins_at_the_end_of_the_log() {
        let now = Instant::now();
        let mut tail = Tail::begin([40, 42].into_iter(), now);
        assert_eq!(tail.floor, 39);
        let told: Vec<_> = (1..=43).filter(|id| tail.is_new(*id, now)).collect();
        assert_eq!(told, [41, 43]);
        assert_eq!(Tail::begin([].into_iter(), now).floor, 0);
    }

    #[test]
    fn the_floor_follows_and_what_is_below_it_is_not_read_again() {
        let (mut tail, now) = (Tail::default(), Instant::now());
        tail.is_new(10, now);
        tail.is_new(12, now + LATE);
        tail.settle(now + LATE);
        assert_eq!((tail.floor, tail.sent.len()), (10, 1));
        assert!(!tail.is_new(9, now + LATE));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut tail, now) = (Tail::default(), Instant::now());
        for id in 1..=REMEMBERED as i64 * 2 {
            tail.is_new(id, now);
        }
        tail.settle(now);
        assert_eq!(tail.sent.len(), REMEMBERED);
        assert_eq!(tail.floor, REMEMBERED as i64);
    }
}

//! WatchEvents: the last events, then each new one.

use std::convert::Infallible;

use roost_store::{ClusterChange, ClusterEvent, EventFilter, Store, StoreError};

use super::{
    feed::{Feed, Follower, Next, Source},
    streams::{Outlet, Watched},
    wakeups::ClusterWakeups,
};
use crate::app::{App, Error};

const CHUNK: u32 = 500;

impl App {
    /// The last `backlog` events, oldest first, then each new one.
    pub async fn watch_events(
        &self,
        filter: EventFilter,
        backlog: u32,
    ) -> Result<Watched<ClusterEvent>, Error> {
        let watch = WatchEvents::begin(self.store()?.clone(), &self.feeds.events, filter, backlog).await?;
        self.streams.open(|outlet| watch.run(outlet))
    }
}

/// The end of the history.
struct HistoryEnd {
    store: Store,
    wakeups: ClusterWakeups,
    /// All up to this one have been read.
    seen: i64,
}

impl HistoryEnd {
    async fn begin(store: Store) -> Result<Self, StoreError> {
        let wakeups = ClusterWakeups::of(&store, ClusterChange::Event);
        let seen = store.last_event_id().await?;
        Ok(Self { store, wakeups, seen })
    }
}

impl Source for HistoryEnd {
    type Item = ClusterEvent;

    async fn wait(&mut self) {
        self.wakeups.next().await;
    }

    async fn read(&mut self) -> Result<(Vec<ClusterEvent>, bool), StoreError> {
        let events = self.store.events_after(&EventFilter::default(), self.seen, CHUNK).await?;
        self.seen = events.last().map_or(self.seen, |last| last.id);
        let more = events.len() == CHUNK as usize;
        Ok((events, more))
    }
}

struct WatchEvents {
    store: Store,
    filter: EventFilter,
    feed: Follower<ClusterEvent>,
    /// What was there before the call, oldest first.
    backlog: Vec<ClusterEvent>,
    /// All up to this one that the caller wants have been sent.
    seen: i64,
}

impl WatchEvents {
    /// Reads what there is: what happens after this is sent.
    async fn begin(
        store: Store,
        feed: &Feed<ClusterEvent>,
        filter: EventFilter,
        backlog: u32,
    ) -> Result<Self, StoreError> {
        let feed = feed.follow(HistoryEnd::begin(store.clone())).await?;
        let seen = store.last_event_id().await?;
        let mut backlog = match backlog {
            0 => Vec::new(),
            _ => store.list_events(&filter, Some(seen + 1), backlog).await?,
        };
        backlog.reverse();
        Ok(Self { store, filter, feed, backlog, seen })
    }

    async fn run(mut self, outlet: Outlet<ClusterEvent>) -> Error {
        let Err(end) = self.follow(&outlet).await;
        end
    }

    async fn follow(&mut self, outlet: &Outlet<ClusterEvent>) -> Result<Infallible, Error> {
        for event in std::mem::take(&mut self.backlog) {
            outlet.send(event).await;
        }
        loop {
            match self.feed.next().await? {
                Next::Take(events) => self.send(outlet, &events).await,
                Next::CatchUp => {
                    let outcome = self.catch_up(outlet).await;
                    self.feed.caught_up(outcome)?;
                }
            }
        }
    }

    async fn send(&mut self, outlet: &Outlet<ClusterEvent>, events: &[ClusterEvent]) {
        for event in events.iter().filter(|event| event.id > self.seen && self.filter.takes(event)) {
            outlet.send(event.clone()).await;
        }
        self.seen = events.last().map_or(self.seen, |last| last.id.max(self.seen));
    }

    async fn catch_up(&mut self, outlet: &Outlet<ClusterEvent>) -> Result<(), StoreError> {
        loop {
            let events = self.store.events_after(&self.filter, self.seen, CHUNK).await?;
            self.send(outlet, &events).await;
            if events.len() < CHUNK as usize {
                return Ok(());
            }
        }
    }
}

//! WatchEvents: the last events, then each new one.

use roost_store::{ClusterChange, ClusterEvent, EventFilter, Store, StoreError};

use super::{
    feed::{Feed, Follower, Reader, Source},
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
        let begun = begin(self.store()?.clone(), &self.feeds.events, filter, backlog).await?;
        let (feed, backlog, watch) = begun;
        self.streams.open(|outlet| feed.run(watch, backlog, outlet))
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

/// What was there before the call, oldest first, and who goes on from there.
async fn begin(
    store: Store,
    feed: &Feed<ClusterEvent>,
    filter: EventFilter,
    backlog: u32,
) -> Result<(Follower<ClusterEvent>, Vec<ClusterEvent>, WatchEvents), StoreError> {
    let feed = feed.follow(HistoryEnd::begin(store.clone())).await?;
    let seen = store.last_event_id().await?;
    let mut backlog = match backlog {
        0 => Vec::new(),
        _ => store.list_events(&filter, Some(seen + 1), backlog).await?,
    };
    backlog.reverse();
    Ok((feed, backlog, WatchEvents { store, filter, seen }))
}

struct WatchEvents {
    store: Store,
    filter: EventFilter,
    /// All up to this one that the caller wants have been sent.
    seen: i64,
}

impl Reader<ClusterEvent> for WatchEvents {
    async fn take(&mut self, outlet: &Outlet<ClusterEvent>, events: &[ClusterEvent]) {
        for event in events.iter().filter(|event| event.id > self.seen && self.filter.takes(event)) {
            outlet.send(event.clone()).await;
        }
        self.seen = events.last().map_or(self.seen, |last| last.id.max(self.seen));
    }

    async fn catch_up(&mut self, outlet: &Outlet<ClusterEvent>) -> Result<(), StoreError> {
        loop {
            let events = self.store.events_after(&self.filter, self.seen, CHUNK).await?;
            self.take(outlet, &events).await;
            if events.len() < CHUNK as usize {
                return Ok(());
            }
        }
    }
}

//! WatchEvents: the last events, then each new one.

use roost_store::{ClusterChange, ClusterEvent, EventFilter, Store, StoreError};

use super::{
    streams::{Outage, Outlet, Watched},
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
        let watch = WatchEvents::begin(self.store()?.clone(), filter, backlog).await?;
        self.streams.open(|outlet| watch.run(outlet))
    }
}

struct WatchEvents {
    store: Store,
    filter: EventFilter,
    wakeups: ClusterWakeups,
    /// What was there before the call, oldest first.
    backlog: Vec<ClusterEvent>,
    /// All up to this one have been read.
    seen: i64,
}

impl WatchEvents {
    /// Reads what there is: what happens after this is sent.
    async fn begin(store: Store, filter: EventFilter, backlog: u32) -> Result<Self, StoreError> {
        let wakeups = ClusterWakeups::of(&store, ClusterChange::Event);
        let seen = store.last_event_id().await?;
        let mut backlog = match backlog {
            0 => Vec::new(),
            _ => store.list_events(&filter, Some(seen + 1), backlog).await?,
        };
        backlog.reverse();
        Ok(Self { store, filter, wakeups, backlog, seen })
    }

    async fn run(mut self, outlet: Outlet<ClusterEvent>) -> Error {
        let mut outage = Outage::default();
        for event in std::mem::take(&mut self.backlog) {
            outlet.send(event).await;
        }
        loop {
            match self.store.events_after(&self.filter, self.seen, CHUNK).await {
                Ok(events) => {
                    outage.over();
                    let more = events.len() == CHUNK as usize;
                    for event in events {
                        self.seen = event.id;
                        outlet.send(event).await;
                    }
                    if more {
                        continue;
                    }
                }
                Err(error) => {
                    if let Err(end) = outage.sit_out(error) {
                        return end;
                    }
                }
            }
            self.wakeups.next().await;
        }
    }
}

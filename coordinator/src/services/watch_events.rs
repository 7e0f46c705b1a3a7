//! WatchEvents: the last events, then each new one.

use roost_proto::{error::ApiError, v1};
use roost_store::{ClusterChange, ClusterEvent, EventFilter, Store, StoreError};

use super::news::News;
use crate::{
    stream::{Outage, Outlet},
    wire,
};

const CHUNK: u32 = 500;

pub struct WatchEvents {
    store: Store,
    filter: EventFilter,
    news: News,
    /// What was there before the call, oldest first.
    backlog: Vec<ClusterEvent>,
    /// All up to this one have been read.
    seen: i64,
}

impl WatchEvents {
    /// Reads what there is: what happens after this is told.
    pub async fn begin(store: Store, filter: EventFilter, backlog: u32) -> Result<Self, StoreError> {
        let news = News::of(&store, ClusterChange::Event);
        let seen = store.last_event_id().await?;
        let mut backlog = match backlog {
            0 => Vec::new(),
            _ => store.list_events(&filter, Some(seen + 1), backlog).await?,
        };
        backlog.reverse();
        Ok(Self { store, filter, news, backlog, seen })
    }

    pub async fn run(mut self, outlet: Outlet<v1::Event>) -> ApiError {
        let mut outage = Outage::default();
        for event in std::mem::take(&mut self.backlog) {
            outlet.send(wire::event(event)).await;
        }
        loop {
            match self.store.events_after(&self.filter, self.seen, CHUNK).await {
                Ok(events) => {
                    outage.over();
                    let more = events.len() == CHUNK as usize;
                    for event in events {
                        self.seen = event.id;
                        outlet.send(wire::event(event)).await;
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
            self.news.next().await;
        }
    }
}

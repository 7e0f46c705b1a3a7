//! What a process reads for all streams together.

use roost_store::{ClusterEvent, Message};

use super::{
    feed::Feed,
    figures_source::Figures,
    row_sources::{Operations, Sessions},
    state_feed::StateFeed,
    worker_source::{AllWorkers, EachWorker},
};

/// The feeds of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Feeds {
    pub(super) messages: Feed<Message>,
    pub(super) events: Feed<ClusterEvent>,
    pub(super) workers: StateFeed<AllWorkers>,
    pub(super) each_worker: StateFeed<EachWorker>,
    pub(super) figures: StateFeed<Figures>,
    pub(super) sessions: StateFeed<Sessions>,
    pub(super) operations: StateFeed<Operations>,
}

//! What callers follow as it changes, one file each.
//!
//! What callers follow is read once for all of them, by a reader that is woken by a change in the database and from time to time
//! (`wakeups`): logs, to which rows are added (`feed`, `tail`), and how things stand (`state_feed`, `state_log`). A stream is
//! a task that sits out a short outage and puts what it is told into a small channel (`streams`).

mod events;
mod feed;
mod feeds;
mod figures_source;
mod messages;
mod operation;
mod row_sources;
mod session;
mod setup_request;
mod state_feed;
mod state_log;
mod streams;
mod tail;
mod wakeups;
mod worker_source;
mod workers;

pub use feeds::Feeds;
pub use streams::{Outlet, Streams, Watched};
pub use wakeups::TenantWakeups;
pub use workers::{WorkerChange, WorkerNews};

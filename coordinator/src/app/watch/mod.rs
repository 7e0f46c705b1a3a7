//! What callers follow as it changes, one file each.
//!
//! A watch is a task that reads what there is and says what differs from what it has said. It is woken by a change in the
//! database and from time to time (`wakeups`), sits out a short outage, and puts what it has to say into a small channel
//! (`streams`). What all callers follow alike, messages and events, is read once for all of them (`feed`).

mod events;
mod feed;
mod messages;
mod operation;
mod session;
mod streams;
mod tail;
mod wakeups;
mod workers;

pub use feed::Feeds;
pub use streams::{Streams, Watched};
pub use wakeups::TenantWakeups;
pub use workers::WorkerChange;

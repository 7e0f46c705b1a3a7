//! The services of roost.v1, one file each, and one for each stream.

mod cluster;
mod messages;
mod news;
mod nodes;
mod operations;
mod paging;
mod sessions;
mod status;
mod tenants;
mod watch_events;
mod watch_messages;
mod watch_operation;
mod watch_session;
mod watch_workers;
mod word;
mod workers;

pub use cluster::Clusters;
pub use messages::Messages;
pub use nodes::Nodes;
pub use operations::Operations;
pub use sessions::Sessions;
pub use tenants::Tenants;
pub use workers::Workers;

//! The services of roost.v1, one file each, and one for each stream.

mod messages;
mod nodes;
mod paging;
mod sessions;
mod tail_messages;
mod tenants;
mod watch_qr;
mod watch_workers;
mod word;
mod workers;

pub use messages::Messages;
pub use nodes::Nodes;
pub use sessions::Sessions;
pub use tenants::Tenants;
pub use workers::Workers;

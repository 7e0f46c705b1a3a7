//! The services of roost.v1, one file each.

mod access;
mod chats;
mod cluster;
mod members;
mod messages;
mod nodes;
mod operations;
mod sessions;
mod setups;
mod tenants;
mod users;
mod versions;
mod worker_inspection;
mod workers;

pub use access::Accesses;
pub use chats::Chats;
pub use cluster::Clusters;
pub use members::Members;
pub use messages::Messages;
pub use nodes::Nodes;
pub use operations::Operations;
pub use sessions::Sessions;
pub use setups::Setups;
pub use tenants::Tenants;
pub use users::Users;
pub use versions::Versions;
pub use worker_inspection::WorkerInspection;
pub use workers::Workers;

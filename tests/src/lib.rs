//! The harness of the scenarios: a cluster of real processes in a directory of its own, conversations whose answers can
//! be counted, and a judge that the simulator's own records are put before when a scenario ends.
//!
//! Checkers are kept apart from scenarios: a scenario says what is done to the cluster, [`judge`] and [`conversation`]
//! say what must be true afterwards, whatever was done.

pub mod bots;
pub mod breakable_browser;
pub mod chaos;
pub mod claims;
pub mod conversation;
#[cfg(test)]
mod fixtures;
pub mod judge;
mod new_tenant;
pub mod own_mount;
pub mod processor_time;
pub mod resends;
pub mod scenario;
mod spares;

pub use conversation::Conversation;
pub use new_tenant::new_tenant;
pub use scenario::{SOON, Scenario};

//! The whole controller over the registry and the ledger in memory, with nodes that do what they are told. Time is
//! paused: it jumps to the next timer, so the figures here are those of the protocol and not of a machine.

mod commits;
mod compaction;
mod complaints;
mod crash_injector;
mod delayed_failover;
mod failed_preparations;
mod failover_breaker;
mod failure_detector;
mod generations;
mod guards;
mod impairments;
mod mirror;
mod moves;
mod node;
mod outages;
mod placement;
mod questions;
mod recorder;
mod resumption;
mod severable_ledger;
mod test_cluster;
mod two_stores;

pub(super) use node::live_node;

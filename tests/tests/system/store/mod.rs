//! The store on real Postgres: one server for this binary, one database for each test, so that tests run in parallel
//! and none sees another's rows.
//!
//! The judges are elsewhere than the code they judge: what must be in the tables is read with plain SQL.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test, in its helpers too")]

mod ages;
mod answering;
mod applies;
mod changes;
mod crashes;
mod dead_letters;
mod deadlocks;
mod deletions;
mod durability;
mod erasure;
mod events;
mod fencing;
mod fleet;
mod labels;
mod ledger;
mod ledger_cost;
mod limits;
mod log_levels;
mod log_tails;
mod message_cost;
mod migrations;
mod node_orders;
mod operations;
mod outages;
mod pairing;
mod pins;
mod policy;
mod poolers;
mod purge;
mod queues;
mod read_only_server;
mod records;
mod refusals;
mod scan_pauses;
mod session_imports;
mod sessions;
mod settings_updates;
mod snapshot_orphans;
mod snapshots;
pub mod support;
mod takeovers;
mod tenants;
mod throughput;
mod tls;
mod versions;
mod worker_changes;
mod workers;

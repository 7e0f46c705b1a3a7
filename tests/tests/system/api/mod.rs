//! The admin API as a caller meets it: through the generated client, on a coordinator with a real Postgres and a real
//! etcd. Where a node is needed, the test registers one and says what a node would say.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test, in its helpers too")]

mod access;
mod any_call;
mod apply;
mod auth;
mod cluster;
mod console;
mod drains;
mod fake_nodes;
mod fleet;
mod fleet_moves;
pub mod harness;
mod json;
mod legacy;
mod lifecycle;
mod messages;
mod moves;
mod nodes;
mod oidc;
mod operations;
mod orders;
mod outages;
mod pairing;
mod portal;
mod rebalances;
mod reflection;
mod refusals;
mod sessions;
mod settings_updates;
mod streams;
mod tenants;
mod watch_chosen;
mod wire;
mod workers;

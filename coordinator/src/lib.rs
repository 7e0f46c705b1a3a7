//! The coordinator: the admin API, and a candidate for the controller.
//!
//! ```text
//!  caller --gRPC--> auth --> codec --> services/*  --> request (every field checked)
//!                   |                     |      \---> stream, services/word (Watch and Tail)
//!               tokens                    v
//!                                  store (Postgres)      registry (etcd) <-- NodeService
//!                                         ^                      ^
//!                                         +---- controller ------+   one of all coordinators acts
//! ```
//!
//! A call never waits for a node: what an operator asks for is written to Postgres, and the controller and the nodes
//! see it there. Any number of coordinators serve side by side and none keeps anything that another would miss (I3).
//! Postgres and etcd may be down at any time, at the start too: calls that need them answer UNAVAILABLE and name what is
//! down, [`health`] says the same per service, and nothing here has to be restarted.
//!
//! Start reading at [`coordinator`], which puts the parts together, then [`services`]; [`fault`] is the table of errors.

mod announce;
pub mod auth;
mod backend;
pub mod config;
pub mod coordinator;
pub mod fault;
pub mod health;
pub mod orders;
pub mod request;
mod retention;
mod server;
pub mod services;
mod stream;
pub mod tokens;
mod wire;

pub use config::Config;
pub use coordinator::{Coordinator, StartError, StopError};

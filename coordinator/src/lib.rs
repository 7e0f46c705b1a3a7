//! The coordinator: the admin API, and a candidate for the controller.
//!
//! ```text
//!  caller --gRPC--> grpc (translates) --> app (decides, writes, answers) --> store (Postgres)
//!  caller --JSON--> http::json --^             |                                ^
//!  browser --HTML--> portal -----^             |                                |
//!                                              \--> registry (etcd) <-- controller   one of all coordinators acts
//! ```
//!
//! A call never waits for a node: what an operator asks for is written to Postgres, and the controller and the nodes
//! see it there. Any number of coordinators serve side by side and none keeps anything that another would miss (I3).
//! Postgres and etcd may be down at any time, at the start too: calls that need them answer UNAVAILABLE and name what is
//! down, [`app::health`] looks at them for [`grpc::health`] and [`http::health`], and nothing here has to be restarted.
//!
//! Start reading at [`coordinator`], which puts the parts together, then [`app`], which is what it does; [`grpc`] is how it
//! is asked, and [`grpc::errors`] the table of what a caller is told when it is not done.

mod announce;
pub mod app;
pub mod config;
pub mod coordinator;
pub mod grpc;
pub mod http;
pub mod legacy;
mod node_rpc;
pub mod oidc;
pub mod portal;
pub mod transport;

pub use config::Config;
pub use coordinator::{Coordinator, StartError, StopError};

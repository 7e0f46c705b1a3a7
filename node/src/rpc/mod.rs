//! How a coordinator asks a node what it knows: `roost.internal.v1` over gRPC, closed to all that do not have the cluster's
//! secret. Nothing is ordered here: what a node is to do it reads from etcd and Postgres, where it outlives both.

mod args;
mod auth;
mod read_log;
mod service;

pub use args::{RpcArgs, RpcArgsError};
pub use service::{RpcService, ServeRpcError, serve};

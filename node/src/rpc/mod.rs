//! How a coordinator asks a node what it knows: `roost.internal.v1` over gRPC, closed to all that have neither a
//! coordinator's certificate nor, where there are none, the cluster's secret. Nothing is ordered here: what a node is to do it reads from etcd and Postgres, where it outlives both. A profile that is to
//! become a snapshot comes through here too, for it is sealed with a key that nodes alone have, and so does a picture of a page.

mod args;
mod auth;
mod import_session;
mod read_log;
mod screenshot;
mod service;

pub use args::{RpcAccess, RpcArgs, RpcArgsError};
pub use import_session::SessionImporter;
pub use screenshot::Screenshots;
pub use service::{RpcService, ServeRpcError, serve};

//! The wire of Roost: the messages, clients and servers of `roost.v1`, and the one table of its errors.
//!
//! Start with the .proto files in `roost/v1`: they are the reference of the API; `roost/internal/v1` is how our own programs ask each other. [`error`] says how a failure travels
//! as a gRPC status and back; [`codec`] is why an unreadable request is the caller's error; [`client`] is how our own
//! programs call it. It imports nothing of ours.

pub mod client;
pub mod codec;
pub mod error;

/// The generated code of package `roost.v1`.
#[allow(clippy::all, missing_docs, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("roost.v1");
    include!(concat!(env!("OUT_DIR"), "/server/roost.v1.rs"));
}

/// The generated code of package `roost.internal.v1`: between our own programs, and for nobody else.
#[allow(clippy::all, missing_docs, reason = "generated code")]
pub mod internal {
    include!(concat!(env!("OUT_DIR"), "/internal/roost.internal.v1.rs"));
}

/// Every .proto file of `roost.v1` with its imports, comments and options, as reflection serves them and HTTP is made from them.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/roost_descriptor.bin"));

/// The path of every call of `roost.v1`, such as `/roost.v1.TenantService/GetTenant`.
pub const METHODS: &[&str] = include!(concat!(env!("OUT_DIR"), "/methods.rs"));

//! TLS between the programs of a cluster, and between them and those who ask.
//!
//! Certificates, keys and authorities lie in files (PEM) that an operator, or a program of his, replaces before they end. They
//! are read again when they change (`reloaded.rs`): a connection that is made afterwards goes by what the files say then, and one
//! that is there stays. What a changed file says wrong changes nothing: the last good certificate goes on, and the log says so.
//!
//! - [`ServerTls`] with [`accept()`]: the connections of a listener, each once it has shaken hands. One that says nothing holds
//!   up none of the others, and is given up.
//! - [`ClientTls`] with [`channel()`]: a gRPC channel whose connections are TLS.
//! - [`names`]: who a program of a cluster is, as its certificate says.
//!
//! The key is ring's everywhere: a process that links several providers of cryptography has no default one.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a panic is the report of a test"))]

mod accept;
mod advice;
mod args;
mod channel;
mod client;
mod expiry;
mod listen;
mod material;
pub mod names;
mod reloaded;
mod server;

pub use accept::{Accepted, accept};
pub use advice::{Advice, advice};
pub use args::{RpcTlsArgs, RpcTlsFiles};
pub use channel::channel;
pub use client::{ClientTls, Trust};
pub use listen::{PlaintextListen, check_listen};
pub use material::{CertifiedFiles, TlsFileError};
pub use server::ServerTls;

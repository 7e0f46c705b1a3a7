//! An S3-compatible server as the object store.
//!
//! - [`S3Args`]: what an operator says of it; [`S3Location`]: the same, checked, with who we are there.
//! - `client`: how it is called: which limits a call has, and over which connections.
//! - `credentials_file`: keys that lie in a file and may change.
//! - `answer`: what the server says when it refuses, in one line that says what to do.
//!
//! What the sessions' safety needs of a store is tried out before anything is stored: `session::store_proof`.

pub(super) mod answer;
mod args;
mod client;
mod credentials_file;
mod error;
mod location;

pub use args::S3Args;
pub use error::S3ConfigError;
pub use location::S3Location;

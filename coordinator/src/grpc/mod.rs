//! The admin API in gRPC: a face of [`crate::app`] that translates and nothing else.
//!
//! ```text
//!  caller --> server (limits) --> trace --> auth --> services/* --> request (every field checked) --> App
//!                                              \--- wire (rows as messages), errors (what a caller is told) <--/
//! ```

mod answers;
mod auth;
pub mod errors;
pub mod health;
mod request;
mod server;
mod services;
mod trace;
mod wire;

pub use auth::AuthLayer;
pub use server::{ServeError, serve};

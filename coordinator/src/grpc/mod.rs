//! The admin API in gRPC: a face of [`crate::app`] that translates and nothing else.
//!
//! ```text
//!  caller --> server --> trace --> auth --> limits --> services/* --> request (every field checked) --> App
//!                                              \--- wire (rows as messages), errors (what a caller is told) <--/
//! ```

mod answers;
mod auth;
pub mod connections;
pub mod errors;
pub mod health;
mod limits;
mod refusals;
mod request;
mod server;
mod services;
mod trace;
mod wire;

pub use auth::AuthLayer;
pub use server::{Calls, InProcess, ServeError, max_request, serve};

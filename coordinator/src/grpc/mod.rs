//! The admin API in gRPC: a face of [`crate::app`] that translates and nothing else.
//!
//! ```text
//!  caller --> server --> trace --> auth --> admit --> limits --> services/* --> request (every field checked) --> App
//!                                              \--- wire (rows as messages), errors (what a caller is told) <--/
//! ```

mod admit;
mod answers;
mod audit_trail;
mod auth;
mod code_name;
pub mod connections;
pub mod errors;
mod every_call;
mod frame;
mod gate;
pub mod health;
mod limits;
mod pace;
mod placed;
mod refusals;
mod request;
mod revocable;
mod server;
mod services;
mod subject;
mod trace;
mod wire;

pub use code_name::code_name;
pub use frame::{PREFIX, framed};
pub use request::{Checks, Said, new_tenant, preview, rejected, said, template_patch, wanted_business};
pub use server::{Calls, InProcess, ServeError, max_request, serve};

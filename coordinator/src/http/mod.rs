//! What is asked in HTTP: faces of [`crate::app`] that translate and nothing else. [`json`] is the API, and beside it stands
//! [`crate::portal`] and [`crate::legacy`] on one [`site`], served by [`server`]; [`health`] is
//! for whoever looks after this process, on a listener of its own and without a token.

pub mod health;
pub mod json;
pub mod ordered;
pub mod peer;
pub mod proxies;
pub mod retry_after;
pub mod server;
pub mod site;
mod stalled_writes;

//! A provider of OpenID Connect, by whom people sign in: what is known of it, and what it says of somebody.
//!
//! ```text
//!   browser --> begin (PKCE, state, nonce) --> provider --> the browser comes back with a code --> finish (exchanges it, checks the ID token)
//! ```
//!
//! Whose browser it is and what it may is not known here. Nothing is asked of the provider before somebody signs in by it, so one that is away
//! keeps no coordinator from starting.

mod args;
mod fetch;
mod handshake;
mod provider;
mod settings_error;

pub use args::{OidcArgs, OidcSettings};
pub use handshake::Handshake;
pub use provider::{OidcError, Provider};
pub use settings_error::OidcSettingsError;

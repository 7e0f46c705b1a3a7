//! Who calls, and what that caller may do.
//!
//! ```text
//!   bearer token --> Access::caller --> Caller --> calls::find(path).roles --> the handler
//!                     |   token file (an admin's, read on every call)
//!                     `-- Postgres (a role of its own), remembered for 2 s
//!   streams  <------- LiveTokens: ended when their token counts no more
//!   audit    <------- Access::audit
//! ```
//!
//! The token file lets an operator in while Postgres is away. Of the tokens in the database nobody is let in then whose token is not
//! remembered.

pub mod audit;
mod cache;
pub mod caller;
pub mod calls;
mod look_up;
pub mod pace;
pub mod secret;
mod streams;
pub mod token_file;
mod tokens;

pub use caller::Caller;
pub use look_up::{Access, Unadmitted};
pub use streams::LiveToken;

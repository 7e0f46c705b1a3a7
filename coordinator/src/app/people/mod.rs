//! People who use the portal: invited to a business, with a password of their own, signed in with their browsers.
//!
//! ```text
//!   invitation --> a link, used once --> user + membership --> password --> a cookie (7 days at most) --> WebUser
//! ```

mod address;
mod attempts;
mod members;
mod passwords;
mod setup;
mod sign_in;

pub use address::{InvalidAddress, PortalAddress};
pub use members::Invitation;
pub use passwords::PasswordProblem;
pub use sign_in::{NotSignedIn, SignIns};

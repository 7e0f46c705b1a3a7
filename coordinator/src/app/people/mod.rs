//! People who use the portal: invited to a business, with a password of their own, signed in with their browsers.

mod attempts;
mod members;
mod passwords;
mod sign_in;

pub use members::Invitation;
pub use passwords::{PasswordProblem, Passwords};
pub use sign_in::{NotSignedIn, SignIns};

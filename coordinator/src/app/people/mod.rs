//! People who use the portal: invited to a business, with a password of their own, signed in with their browsers.
//!
//! ```text
//!   invitation --> a link, used once --> user + membership --> password --> a cookie (7 days at most) --> WebUser
//!   a link to the cluster --> user with a role in it --> a phone that makes codes --> password, code --> a cookie (12 h at most)
//!   either link --> a provider of OpenID Connect --> an identity that is bound to the user, and stands for password and code from then on
//! ```

mod address;
mod attempts;
mod code_sign_in;
mod identity_sign_in;
mod members;
mod passwords;
mod second_factor;
mod secrets_key;
mod setup;
mod sign_in;
mod users;

pub use address::{InvalidAddress, PortalAddress};
pub use identity_sign_in::{Arrived, NotByIdentity, Returned, SentAway};
pub use members::Invitation;
pub use passwords::PasswordProblem;
pub use second_factor::Enrolment;
pub use secrets_key::{SecretsKey, SecretsKeyError};
pub use sign_in::{Next, NotSignedIn, SignIns, SignedIn};

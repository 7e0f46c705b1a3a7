//! People who use the portal: how they come in ([`invitations`]), of which businesses they are ([`members`]), which they ask for
//! ([`setup_requests`]), their passwords and the browsers that they are signed in with ([`web_sessions`]).
//!
//! Nothing that is secret is kept: links and cookies under their digests, passwords as Argon2id.

pub mod invitations;
pub mod members;
pub mod setup_requests;
pub mod web_sessions;

//! People who use the portal: how they come in ([`invitations`]), of which businesses they are ([`members`]), their passwords and the
//! browsers that they are signed in with ([`web_sessions`]).
//!
//! Nothing that is secret is kept: links and cookies under their digests, passwords as Argon2id.

pub mod invitations;
pub mod members;
pub mod web_sessions;

//! People who use the portal: how they come in ([`invitations`]), of which businesses they are ([`members`]), which they ask for
//! ([`setup_requests`]), their passwords and the browsers that they are signed in with ([`web_sessions`]). Some of them are users of the
//! cluster ([`users`]), who give a code beside the password ([`second_factors`]). Who is somebody at a provider of OpenID Connect needs
//! neither ([`identities`]).
//!
//! Nothing that is secret is kept: links and cookies under their digests, passwords as Argon2id, and the secrets of codes sealed.

pub mod identities;
pub mod invitations;
pub mod members;
pub mod second_factors;
pub mod setup_requests;
pub mod users;
pub mod web_sessions;

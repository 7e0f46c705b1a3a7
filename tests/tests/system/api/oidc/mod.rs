//! Signing in by a provider of OpenID Connect, which is oidc-provider (npm) in a process of its own: who comes in, and who does not.

mod away;
mod binding;
mod lies;
mod provider;
mod sign_in;

//! Whoever makes a call.

use roost_model::{Grant, ids::TenantId};
use roost_store::TokenDigest;

/// A caller whose token is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// As the audit has it.
    name: String,
    grant: Grant,
    source: Source,
}

/// What it has shown, by where that is kept: of a token that is in two places only what holds in its place counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    File(TokenDigest),
    Database(TokenDigest),
    /// The cookie of a browser that is signed in to the portal.
    Browser(TokenDigest),
}

impl Caller {
    /// Of the token file, whose tokens have no names.
    pub(super) fn of_file(digest: TokenDigest) -> Self {
        let begins = hex::encode(&digest[..4]);
        Self { name: format!("token file {begins}"), grant: Grant::admin(), source: Source::File(digest) }
    }

    pub(crate) fn of_database(name: &str, grant: Grant, digest: TokenDigest) -> Self {
        Self { name: format!("token {name}"), grant, source: Source::Database(digest) }
    }

    /// Of a person, in one of his businesses.
    pub(crate) fn of_browser(email: &str, grant: Grant, cookie: TokenDigest) -> Self {
        Self { name: format!("user {email}"), grant, source: Source::Browser(cookie) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Whether this tenant, or anything of it, is nothing to the caller.
    pub fn is_foreign_to(&self, tenant: &TenantId) -> bool {
        self.grant.tenant().is_some_and(|own| own != tenant)
    }

    pub(super) fn source(&self) -> Source {
        self.source
    }
}

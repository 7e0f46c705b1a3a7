//! Orders and questions about tokens and the audit.

use std::time::Duration;

use roost_model::{Grant, ids::TenantId};
use roost_store::{AuditEntry, AuditFilter, AuditRecord, NewToken, Token, TokenDigest, TokenState};

use super::{Caller, secret};
use crate::app::{App, Error};

impl App {
    /// The token, and what it is kept as.
    pub async fn create_token(
        &self,
        name: String,
        grant: Grant,
        lifetime: Duration,
        by: &Caller,
    ) -> Result<(Token, String), Error> {
        let secret = secret::new_secret();
        let created_by = by.name().to_owned();
        let new = NewToken { name, digest: secret::digest(&secret), grant, lifetime, created_by };
        let token = self.store()?.create_token(&new).await?;
        tracing::info!(token = token.name, role = token.grant.role().as_str(), "a token is made");
        Ok((token, secret))
    }

    pub async fn list_tokens(
        &self,
        with_ended: bool,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Token>, Error> {
        Ok(self.store()?.list_tokens(with_ended, before, limit).await?)
    }

    pub async fn revoke_token(&self, id: i64, by: &Caller) -> Result<Token, Error> {
        let token = self.store()?.revoke_token(id, by.name()).await?;
        tracing::info!(token = token.name, "a token is revoked");
        Ok(token)
    }

    pub async fn list_audit(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, Error> {
        Ok(self.store()?.list_audit(filter, before, limit).await?)
    }

    pub async fn list_looks(
        &self,
        tenant: &TenantId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, Error> {
        Ok(self.store()?.list_looks(tenant, before, limit).await?)
    }

    pub(super) async fn token_state(&self, digest: &TokenDigest) -> Result<Option<TokenState>, Error> {
        Ok(self.store()?.token_state(digest).await?)
    }

    pub(super) async fn tokens_that_count(&self, digests: &[TokenDigest]) -> Result<Vec<TokenDigest>, Error> {
        Ok(self.store()?.tokens_that_count(digests).await?)
    }

    pub(super) async fn web_sessions_that_count(
        &self,
        cookies: &[TokenDigest],
    ) -> Result<Vec<TokenDigest>, Error> {
        Ok(self.store()?.web_sessions_that_count(cookies).await?)
    }

    pub(super) async fn write_audit(&self, entry: &AuditEntry) -> Result<(), Error> {
        Ok(self.store()?.write_audit(entry).await?)
    }
}

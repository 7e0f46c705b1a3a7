//! Tokens with which the API is called: what each may do, kept under its digest alone.

use std::time::Duration;

use roost_model::{Grant, ids::TenantId};
use time::OffsetDateTime;

use crate::{
    Store, StoreError,
    columns::{Role, optional_id, storable},
};

/// That count at a time.
const TOKENS: i64 = 10_000;

/// SHA-256 of a token.
pub type TokenDigest = [u8; 32];

#[derive(Debug, Clone)]
pub struct NewToken {
    /// 1 to 64 letters, digits and . _ -
    pub name: String,
    pub digest: TokenDigest,
    pub grant: Grant,
    pub lifetime: Duration,
    pub created_by: String,
}

/// Without its digest, which nobody who lists them needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub id: i64,
    pub name: String,
    pub grant: Grant,
    pub created_at: OffsetDateTime,
    pub created_by: String,
    pub expires_at: OffsetDateTime,
    /// When and by whom.
    pub revoked: Option<(OffsetDateTime, String)>,
    pub last_used_at: Option<OffsetDateTime>,
}

/// What a token is good for just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenState {
    pub name: String,
    pub grant: Grant,
    pub expires_at: OffsetDateTime,
    pub is_revoked: bool,
}

/// As the columns of a token are read.
struct Row {
    id: i64,
    name: String,
    role: Role,
    tenant_id: Option<String>,
    created_at: OffsetDateTime,
    created_by: String,
    expires_at: OffsetDateTime,
    revoked_at: Option<OffsetDateTime>,
    revoked_by: Option<String>,
    last_used_at: Option<OffsetDateTime>,
}

impl Store {
    pub async fn create_token(&self, new: &NewToken) -> Result<Token, StoreError> {
        let lifetime = f64::from(u32::try_from(new.lifetime.as_secs()).unwrap_or(u32::MAX));
        let query = sqlx::query_as!(
            Row,
            r#"insert into access_tokens (name, digest, role, tenant_id, created_by, expires_at)
            select $1, $2, $3, $4, $5, now() + make_interval(secs => $6)
            where (select count(*) from access_tokens where revoked_at is null and expires_at > now()) < $7
                and ($4::text is null or exists(select from tenants where id = $4 and deleting_since is null))
            returning id, name, role as "role: Role", tenant_id, created_at, created_by, expires_at, revoked_at, revoked_by, last_used_at"#,
            new.name,
            &new.digest[..],
            Role::from(new.grant.role()) as Role,
            new.grant.tenant().map(TenantId::as_str),
            &storable(&new.created_by),
            lifetime,
            TOKENS,
        );
        match self.maybe("make a token", query).await {
            Ok(Some(row)) => Token::try_from(row),
            Ok(None) => {
                if let Some(tenant) = new.grant.tenant() {
                    self.get_tenant(tenant).await?;
                }
                Err(StoreError::TooManyTokens { most: TOKENS })
            }
            Err(error) if error.unique_violation() == Some("access_tokens_name") => {
                Err(StoreError::TokenNameTaken { name: new.name.clone() })
            }
            Err(error) => Err(error),
        }
    }

    /// Newest first, from the one before `before` on.
    pub async fn list_tokens(
        &self,
        with_ended: bool,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Token>, StoreError> {
        let query = sqlx::query_as!(
            Row,
            r#"select id, name, role as "role: Role", tenant_id, created_at, created_by, expires_at, revoked_at, revoked_by, last_used_at
            from access_tokens
            where ($1 or (revoked_at is null and expires_at > now())) and id < $2
            order by id desc limit $3"#,
            with_ended,
            before.unwrap_or(i64::MAX),
            i64::from(limit),
        );
        self.all("list the tokens", query).await?.into_iter().map(Token::try_from).collect()
    }

    /// One that is revoked already stays as it is.
    pub async fn revoke_token(&self, id: i64, by: &str) -> Result<Token, StoreError> {
        let query = sqlx::query_as!(
            Row,
            r#"update access_tokens set
                revoked_at = coalesce(revoked_at, now()),
                revoked_by = coalesce(revoked_by, $2)
            where id = $1
            returning id, name, role as "role: Role", tenant_id, created_at, created_by, expires_at, revoked_at, revoked_by, last_used_at"#,
            id,
            &storable(by),
        );
        let revoked = self.maybe("revoke a token", query).await?;
        revoked.ok_or_else(|| StoreError::NotFound { kind: "token", id: id.to_string() })?.try_into()
    }

    /// None when there is no such token, or its tenant is being deleted. Writes that it was used, once an hour.
    pub async fn token_state(&self, digest: &TokenDigest) -> Result<Option<TokenState>, StoreError> {
        let query = sqlx::query!(
            r#"with used as (
                update access_tokens set last_used_at = now()
                where digest = $1 and revoked_at is null and expires_at > now()
                    and (last_used_at is null or last_used_at < now() - interval '1 hour')
            )
            select a.name, a.role as "role: Role", a.tenant_id, a.expires_at, a.revoked_at is not null as "is_revoked!"
            from access_tokens a where a.digest = $1
                and not exists(select from tenants t where t.id = a.tenant_id and t.deleting_since is not null)"#,
            &digest[..],
        );
        let Some(row) = self.maybe("look a token up", query).await? else { return Ok(None) };
        Ok(Some(TokenState {
            name: row.name,
            grant: grant(row.role, row.tenant_id.as_deref())?,
            expires_at: row.expires_at,
            is_revoked: row.is_revoked,
        }))
    }

    /// Which of these tokens count just now.
    pub async fn tokens_that_count(&self, digests: &[TokenDigest]) -> Result<Vec<TokenDigest>, StoreError> {
        let digests: Vec<Vec<u8>> = digests.iter().map(|digest| digest.to_vec()).collect();
        let query = sqlx::query!(
            r#"select a.digest from access_tokens a
            where a.digest = any($1) and a.revoked_at is null and a.expires_at > now()
                and not exists(select from tenants t where t.id = a.tenant_id and t.deleting_since is not null)"#,
            &digests,
        );
        let rows = self.all("look at the tokens of streams", query).await?;
        Ok(rows.into_iter().filter_map(|row| row.digest.try_into().ok()).collect())
    }
}

fn grant(role: Role, tenant: Option<&str>) -> Result<Grant, StoreError> {
    let tenant = optional_id(tenant, TenantId::new)?;
    Grant::new(role.into(), tenant)
        .map_err(|error| StoreError::Corrupt { what: "the tenant of a token", reason: error.to_string() })
}

impl TryFrom<Row> for Token {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            grant: grant(row.role, row.tenant_id.as_deref())?,
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            created_by: row.created_by,
            expires_at: row.expires_at,
            revoked: row.revoked_at.zip(row.revoked_by),
            last_used_at: row.last_used_at,
        })
    }
}

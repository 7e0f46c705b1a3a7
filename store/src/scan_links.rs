//! Links by which somebody scans a tenant's code who sees nothing else of it.

use std::time::Duration;

use roost_model::ids::TenantId;
use time::OffsetDateTime;

use crate::{Store, StoreError, TokenDigest, columns::storable};

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanLink {
    Open {
        tenant: TenantId,
    },
    /// A phone was linked since it was made.
    Linked,
    /// It never was one, or is too old, or another one has taken its place.
    Over,
}

impl Store {
    /// In the place of the one before. Until when it counts.
    pub async fn create_scan_link(
        &self,
        tenant: &TenantId,
        by: &str,
        link: &TokenDigest,
        lifetime: Duration,
    ) -> Result<OffsetDateTime, StoreError> {
        let query = sqlx::query!(
            r#"insert into scan_links (tenant_id, digest, created_by, expires_at)
            select id, $2, $3, now() + make_interval(secs => $4) from tenants where id = $1 and deleting_since is null
            on conflict (tenant_id) do update set
                digest = excluded.digest, created_by = excluded.created_by, created_at = now(), expires_at = excluded.expires_at
            returning expires_at"#,
            tenant.as_str(),
            &link[..],
            &storable(by),
            lifetime.as_secs_f64(),
        );
        let made = self.maybe("make a link to scan by", query).await?;
        Ok(made.ok_or_else(|| StoreError::no_tenant(tenant))?.expires_at)
    }

    pub async fn scan_link(&self, link: &TokenDigest) -> Result<ScanLink, StoreError> {
        let query = sqlx::query!(
            r#"select l.tenant_id, s.status = 'CONNECTED' or coalesce(s.connected_at > l.created_at, false) as "is_linked!"
            from scan_links l join whatsapp_sessions s using (tenant_id) join tenants t on t.id = l.tenant_id
            where l.digest = $1 and l.expires_at > now() and t.deleting_since is null"#,
            &link[..],
        );
        match self.maybe("look a link to scan by up", query).await? {
            None => Ok(ScanLink::Over),
            Some(row) if row.is_linked => Ok(ScanLink::Linked),
            Some(row) => {
                let tenant = TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)?;
                Ok(ScanLink::Open { tenant })
            }
        }
    }
}

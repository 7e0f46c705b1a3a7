//! What outlives a tenant: the uid under which nodes and the object store still hold its data.
//!
//! Nodes remove what they find under the uids of [`Store::recent_removals`], again and again for an hour, because an
//! upload or a restore may have been under way when the tenant went; and the profiles on their disks under a uid of
//! [`Store::removed_uids`], for they may have been away for longer than that. A uid that is neither there nor removed is
//! no reason to remove anything: a database that was restored from a backup does not know every tenant.

use std::time::Duration;

use roost_model::ids::TenantId;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError};

/// How long a removal is swept for in the object store.
const SWEPT_FOR: Duration = Duration::from_secs(3600);
/// How long it is remembered, for nodes that are away: longer than a profile without a tenant is kept.
const KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 3600);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    pub uid: Uuid,
    pub tenant: TenantId,
    pub removed_at: OffsetDateTime,
}

impl Store {
    /// The removals of the last hour.
    pub async fn recent_removals(&self) -> Result<Vec<Removal>, StoreError> {
        let query = sqlx::query!(
            "select uid, tenant_id, removed_at from tenant_removals
            where removed_at > now() - make_interval(secs => $1) order by removed_at",
            SWEPT_FOR.as_secs_f64(),
        );
        let rows = self.all("list the removals", query).await?;
        rows.into_iter()
            .map(|row| {
                let tenant = TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)?;
                Ok(Removal { uid: row.uid, tenant, removed_at: row.removed_at })
            })
            .collect()
    }

    /// Those of these uids that belong to a tenant there is; not one that is being deleted.
    pub async fn existing_uids(&self, uids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        let query =
            sqlx::query!("select uid from tenants where uid = any($1) and deleting_since is null", uids);
        Ok(self.all("look up uids", query).await?.into_iter().map(|row| row.uid).collect())
    }

    /// Those of these uids whose tenants were deleted.
    pub async fn removed_uids(&self, uids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        let query = sqlx::query!("select uid from tenant_removals where uid = any($1)", uids);
        Ok(self.all("look up removals", query).await?.into_iter().map(|row| row.uid).collect())
    }

    /// Forgets removals older than 90 days, and answers with how many.
    pub async fn purge_removals(&self) -> Result<u64, StoreError> {
        let query = sqlx::query!(
            "delete from tenant_removals where removed_at < now() - make_interval(secs => $1) returning uid",
            KEPT_FOR.as_secs_f64(),
        );
        Ok(self.all("purge the removals", query).await?.len().try_into().unwrap_or(u64::MAX))
    }
}

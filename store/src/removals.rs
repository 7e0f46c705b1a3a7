//! The end of a tenant, and what outlives it: the uid under which nodes and the object store still hold its data.
//!
//! Nodes remove what they find under the uids of [`Store::recent_removals`], again and again for an hour, because an
//! upload or a restore may have been under way when the tenant went; and the profiles on their disks under a uid of
//! [`Store::removed_uids`], for they may have been away for longer than that. A uid that is neither there nor removed is
//! no reason to remove anything: a database that was restored from a backup does not know every tenant.

use std::time::Duration;

use roost_model::ids::TenantId;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError, call::within};

/// How long a removal is swept for in the object store.
const SWEPT_FOR: Duration = Duration::from_secs(3600);
/// How long it is remembered, for nodes that are away: longer than a profile without a tenant is kept.
const KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 3600);
/// A tenant with millions of messages takes a while, and so does a chat with many.
pub(crate) const LONG_TRANSACTION: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    pub uid: Uuid,
    pub tenant: TenantId,
    pub removed_at: OffsetDateTime,
}

impl Store {
    /// Removes the tenant and everything that hangs on it. Its worker is fenced from the commit on, and its owner is
    /// told to stop it.
    ///
    /// The log, by far the largest part, goes first in the transaction, before the worker's row is locked: placements
    /// wait for that row. Who else locks lines of the log and then more is a deletion or an erasure, and of these a
    /// tenant has one at a time (`hold_log`), so this order cannot deadlock.
    pub async fn delete_tenant(&self, id: &TenantId) -> Result<(), StoreError> {
        let step = "delete the tenant";
        self.met().await?;
        let removed = within(LONG_TRANSACTION, step, async {
            let mut lease = self.lease().await?;
            let answer = delete_in_transaction(lease.connection(), id).await;
            lease.settle(answer)
        })
        .await?;
        if removed { Ok(()) } else { Err(StoreError::no_tenant(id)) }
    }

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

    /// Those of these uids that belong to a tenant there is.
    pub async fn existing_uids(&self, uids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        let query = sqlx::query!("select uid from tenants where uid = any($1)", uids);
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

/// Whether there was such a tenant.
async fn delete_in_transaction(connection: &mut PgConnection, id: &TenantId) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    hold_log(&mut transaction, id).await?;
    sqlx::query!("delete from message_logs where tenant_id = $1", id.as_str())
        .execute(&mut *transaction)
        .await?;
    let removed = sqlx::query!(
        r#"with held as materialized (
            select tenant_id from worker_processes where tenant_id = $1 for update
        ), gone as (
            delete from tenants t using held where t.id = held.tenant_id
            returning t.uid, t.id
        )
        insert into tenant_removals (uid, tenant_id) select uid, id from gone"#,
        id.as_str(),
    );
    let removed = removed.execute(&mut *transaction).await?.rows_affected();
    transaction.commit().await?;
    Ok(removed > 0)
}

/// Begins a long transaction that removes lines of a tenant's log: the only one of its kind until it ends.
pub(crate) async fn hold_log(transaction: &mut PgConnection, id: &TenantId) -> Result<(), sqlx::Error> {
    let limit = format!("set local statement_timeout = {}", LONG_TRANSACTION.as_millis());
    transaction.execute(AssertSqlSafe(limit)).await?;
    let alone = sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended('the log of ' || $1, 0))::text",
        id.as_str()
    );
    alone.fetch_one(transaction).await?;
    Ok(())
}

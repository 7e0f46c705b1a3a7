//! Which registry's store this database belongs to: see [`roost_cluster::ledger::Seal`].

use std::time::Duration;

use roost_cluster::ledger::{SILENT_FOR, Seal, SealedStore, StoreClaim};
use uuid::Uuid;

use super::PostgresLedger;
use crate::{Store, StoreError, columns::span};

impl PostgresLedger {
    pub(super) async fn read_seal(&self) -> Result<Seal, StoreError> {
        let query = sqlx::query!(
            r#"select d.id, t.store, t.cluster, t.lease_ttl_ms, t.holder,
                extract(epoch from clock_timestamp() - t.seen_at)::float8 as "silent_s!"
            from controller_term t, database_identity d"#
        );
        let row = self.store.one("read whose the database is", query).await?;
        let owner = SealedStore {
            store: row.store,
            cluster: row.cluster,
            ttl: Duration::from_millis(row.lease_ttl_ms.unsigned_abs()),
            holder: row.holder,
            silent_for: span(row.silent_s),
        };
        Ok(Seal { database: row.id.to_string(), owner: Some(owner).filter(|owner| !owner.store.is_empty()) })
    }

    /// One statement, so that of two claims one is too late.
    pub(super) async fn write_seal(&self, claim: &StoreClaim) -> Result<bool, StoreError> {
        let ttl_ms = i64::try_from(claim.ttl.as_millis()).unwrap_or(i64::MAX);
        let query = sqlx::query!(
            r#"update controller_term set store = $1, cluster = $2, lease_ttl_ms = $3, seen_at = now()
            where store in ('', $1) or $4
                or seen_at <= now() - make_interval(secs => greatest(lease_ttl_ms, $3) / 1000.0 * $5::float8)
            returning term"#,
            claim.store,
            claim.cluster,
            ttl_ms,
            claim.by_order,
            SILENT_FOR,
        );
        Ok(self.store.maybe("take the database for a store", query).await?.is_some())
    }
}

impl Store {
    /// What the database is called by etcd's mark.
    pub async fn database_identity(&self) -> Result<Uuid, StoreError> {
        let query = sqlx::query!("select id from database_identity");
        Ok(self.one("read the database's id", query).await?.id)
    }
}

//! Which workers are shown otherwise than before, for one who has read all of them once.
//!
//! Rows carry the transaction that changed last what of them is shown (`shown_by`), and a removal the one that made it. Why
//! nothing is missed, and why another server means reading all anew, is said where the controller reads in the same way, in
//! `ledger/demands.rs`. What time alone changes is in `worker_sights.rs`.

use std::collections::BTreeSet;

use roost_model::ids::TenantId;
use time::OffsetDateTime;

use crate::{Store, StoreError};

/// A moment of a server: which, the oldest transaction that may not have been seen, and its clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerHorizon {
    server: String,
    transaction: String,
    pub(crate) at: OffsetDateTime,
}

/// What has changed since a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkersChanged {
    /// Of these tenants: the worker came, is shown otherwise, or went. Some may have been seen so before.
    Of(BTreeSet<TenantId>, WorkerHorizon),
    /// The moment is one of another server: all is to be read anew.
    Unknown,
}

impl Store {
    /// Now. To be asked for before the workers are read.
    pub async fn worker_horizon(&self) -> Result<WorkerHorizon, StoreError> {
        let query = sqlx::query!(
            r#"select server as "server!", horizon as "transaction!", now() as "at!" from reading_horizon"#
        );
        let row = self.one("look from when on workers change", query).await?;
        Ok(WorkerHorizon { server: row.server, transaction: row.transaction, at: row.at })
    }

    /// By the indexes: it reads what has changed, however many there are. What a dump brought from another server is of no
    /// transaction of this one, hence the upper bound.
    pub async fn workers_changed_since(&self, since: &WorkerHorizon) -> Result<WorkersChanged, StoreError> {
        let query = sqlx::query!(
            r#"with changed as materialized (
                select tenant_id from worker_processes
                where shown_by >= $1::text::xid8 and shown_by < pg_snapshot_xmax(pg_current_snapshot())
                union
                select tenant_id from whatsapp_sessions
                where shown_by >= $1::text::xid8 and shown_by < pg_snapshot_xmax(pg_current_snapshot())
                union
                select tenant_id from tenant_removals
                where removed_by >= $1::text::xid8 and removed_by < pg_snapshot_xmax(pg_current_snapshot())
            )
            select h.server as "server!", h.horizon as "transaction!", now() as "at!",
                changed.tenant_id as "tenant_id?"
            from reading_horizon h left join changed on true"#,
            since.transaction,
        );
        let mut now = since.clone();
        let mut tenants = BTreeSet::new();
        for row in self.all("list the workers that have changed", query).await? {
            now = WorkerHorizon { server: row.server, transaction: row.transaction, at: row.at };
            if let Some(tenant) = row.tenant_id {
                tenants.insert(TenantId::new(&tenant).map_err(StoreError::corrupt_id)?);
            }
        }
        let is_the_same = now.server == since.server;
        Ok(if is_the_same { WorkersChanged::Of(tenants, now) } else { WorkersChanged::Unknown })
    }
}

//! What is wanted of each tenant, as the controller reads it in every pass: all of it once, and then what has changed since.
//!
//! A row carries the transaction that changed it last (`changed_by`), and a removal the one that made it. A reading names its
//! horizon: the oldest transaction that it may not have seen, for it was open. What has changed since is then in the rows of
//! that transaction and later ones; some were seen before, none is missed, whatever the order of the commits.
//!
//! Numbers of transactions belong to a server. Another one (a standby that took over, a restored backup) has begun at another
//! time, and all is read anew; so it is at the beginning of a term, and from time to time, for a row that somebody has deleted by
//! hand leaves no removal.

use std::{collections::BTreeMap, time::Duration};

use roost_cluster::ledger::DesiredTenant;
use roost_model::ids::{Generation, NodeId, SpecRevision, TenantId};
use tokio::time::Instant;

use crate::{
    Store, StoreError,
    columns::{optional_id, optional_unsigned},
};

/// From one reading of everything to the next.
const FULL_EVERY: Duration = Duration::from_secs(600);

/// What was read last.
#[derive(Default)]
pub(super) struct Demands {
    last: Option<Reading>,
}

struct Reading {
    /// Which server, since when.
    server: String,
    horizon: String,
    all_read_at: Instant,
    tenants: BTreeMap<TenantId, DesiredTenant>,
}

impl Demands {
    /// The next reading is of everything.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// In the order of the tenants. A call that fails, or is dropped, changes nothing of what is known.
    pub(super) async fn read(&mut self, store: &Store) -> Result<Vec<DesiredTenant>, StoreError> {
        let is_due = |last: &Reading| last.all_read_at.elapsed() >= FULL_EVERY;
        let known = match self.last.take_if(|last| is_due(last)) {
            Some(_) => None,
            None => self.last.as_mut(),
        };
        if let Some(last) = known {
            let changes = store.demands_since(&last.horizon).await?;
            if changes.server == last.server {
                last.horizon = changes.horizon;
                for (tenant, demand) in changes.tenants {
                    match demand {
                        Some(demand) => drop(last.tenants.insert(tenant, demand)),
                        None => drop(last.tenants.remove(&tenant)),
                    }
                }
                return Ok(last.tenants.values().cloned().collect());
            }
        }
        let begun = Instant::now();
        let Changes { server, horizon, tenants } = store.all_demands().await?;
        let tenants = tenants.into_iter().filter_map(|(tenant, demand)| Some((tenant, demand?))).collect();
        let read = self.last.insert(Reading { server, horizon, all_read_at: begun, tenants });
        Ok(read.tenants.values().cloned().collect())
    }
}

/// Of a tenant that is gone there is no demand.
struct Changes {
    server: String,
    horizon: String,
    tenants: Vec<(TenantId, Option<DesiredTenant>)>,
}

impl Changes {
    /// There is a row, if only to say when it was.
    fn of(rows: Vec<Row>) -> Result<Self, StoreError> {
        let mut changes =
            Self { server: String::new(), horizon: String::new(), tenants: Vec::with_capacity(rows.len()) };
        for row in rows {
            let demand = row.demand()?;
            (changes.server, changes.horizon) = (row.server, row.horizon);
            if let Some(tenant) = row.tenant_id {
                changes.tenants.push((TenantId::new(&tenant).map_err(StoreError::corrupt_id)?, demand));
            }
        }
        Ok(changes)
    }
}

impl Store {
    async fn all_demands(&self) -> Result<Changes, StoreError> {
        let query = sqlx::query_as!(
            Row,
            r#"select h.server as "server!", h.horizon as "horizon!", w.tenant_id as "tenant_id?",
                w.desired = 'RUNNING' as "running?", w.generation as "generation?", w.node, w.pin,
                case when w.outrun_by >= w.generation then w.outrun_by end as outrun_by,
                w.spec_revision as "spec_revision?", t.memory_request_bytes
            from reading_horizon h left join (worker_processes w join tenants t on t.id = w.tenant_id) on true"#
        );
        Changes::of(self.all("list the desired tenants", query).await?)
    }

    /// By the indexes: it reads what has changed. What a dump brought from another server is of no transaction of this one, hence
    /// the upper bound.
    async fn demands_since(&self, horizon: &str) -> Result<Changes, StoreError> {
        let query = sqlx::query_as!(
            Row,
            r#"with changed as materialized (
                select tenant_id from worker_processes
                where changed_by >= $1::text::xid8 and changed_by < pg_snapshot_xmax(pg_current_snapshot())
                union
                select tenant_id from tenant_removals
                where removed_by >= $1::text::xid8 and removed_by < pg_snapshot_xmax(pg_current_snapshot())
            )
            select h.server as "server!", h.horizon as "horizon!", changed.tenant_id as "tenant_id?",
                w.desired = 'RUNNING' as "running?", w.generation as "generation?", w.node, w.pin,
                case when w.outrun_by >= w.generation then w.outrun_by end as outrun_by,
                w.spec_revision as "spec_revision?", t.memory_request_bytes
            from reading_horizon h left join (
                changed left join worker_processes w using (tenant_id) left join tenants t on t.id = w.tenant_id) on true"#,
            horizon,
        );
        Changes::of(self.all("list the tenants of which something else is desired", query).await?)
    }
}

/// As the columns come.
struct Row {
    server: String,
    horizon: String,
    tenant_id: Option<String>,
    running: Option<bool>,
    generation: Option<i64>,
    node: Option<String>,
    pin: Option<String>,
    outrun_by: Option<i64>,
    spec_revision: Option<i64>,
    memory_request_bytes: Option<i64>,
}

impl Row {
    /// None when there is no worker.
    fn demand(&self) -> Result<Option<DesiredTenant>, StoreError> {
        let (Some(tenant), Some(running), Some(generation), Some(spec_revision)) =
            (&self.tenant_id, self.running, self.generation, self.spec_revision)
        else {
            return Ok(None);
        };
        Ok(Some(DesiredTenant {
            tenant: TenantId::new(tenant).map_err(StoreError::corrupt_id)?,
            running,
            generation: Generation(generation),
            outrun_by: self.outrun_by.map(Generation),
            node: optional_id(self.node.as_deref(), NodeId::new)?,
            pin: optional_id(self.pin.as_deref(), NodeId::new)?,
            memory_request_bytes: optional_unsigned(self.memory_request_bytes)?,
            spec_revision: SpecRevision(spec_revision),
        }))
    }
}

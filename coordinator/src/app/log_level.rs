//! How much is written in a tenant's log, for a time.

use std::time::Duration;

use roost_model::{LogLevel, ids::TenantId};
use roost_store::{Requester, Tenant};

use super::{App, Error};

impl App {
    /// None: the tenant's own level again. It is written to the database and nothing else; the node that has the worker sees it
    /// there.
    pub async fn set_log_level(
        &self,
        tenant: &TenantId,
        level: Option<(LogLevel, Duration)>,
        by: &Requester,
    ) -> Result<Tenant, Error> {
        let store = self.store()?;
        let changed = match level {
            Some((level, span)) => store.set_log_level(tenant, level, span, by).await?,
            None => store.reset_log_level(tenant, by).await?,
        };
        tracing::info!(%tenant, ?level, by = by.name, "the level of a worker's log is changed");
        Ok(changed)
    }
}

//! A ledger that gives generations again.
//!
//! Postgres that was restored from a backup, or that lost its last writes in a failover, goes on counting from what it was.
//! What it gave since is still in the registry, in profiles and in snapshots. A generation that is given twice, or that
//! is below what a session was saved under, fences nobody and saves nothing (I2). So a term begins with a look at what
//! the registry holds, and a pass compares each tenant: who is behind gets generations above all that was found.

use std::collections::BTreeSet;

use roost_model::ids::{Generation, TenantId, Term};

use crate::{
    keys,
    ledger::DesiredTenant,
    records::{AckRecord, AssignmentRecord},
    registry::Registry,
};

use super::{
    context::{Context, WriteAuthority},
    error::ControllerError,
    plan_inputs::{DesiredByTenant, RegistryView},
};

impl Context {
    /// To be done before a term places anything.
    pub(super) async fn outrun_registry(&self, term: Term) -> Result<(), ControllerError> {
        let Some(found) = highest_published(self.registry.as_ref()).await? else { return Ok(()) };
        self.ask_ledger(self.ledger.outrun(term, found, &[]))
            .await
            .map_err(ControllerError::reading_ledger)?;
        Ok(())
    }

    /// Gives tenants new generations whose entries or sessions are ahead of the ledger. The plan then sees a hold that is
    /// fenced, and does what is to be done with one. Whether there were any; those that cannot be written wait for the
    /// next pass.
    pub(super) async fn outrun_forgotten(
        &self,
        authority: &WriteAuthority<'_>,
        view: &RegistryView,
        desired_tenants: &[DesiredTenant],
        by_tenant: &DesiredByTenant<'_>,
    ) -> Result<bool, ControllerError> {
        let published = published_ahead(view, by_tenant);
        let reported =
            desired_tenants.iter().filter_map(|desired| Some((&desired.tenant, desired.outrun_by?)));
        let ahead: Vec<_> = published.chain(reported).collect();
        let Some(found) = ahead.iter().map(|(_, generation)| *generation).max() else { return Ok(false) };
        let tenants: BTreeSet<TenantId> = ahead.into_iter().map(|(tenant, _)| tenant.clone()).collect();
        let tenants: Vec<TenantId> = tenants.into_iter().collect();
        authority.check()?;
        // If the answer is lost the next pass sees what was written.
        let outran = self.ask_ledger(self.ledger.outrun(authority.term, found, &tenants)).await;
        let outran = outran.map_err(ControllerError::reading_ledger)?;
        if !outran.is_empty() {
            tracing::error!(
                %found,
                tenants = outran.len(),
                "the database has gone back: it had given later generations; these tenants are placed anew above them"
            );
        }
        Ok(!outran.is_empty())
    }
}

/// Entries of live nodes under later generations than the ledger knows of. Only this controller publishes, and only what
/// the ledger has given it before: so it is no matter of the order in which the two are read.
fn published_ahead<'a>(
    view: &'a RegistryView,
    by_tenant: &'a DesiredByTenant<'_>,
) -> impl Iterator<Item = (&'a TenantId, Generation)> {
    let entries = view.nodes.keys().flat_map(|node| view.live_entries(node));
    entries
        .filter(|entry| {
            by_tenant.get(&entry.tenant).is_some_and(|desired| desired.generation < entry.generation)
        })
        .map(|entry| (&entry.tenant, entry.generation))
}

/// Of nodes alive and dead, and of deleted tenants too. A record that cannot be read says nothing here, and must not keep a
/// term from beginning: the passes hold up its node's tenants, and name it.
async fn highest_published(registry: &dyn Registry) -> Result<Option<Generation>, ControllerError> {
    let mut found = Vec::new();
    for entry in registry.list(keys::ASSIGNMENTS).await.map_err(ControllerError::Registry)?.entries {
        let Ok(record) = keys::decode::<AssignmentRecord>(&entry) else { continue };
        found.extend(record.entries.iter().map(|entry| entry.generation));
    }
    for entry in registry.list(keys::ACKS).await.map_err(ControllerError::Registry)?.entries {
        let Ok(record) = keys::decode::<AckRecord>(&entry) else { continue };
        found.extend(record.held.iter().map(|held| held.generation));
    }
    Ok(found.into_iter().max())
}

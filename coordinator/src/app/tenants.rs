//! Tenants, and where they may be.

use roost_model::ids::{NodeId, TenantId};
use roost_store::{Apply, ApplyOutcome, NewTenant, Requester, Tenant, TenantFilter, TenantPatch, Worker};

use super::{App, Error, PlacementExplanation, explain::explain, refusal::may_pin};

/// Placements that an explanation tells.
const HISTORY: u32 = 20;

impl App {
    pub async fn create_tenant(&self, new: NewTenant) -> Result<Tenant, Error> {
        let tenant = self.store()?.create_tenant(new).await?;
        tracing::info!(tenant = %tenant.id, "tenant created");
        Ok(tenant)
    }

    pub async fn get_tenant(&self, id: &TenantId) -> Result<Tenant, Error> {
        Ok(self.store()?.get_tenant(id).await?)
    }

    /// In the order of their ids, from the one after `after` on.
    pub async fn list_tenants(
        &self,
        filter: &TenantFilter,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Tenant>, Error> {
        Ok(self.store()?.list_tenants(filter, after, limit).await?)
    }

    pub async fn update_tenant(&self, id: &TenantId, patch: TenantPatch) -> Result<Tenant, Error> {
        let tenant = self.store()?.update_tenant(id, patch).await?;
        tracing::info!(tenant = %tenant.id, "tenant changed");
        Ok(tenant)
    }

    pub async fn delete_tenant(&self, id: &TenantId) -> Result<(), Error> {
        self.store()?.delete_tenant(id).await?;
        self.deletions.begun();
        tracing::info!(tenant = %id, "tenant deleted");
        Ok(())
    }

    /// Makes tenants what they are declared to be, all of them or none.
    pub async fn apply_tenants(&self, apply: &Apply, by: &Requester) -> Result<ApplyOutcome, Error> {
        let outcome = self.store()?.apply_tenants(apply, by).await?;
        if !apply.validate_only && matches!(outcome, ApplyOutcome::Applied(_)) {
            if !apply.deletions.is_empty() {
                self.deletions.begun();
            }
            tracing::info!(apply = %apply.id, tenants = apply.declarations.len(), "declared tenants applied");
        }
        Ok(outcome)
    }

    pub async fn pin_tenant(
        &self,
        tenant: &TenantId,
        node: &NodeId,
        by: &Requester,
    ) -> Result<Worker, Error> {
        may_pin(&self.survey().await?, tenant, node)?;
        let worker = self.store()?.pin_tenant(tenant, node, by).await?;
        tracing::info!(%tenant, %node, "tenant pinned");
        Ok(worker)
    }

    pub async fn unpin_tenant(&self, tenant: &TenantId, by: &Requester) -> Result<Worker, Error> {
        let worker = self.store()?.unpin_tenant(tenant, by).await?;
        tracing::info!(%tenant, "tenant unpinned");
        Ok(worker)
    }

    pub async fn explain_placement(&self, tenant: &TenantId) -> Result<PlacementExplanation, Error> {
        let survey = self.survey().await?;
        let history = self.store()?.placements_of_tenant(tenant, HISTORY).await?;
        explain(&survey, tenant, history)
    }
}

//! Tenants, and where they may be.

use std::collections::HashMap;

use roost_model::ids::{NodeId, TenantId};
use roost_store::{
    Apply, ApplyOutcome, NewTenant, Requester, Session, Tenant, TenantFilter, TenantPatch, Worker,
};

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

    /// Each with its worker and its session, but for those that were deleted meanwhile.
    pub async fn with_workers_and_sessions(
        &self,
        tenants: Vec<Tenant>,
    ) -> Result<Vec<(Tenant, Worker, Session)>, Error> {
        let store = self.store()?;
        let ids = || tenants.iter().map(|tenant| &tenant.id);
        let mut sessions: HashMap<_, _> =
            store.sessions_of(ids()).await?.into_iter().map(|it| (it.tenant.clone(), it)).collect();
        let mut workers: HashMap<_, _> =
            store.workers_of(ids()).await?.into_iter().map(|it| (it.tenant.clone(), it)).collect();
        let whole = tenants.into_iter().filter_map(|tenant| {
            let (worker, session) = (workers.remove(&tenant.id)?, sessions.remove(&tenant.id)?);
            Some((tenant, worker, session))
        });
        Ok(whole.collect())
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

//! Tenants as people look for them, each with its worker.

use roost_model::ids::TenantId;
use roost_store::{
    ConditionKind, Elsewhere, FoundTenant, LabelSelector, SearchedState, TenantSearch, Worker,
};

use super::{App, Error, waiting_tenants::told, waits::look};

#[derive(Debug, Clone, Default)]
pub struct TenantQuestion {
    /// Of the id, the name or the number; empty for all.
    pub begins: String,
    pub labels: LabelSelector,
    pub state: Option<SearchedState>,
}

impl App {
    /// In the order of the ids, from the one after `after` on. What no node has waits for what the plan of this moment says, so the cluster is
    /// asked once.
    pub async fn search_tenants(
        &self,
        question: TenantQuestion,
        after: Option<&TenantId>,
        limit: u32,
    ) -> Result<Vec<(FoundTenant, Worker)>, Error> {
        let store = self.store()?;
        let waiting = match self.waiting_tenants.present() {
            Some(followed) => followed.as_deref().cloned(),
            None => look(self).await,
        };
        let TenantQuestion { begins, labels, state } = question;
        let mut elsewhere = Elsewhere::default();
        if let Some(SearchedState::Condition(kind)) = state {
            for (tenant, (waits, _)) in waiting.iter().flatten() {
                let list = if *waits == kind { &mut elsewhere.fitting } else { &mut elsewhere.others };
                list.push(tenant.clone());
            }
        }
        let search = TenantSearch { begins, labels, state, elsewhere };
        let found = store.find_tenants(&search, after, limit).await?;
        let mut workers: std::collections::BTreeMap<TenantId, Worker> = store
            .workers_of(found.iter().map(|found| &found.id))
            .await?
            .into_iter()
            .map(|worker| (worker.tenant.clone(), told(worker, waiting.as_ref())))
            .collect();
        // One that was deleted in between is none.
        Ok(found
            .into_iter()
            .filter_map(|found| workers.remove(&found.id).map(|worker| (found, worker)))
            .collect())
    }
}

/// Each condition by which tenants are looked for, in the order in which a person is needed.
pub const CONDITIONS: [ConditionKind; 15] = [
    ConditionKind::Failed,
    ConditionKind::SessionRefused,
    ConditionKind::NeedsUpdate,
    ConditionKind::WaitingForCapacity,
    ConditionKind::WaitingForFailover,
    ConditionKind::WaitingForNode,
    ConditionKind::WaitingForStore,
    ConditionKind::WaitingForWhatsapp,
    ConditionKind::Healing,
    ConditionKind::Unlinked,
    ConditionKind::ScanPaused,
    ConditionKind::WaitingForScan,
    ConditionKind::Starting,
    ConditionKind::Answering,
    ConditionKind::None,
];

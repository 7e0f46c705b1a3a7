//! One change of settings on many tenants, and its undoing: what each would change, and their start. Which tenants are chosen is decided
//! here and written down; what each has before and after is for the statement that changes it.

use roost_cluster::ledger::{FleetLimits, MemberFailure};
use roost_model::ids::{OperationId, TenantId};
use roost_store::{
    NewFleetOrder, NewUndo, OperationOrder, OperationRecord, OperationState, Requester, SettingsPlan,
    SettingsValues, WorkerAction, WorkerFilter,
};

use super::{App, Error, NoUndo, Refusal, operations::not_started};

/// Those that cannot be put back that are told by name in a refusal.
const NAMED: usize = 10;

/// The same settings for many tenants.
#[derive(Debug, Clone)]
pub struct SettingsUpdate {
    pub values: SettingsValues,
    /// As it was given; empty for all.
    pub selector: String,
    pub filter: WorkerFilter,
}

impl App {
    pub async fn plan_settings_update(&self, update: &SettingsUpdate) -> Result<SettingsPlan, Error> {
        let SettingsUpdate { values, selector, filter } = update;
        let chosen = self.choose(WorkerAction::UpdateSettings, selector, filter).await?;
        let tenants: Vec<TenantId> = chosen.into_iter().map(|one| one.tenant).collect();
        Ok(self.store()?.plan_settings(values, &tenants).await?)
    }

    pub async fn start_settings_update(
        &self,
        update: SettingsUpdate,
        limits: FleetLimits,
        by: &Requester,
    ) -> Result<OperationRecord, Error> {
        let action = WorkerAction::UpdateSettings;
        let SettingsUpdate { values, selector, filter } = update;
        let members = self.choose(action, &selector, &filter).await?;
        let order = NewFleetOrder { action, selector, to: None, settings: Some(values), limits, members };
        let started = self.store()?.start_fleet_operation(&order, by).await.map_err(not_started)?;
        tracing::info!(operation = %started.id, tenants = order.members.len(), "update of settings started");
        Ok(started)
    }

    pub async fn plan_settings_undo(&self, id: OperationId) -> Result<SettingsPlan, Error> {
        let store = self.store()?;
        let refused = |why| Error::from(Refusal::NoUndo { operation: id, why });
        let operation = store.get_operation(id).await?;
        match (&operation.order, operation.state) {
            (OperationOrder::Fleet { settings: Some(_), .. }, OperationState::Running) => {
                return Err(refused(NoUndo::Runs));
            }
            (OperationOrder::Fleet { settings: Some(_), .. }, _) => {}
            _ => return Err(refused(NoUndo::NoUpdate)),
        }
        if let Some(by) = store.undone_by(id).await? {
            return Err(refused(NoUndo::UndoneBy(by)));
        }
        let plan = store.plan_undo(id).await?;
        if !plan.changes.is_empty() {
            return Ok(plan);
        }
        let more = plan.refused.len().saturating_sub(NAMED);
        let first = plan.refused.into_iter().take(NAMED).map(|left| (left.tenant, left.error)).collect();
        Err(refused(NoUndo::NothingLeft { first, more }))
    }

    /// With those that keep what they have.
    pub async fn start_settings_undo(
        &self,
        undoes: OperationId,
        limits: FleetLimits,
        by: &Requester,
    ) -> Result<(OperationRecord, Vec<MemberFailure>), Error> {
        let SettingsPlan { changes, refused, .. } = self.plan_settings_undo(undoes).await?;
        let members: Vec<TenantId> = changes.into_iter().map(|one| one.tenant).collect();
        let undo = NewUndo { undoes, limits, members };
        let started = self.store()?.start_undo(&undo, by).await.map_err(not_started)?;
        tracing::info!(operation = %started.id, %undoes, tenants = undo.members.len(), "undoing of settings started");
        Ok((started, refused))
    }
}

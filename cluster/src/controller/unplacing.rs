//! The end of a placement: what no node has any more and what waits for none is written down as being nowhere.

use std::collections::HashSet;

use roost_model::ids::{NodeId, TenantId};

use crate::plan::{Plan, Snapshot, TenantView, Wanted};

use super::{
    context::{Context, ROWS_AT_ONCE, WriteAuthority},
    error::ControllerError,
    plan_inputs::PlanInputs,
};

impl Context {
    /// Tells the ledger of tenants that no node has any more and that wait for none. Whether it wrote any of them down.
    pub(super) async fn unplace(
        &self,
        authority: &WriteAuthority<'_>,
        snapshot: &Snapshot,
        plan: &Plan,
        inputs: &PlanInputs,
    ) -> Result<bool, ControllerError> {
        let placed: HashSet<&TenantId> = plan.placements().map(|(tenant, _)| tenant).collect();
        let live: HashSet<&NodeId> = snapshot.nodes.iter().map(|view| &view.node).collect();
        let keeps_place = |tenant: &TenantView| {
            tenant.wanted == Wanted::Running
                && tenant.last.as_ref().is_some_and(|node| inputs.keeps_place(node, live.contains(node)))
        };
        let nowhere: Vec<TenantId> = snapshot
            .tenants
            .iter()
            .filter(|tenant| tenant.last.is_some() && tenant.holds.is_empty())
            .filter(|tenant| snapshot.keeper(tenant).is_none())
            .filter(|tenant| !placed.contains(&tenant.tenant) && !keeps_place(tenant))
            .map(|tenant| tenant.tenant.clone())
            .collect();
        let mut unplaced = false;
        for some in nowhere.chunks(ROWS_AT_ONCE) {
            authority.check()?;
            let written = self.ask_ledger(self.ledger.unplace(authority.term, some)).await;
            let lost = |error| ControllerError::writing_ledger("an end of a placement", error);
            unplaced |= written.map_err(lost)? > 0;
        }
        Ok(unplaced)
    }
}

//! The log of what was decided: each decision once, although a pass repeats a wait until it is over.

use std::collections::BTreeMap;

use roost_model::ids::TenantId;

use crate::plan::{Action, Decision, Plan, WaitReason};

#[derive(Default)]
pub(super) struct DecisionLog {
    waiting: BTreeMap<TenantId, WaitReason>,
}

impl DecisionLog {
    pub(super) fn write(&mut self, plan: &Plan) {
        let mut waiting = BTreeMap::new();
        for decision in &plan.decisions {
            let Decision { tenant, action } = decision;
            match action {
                Action::Place { node, cause, choice } => {
                    tracing::info!(%tenant, %node, %cause, %choice, "placing a tenant");
                }
                Action::Prepare { node, from, reason, choice } => {
                    tracing::info!(%tenant, %node, %from, %reason, %choice, "preparing a move");
                }
                Action::Forget { node } => tracing::info!(%tenant, %node, "a preparation is given up"),
                Action::Release { node, reason } => {
                    tracing::info!(%tenant, %node, %reason, "releasing a tenant")
                }
                Action::Remove { node } => tracing::info!(%tenant, %node, "a tenant was released"),
                Action::Wait { reason } => {
                    if self.waiting.get(tenant) != Some(reason) {
                        tracing::warn!(%tenant, %reason, "a tenant cannot be placed");
                    }
                    waiting.insert(tenant.clone(), reason.clone());
                }
            }
        }
        self.waiting = waiting;
    }
}

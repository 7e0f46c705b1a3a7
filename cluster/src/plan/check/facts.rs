//! A snapshot and a plan that was made from it, so that the rules can look things up.

use std::collections::BTreeMap;

use crate::plan::{
    decision::{Action, Plan},
    snapshot::{Intake, NodeView, Snapshot, TenantView},
};
use roost_model::ids::{NodeId, TenantId};

pub(super) struct Facts<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) nodes: BTreeMap<&'a NodeId, &'a NodeView>,
    /// What the plan does about each tenant.
    actions: BTreeMap<&'a TenantId, Vec<&'a Action>>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, plan: &'a Plan) -> Self {
        let mut actions: BTreeMap<_, Vec<&Action>> = BTreeMap::new();
        for decision in &plan.decisions {
            actions.entry(&decision.tenant).or_default().push(&decision.action);
        }
        let nodes = snapshot.nodes.iter().map(|view| (&view.node, view)).collect();
        Self { snapshot, nodes, actions }
    }

    pub(super) fn actions(&self, tenant: &TenantView) -> &[&'a Action] {
        self.actions.get(&tenant.tenant).map_or(&[], Vec::as_slice)
    }

    /// A node that is short of memory sheds this one, which nobody has ordered to be there.
    pub(super) fn is_shed(&self, tenant: &TenantView, from: &NodeId) -> bool {
        let takes_none = |view: &&NodeView| matches!(view.intake, Intake::Impaired | Intake::Cordoned);
        self.snapshot.sheds.get(from) == Some(&tenant.tenant)
            && self.nodes.get(from).is_some_and(takes_none)
            && tenant.pin.is_none()
            && tenant.move_to.as_ref() != Some(from)
    }

    /// Somebody wants it off this node and has not said where it is to be.
    pub(super) fn is_moved_away(&self, tenant: &TenantView, from: &NodeId) -> bool {
        tenant.leaves.as_ref() == Some(from) && tenant.move_to.is_none()
    }

    /// The nodes that prepare for it once the plan is carried out.
    pub(super) fn preparing_afterwards<'b>(&self, tenant: &'b TenantView) -> Vec<&'b NodeId>
    where
        'a: 'b,
    {
        let mut preparing: Vec<&NodeId> =
            tenant.preparations.iter().map(|preparation| &preparation.node).collect();
        for action in self.actions(tenant) {
            match action {
                Action::Prepare { node, .. } => preparing.push(node),
                Action::Forget { node } => preparing.retain(|other| *other != node),
                Action::Place { .. }
                | Action::Release { .. }
                | Action::Remove { .. }
                | Action::Wait { .. } => {}
            }
        }
        preparing
    }
}

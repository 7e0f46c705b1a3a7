//! What the orders and the assessment of a pass mean for its plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use roost_model::ids::{NodeId, TenantId};

use crate::{
    ledger::{DesiredTenant, NodeOrder, OperationKind, Orders},
    plan::{Goal, Intake, MoveLimits},
};

use super::failure_detector::Assessment;

/// The part of a snapshot that is not read from the registry.
pub(super) struct PlanInputs {
    /// Of nodes about which something is ordered.
    pub(super) intakes: BTreeMap<NodeId, Intake>,
    pub(super) moves: HashMap<TenantId, NodeId>,
    pub(super) goal: Goal,
    pub(super) limits: MoveLimits,
    pub(super) awaited: BTreeSet<NodeId>,
    pub(super) failover_paused: bool,
    pub(super) failing_zones: BTreeSet<String>,
    pub(super) draining: BTreeSet<NodeId>,
}

impl PlanInputs {
    pub(super) fn new(orders: &Orders, assessment: &Assessment, desired_tenants: &[DesiredTenant]) -> Self {
        let mut inputs = Self {
            intakes: orders.nodes.iter().map(|order| (order.node.clone(), intake(order))).collect(),
            awaited: assessment.awaited.clone(),
            failover_paused: orders.policy.failover_paused.is_some() || assessment.failover_held,
            failing_zones: assessment.failing_zones.clone(),
            moves: HashMap::new(),
            goal: Goal::Settle,
            limits: MoveLimits::default(),
            draining: BTreeSet::new(),
        };
        for operation in &orders.operations {
            inputs.follow(&operation.kind, desired_tenants);
        }
        inputs
    }

    fn follow(&mut self, kind: &OperationKind, desired_tenants: &[DesiredTenant]) {
        match kind {
            OperationKind::Drain { node, urgent } => {
                let intake = if *urgent { Intake::Leaving } else { Intake::Draining };
                self.intakes.insert(node.clone(), intake);
                self.draining.insert(node.clone());
            }
            OperationKind::Rebalance { max_concurrent, max_unavailable_percent } => {
                self.goal = Goal::Rebalance;
                let running = desired_tenants.iter().filter(|desired| desired.running).count();
                self.limits = limits(*max_concurrent, *max_unavailable_percent, running);
            }
            OperationKind::Move { tenant, to } => {
                self.moves.insert(tenant.clone(), to.clone());
            }
        }
    }

    /// A tenant that waits keeps its place in the ledger while it waits for that very node, or while an operation
    /// has to know where it came from.
    pub(super) fn keeps_place(&self, node: &NodeId, is_live: bool) -> bool {
        self.awaited.contains(node) || self.draining.contains(node) || (self.failover_paused && !is_live)
    }
}

fn intake(order: &NodeOrder) -> Intake {
    match order {
        NodeOrder { cordoned: true, .. } => Intake::Cordoned,
        NodeOrder { suspect_for: Some(_), .. } => Intake::Suspect,
        NodeOrder { .. } => Intake::Open,
    }
}

/// Never none at all, or the operation could not end.
fn limits(max_concurrent: u32, max_unavailable_percent: u32, running: usize) -> MoveLimits {
    let usual = MoveLimits::default();
    let unavailable = running as u64 * u64::from(max_unavailable_percent) / 100;
    MoveLimits {
        per_cluster: max_concurrent.max(1),
        per_node: usual.per_node.min(max_concurrent.max(1)),
        unavailable: u32::try_from(unavailable).unwrap_or(u32::MAX).clamp(1, max_concurrent.max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebalance_moves_within_its_limits_and_at_least_one_at_a_time() {
        assert_eq!(limits(4, 10, 1_000), MoveLimits { per_cluster: 4, per_node: 4, unavailable: 4 });
        assert_eq!(limits(40, 1, 1_000), MoveLimits { per_cluster: 40, per_node: 4, unavailable: 10 });
        assert_eq!(limits(2, 10, 5), MoveLimits { per_cluster: 2, per_node: 2, unavailable: 1 });
        assert_eq!(limits(0, 0, 0), MoveLimits { per_cluster: 1, per_node: 1, unavailable: 1 });
    }
}

//! What the orders and the findings of a pass mean for its plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use roost_model::ids::{NodeId, TenantId};

use crate::{
    ledger::{Demand, NodeOrder, OperationKind, Orders},
    plan::{Goal, Intake, Pace},
};

use super::senses::Findings;

/// The part of a snapshot that is not read from the registry.
pub(super) struct Directions {
    /// Of nodes about which something is ordered.
    pub(super) intakes: BTreeMap<NodeId, Intake>,
    pub(super) moves: HashMap<TenantId, NodeId>,
    pub(super) goal: Goal,
    pub(super) pace: Pace,
    pub(super) awaited: BTreeSet<NodeId>,
    pub(super) failover_paused: bool,
    pub(super) failing_zones: BTreeSet<String>,
    pub(super) draining: BTreeSet<NodeId>,
}

impl Directions {
    pub(super) fn new(orders: &Orders, findings: &Findings, demands: &[Demand]) -> Self {
        let mut given = Self {
            intakes: orders.nodes.iter().map(|order| (order.node.clone(), intake(order))).collect(),
            awaited: findings.awaited.clone(),
            failover_paused: orders.policy.failover_paused.is_some() || findings.braking,
            failing_zones: findings.failing_zones.clone(),
            moves: HashMap::new(),
            goal: Goal::Settle,
            pace: Pace::default(),
            draining: BTreeSet::new(),
        };
        for operation in &orders.operations {
            given.follow(&operation.kind, demands);
        }
        given
    }

    fn follow(&mut self, kind: &OperationKind, demands: &[Demand]) {
        match kind {
            OperationKind::Drain { node, urgent } => {
                let intake = if *urgent { Intake::Leaving } else { Intake::Draining };
                self.intakes.insert(node.clone(), intake);
                self.draining.insert(node.clone());
            }
            OperationKind::Rebalance { max_concurrent, max_unavailable_percent } => {
                self.goal = Goal::Rebalance;
                let running = demands.iter().filter(|demand| demand.running).count();
                self.pace = pace(*max_concurrent, *max_unavailable_percent, running);
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
fn pace(max_concurrent: u32, max_unavailable_percent: u32, running: usize) -> Pace {
    let usual = Pace::default();
    let unavailable = running as u64 * u64::from(max_unavailable_percent) / 100;
    Pace {
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
        assert_eq!(pace(4, 10, 1_000), Pace { per_cluster: 4, per_node: 4, unavailable: 4 });
        assert_eq!(pace(40, 1, 1_000), Pace { per_cluster: 40, per_node: 4, unavailable: 10 });
        assert_eq!(pace(2, 10, 5), Pace { per_cluster: 2, per_node: 2, unavailable: 1 });
        assert_eq!(pace(0, 0, 0), Pace { per_cluster: 1, per_node: 1, unavailable: 1 });
    }
}

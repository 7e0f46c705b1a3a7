//! What an operation would do: the moves of the cluster as it is, with the order in it and without limits.
//!
//! The very function that places tenants is asked (I4), so a dry run and the operation differ only in what happens
//! meanwhile.

use std::collections::BTreeMap;

use roost_cluster::plan::{
    self, Action, Decision, Goal, Intake, MoveLimits, MoveState, Plan, ReleaseReason, Snapshot, TenantMove,
};
use roost_model::ids::{NodeId, TenantId};
use roost_proto::v1;

/// As many as there are.
const ALL_AT_ONCE: MoveLimits =
    MoveLimits { per_cluster: u32::MAX, per_node: u32::MAX, unavailable: u32::MAX };

/// Every tenant of the node has to go.
pub fn drain(mut snapshot: Snapshot, node: &NodeId) -> v1::Plan {
    for view in snapshot.nodes.iter_mut().filter(|view| view.node == *node) {
        view.intake = Intake::Draining;
    }
    let plan = planned(snapshot, Goal::Settle);
    told(&plan, |tenant_move| tenant_move.from == *node)
}

/// Whoever has to move for every node to have its share.
pub fn rebalance(snapshot: Snapshot) -> v1::Plan {
    let evens_out = |reason: &ReleaseReason| {
        matches!(reason, ReleaseReason::TooFull { .. } | ReleaseReason::OthersTooEmpty { .. })
    };
    told(&planned(snapshot, Goal::Rebalance), |tenant_move| evens_out(&tenant_move.reason))
}

/// The tenant has to go there; one that is nowhere is placed there.
pub fn move_to(mut snapshot: Snapshot, moved: &TenantId, node: &NodeId) -> v1::Plan {
    for tenant in snapshot.tenants.iter_mut().filter(|tenant| tenant.tenant == *moved) {
        tenant.move_to = Some(node.clone());
    }
    let plan = planned(snapshot, Goal::Settle);
    let mut answer = told(&plan, |tenant_move| tenant_move.tenant == *moved);
    for decision in plan.decisions.iter().filter(|decision| decision.tenant == *moved) {
        let (tenant_id, from_node_id) = (moved.to_string(), String::new());
        match &decision.action {
            Action::Place { node, cause, choice } => answer.moves.push(v1::PlannedMove {
                tenant_id,
                from_node_id,
                to_node_id: node.to_string(),
                reason: format!("{cause}; {choice}"),
            }),
            Action::Wait { reason } => {
                answer.blocked.push(v1::BlockedMove { tenant_id, from_node_id, reason: reason.to_string() });
            }
            Action::Prepare { .. }
            | Action::Forget { .. }
            | Action::Release { .. }
            | Action::Remove { .. } => {}
        }
    }
    answer
}

fn planned(mut snapshot: Snapshot, goal: Goal) -> Plan {
    snapshot.goal = goal;
    snapshot.limits = ALL_AT_ONCE;
    plan::plan(&snapshot)
}

fn told(plan: &Plan, concerns: impl Fn(&TenantMove) -> bool) -> v1::Plan {
    let mut choices = BTreeMap::new();
    for Decision { tenant, action } in &plan.decisions {
        if let Action::Prepare { choice, .. } = action {
            choices.insert(tenant, choice);
        }
    }
    let mut answer = v1::Plan::default();
    for tenant_move in plan.moves.iter().filter(|tenant_move| concerns(tenant_move)) {
        let (tenant_id, from_node_id) = (tenant_move.tenant.to_string(), tenant_move.from.to_string());
        if let MoveState::Stuck(reason) = &tenant_move.state {
            answer.blocked.push(v1::BlockedMove { tenant_id, from_node_id, reason: reason.to_string() });
            continue;
        }
        // What is on its way already was chosen earlier.
        let why = choices
            .get(&tenant_move.tenant)
            .map_or_else(|| tenant_move.state.to_string(), ToString::to_string);
        answer.moves.push(v1::PlannedMove {
            tenant_id,
            from_node_id,
            to_node_id: tenant_move.to.as_ref().map(ToString::to_string).unwrap_or_default(),
            reason: format!("{}; {why}", tenant_move.reason),
        });
    }
    answer
}

//! What an operation would do: the moves of the cluster as it is, with the order in it and without limits.
//!
//! The very function that places tenants is asked (I4), so a dry run and the operation differ only in what happens
//! meanwhile.

use roost_model::ids::{NodeId, TenantId};

use std::collections::{BTreeMap, HashSet};

use roost_cluster::plan::{
    self, Action, Decision, Goal, Intake, MoveLimits, MoveState, Plan, ReleaseReason, Snapshot, TenantMove,
};

/// What an operation would do; all of it, by tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DryRun {
    pub moves: Vec<PlannedMove>,
    pub blocked: Vec<BlockedMove>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMove {
    pub tenant: TenantId,
    /// None when it is nowhere.
    pub from: Option<NodeId>,
    pub to: Option<NodeId>,
    pub reason: String,
}

/// A tenant that would have to move and cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockedMove {
    pub tenant: TenantId,
    /// None when it is nowhere.
    pub from: Option<NodeId>,
    pub reason: String,
}

/// As many as there are.
const ALL_AT_ONCE: MoveLimits =
    MoveLimits { per_cluster: u32::MAX, per_node: u32::MAX, unavailable: u32::MAX };

/// Every tenant of the node has to go.
pub fn drain(mut snapshot: Snapshot, node: &NodeId) -> DryRun {
    for view in snapshot.nodes.iter_mut().filter(|view| view.node == *node) {
        view.intake = Intake::Draining;
    }
    let plan = planned(snapshot, Goal::Settle);
    of_moves(&plan, |tenant_move| tenant_move.from == *node)
}

/// Whoever has to move for every node to have its share.
pub fn rebalance(snapshot: Snapshot) -> DryRun {
    let evens_out = |reason: &ReleaseReason| {
        matches!(reason, ReleaseReason::TooFull { .. } | ReleaseReason::OthersTooEmpty { .. })
    };
    of_moves(&planned(snapshot, Goal::Rebalance), |tenant_move| evens_out(&tenant_move.reason))
}

/// The tenant has to go there; one that is nowhere is placed there.
pub fn move_to(mut snapshot: Snapshot, moved: &TenantId, node: &NodeId) -> DryRun {
    for tenant in snapshot.tenants.iter_mut().filter(|tenant| tenant.tenant == *moved) {
        tenant.move_to = Some(node.clone());
    }
    let plan = planned(snapshot, Goal::Settle);
    let mut answer = of_moves(&plan, |tenant_move| tenant_move.tenant == *moved);
    for decision in plan.decisions.iter().filter(|decision| decision.tenant == *moved) {
        let tenant = moved.clone();
        match &decision.action {
            Action::Place { node, cause, choice } => answer.moves.push(PlannedMove {
                tenant,
                from: None,
                to: Some(node.clone()),
                reason: format!("{cause}; {choice}"),
            }),
            Action::Wait { reason } => {
                answer.blocked.push(BlockedMove { tenant, from: None, reason: reason.to_string() });
            }
            Action::Prepare { .. }
            | Action::Forget { .. }
            | Action::Release { .. }
            | Action::Remove { .. } => {}
        }
    }
    answer
}

/// Each of these has to go there; or, without a node, away from where it is.
pub fn move_many(mut snapshot: Snapshot, moved: &HashSet<&TenantId>, to: Option<&NodeId>) -> DryRun {
    for tenant in snapshot.tenants.iter_mut().filter(|view| moved.contains(&view.tenant)) {
        match to {
            Some(to) => tenant.move_to = Some(to.clone()),
            None => tenant.leaves = tenant.last.clone(),
        }
    }
    of_moves(&planned(snapshot, Goal::Settle), |tenant_move| {
        let is_ordered =
            matches!(tenant_move.reason, ReleaseReason::MovedTo { .. } | ReleaseReason::MovedAway);
        is_ordered && moved.contains(&tenant_move.tenant)
    })
}

fn planned(mut snapshot: Snapshot, goal: Goal) -> Plan {
    snapshot.goal = goal;
    (snapshot.limits, snapshot.rebalance_limits) = (ALL_AT_ONCE, ALL_AT_ONCE);
    plan::plan(&snapshot)
}

fn of_moves(plan: &Plan, concerns: impl Fn(&TenantMove) -> bool) -> DryRun {
    let mut choices = BTreeMap::new();
    for Decision { tenant, action } in &plan.decisions {
        if let Action::Prepare { choice, .. } = action {
            choices.insert(tenant, choice);
        }
    }
    let mut answer = DryRun::default();
    for tenant_move in plan.moves.iter().filter(|tenant_move| concerns(tenant_move)) {
        let (tenant, from) = (tenant_move.tenant.clone(), Some(tenant_move.from.clone()));
        if let MoveState::Stuck(reason) = &tenant_move.state {
            answer.blocked.push(BlockedMove { tenant, from, reason: reason.to_string() });
            continue;
        }
        // What is on its way already was chosen earlier.
        let why = choices
            .get(&tenant_move.tenant)
            .map_or_else(|| tenant_move.state.to_string(), ToString::to_string);
        answer.moves.push(PlannedMove {
            tenant,
            from,
            to: tenant_move.to.clone(),
            reason: format!("{}; {why}", tenant_move.reason),
        });
    }
    answer
}

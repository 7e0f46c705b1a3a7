//! What is true of every plan, whatever the snapshot. Asserted after each plan in debug builds, and what the property
//! tests look for. Written without the planner's own helpers, so that an error is not made twice.

use super::{
    decision::{Action, MoveState, Plan},
    reason::ReleaseReason,
    snapshot::{Goal, Hold, Intake, Snapshot, TenantView, Wanted},
};
use crate::records::Phase;
use roost_model::ids::NodeId;

mod amounts;
mod facts;

use facts::Facts;

/// The first rule that a plan breaks.
pub(super) fn broken_rule(snapshot: &Snapshot, plan: &Plan) -> Option<String> {
    let facts = Facts::new(snapshot, plan);
    let tenants = snapshot.tenants.iter().find_map(|tenant| {
        let broken = facts.of_tenant(tenant)?;
        Some(format!("{}: {broken}", tenant.tenant))
    });
    tenants.or_else(|| unlisted(plan)).or_else(|| amounts::broken(&facts))
}

impl Facts<'_> {
    fn of_tenant(&self, tenant: &TenantView) -> Option<String> {
        let actions = self.actions(tenant);
        if self.snapshot.keeper(tenant).is_some() {
            let waits = matches!(actions, [Action::Wait { .. }]);
            return (!waits).then(|| format!("{actions:?}, though what its node has of it is not known"));
        }
        let answers =
            actions.iter().filter(|a| matches!(a, Action::Place { .. } | Action::Wait { .. })).count();
        let unplaced = tenant.wanted == Wanted::Running && tenant.holds.is_empty();
        if answers != usize::from(unplaced) {
            return Some(format!("placed or held back {answers} times"));
        }
        let wrong = actions.iter().find(|action| !self.follows(tenant, action));
        if let Some(wrong) = wrong {
            return Some(format!("{wrong:?} does not follow from the snapshot"));
        }
        let preparing = self.preparing_afterwards(tenant);
        if preparing.len() > 1 || tenant.wanted != Wanted::Running && !preparing.is_empty() {
            return Some(format!("{preparing:?} are left preparing"));
        }
        let placed = actions.iter().find_map(|action| match action {
            Action::Place { node, .. } => Some(node),
            _ => None,
        });
        let elsewhere = placed.is_some_and(|placed| preparing.iter().any(|node| *node != placed));
        elsewhere.then(|| format!("placed on one node while {preparing:?} prepares"))
    }

    fn follows(&self, tenant: &TenantView, action: &Action) -> bool {
        match action {
            Action::Place { node, .. } => self.may_come(tenant, node) && !self.is_paused(tenant),
            Action::Prepare { node, from, reason, .. } => {
                let [hold] = tenant.holds.as_slice() else { return false };
                tenant.wanted == Wanted::Running
                    && is_settled(tenant, hold)
                    && hold.node == *from
                    && node != from
                    && tenant.preparations.iter().all(|preparation| preparation.node != *node)
                    && self.may_come(tenant, node)
                    && self.is_reason_to_move(tenant, from, node, reason)
            }
            Action::Forget { node } => {
                tenant.preparations.iter().any(|preparation| preparation.node == *node)
            }
            Action::Release { node, reason } => {
                has_hold(tenant, node, Phase::Active, false) && self.may_release(tenant, node, reason)
            }
            Action::Remove { node } => has_hold(tenant, node, Phase::Releasing, true),
            Action::Wait { .. } => true,
        }
    }

    /// The node takes tenants, and this one.
    fn may_come(&self, tenant: &TenantView, node: &NodeId) -> bool {
        let Some(view) = self.nodes.get(node) else { return false };
        let sent = tenant.pin.as_ref() == Some(node) || tenant.move_to.as_ref() == Some(node);
        let allowed = tenant.pin.is_none() || tenant.pin.as_ref() == Some(node);
        let has_another = !tenant.holds.is_empty();
        let takes = match view.intake {
            Intake::Open | Intake::Suspect => true,
            Intake::Impaired => sent || !has_another,
            Intake::Cordoned | Intake::Shedding | Intake::Draining | Intake::Overdue | Intake::Leaving => {
                false
            }
        };
        let prepares = !has_another || !tenant.unprepared.contains(node);
        let is_left = has_another && tenant.pin.is_none() && self.is_moved_away(tenant, node);
        let readable = !self.snapshot.unreadable.contains_key(node);
        takes && readable && prepares && !is_left && allowed && (sent || view.weight > 0)
    }

    fn is_paused(&self, tenant: &TenantView) -> bool {
        let lost = tenant.last.as_ref().is_some_and(|last| !self.nodes.contains_key(last));
        self.snapshot.failover_paused && lost
    }

    /// A tenant is released for a move only when the next node is ready, and else only when it must not stay.
    fn may_release(&self, tenant: &TenantView, node: &NodeId, reason: &ReleaseReason) -> bool {
        let intake = self.nodes[node].intake;
        let settled = tenant.holds.iter().any(|hold| hold.node == *node && is_settled(tenant, hold));
        match reason {
            ReleaseReason::Stopped => tenant.wanted == Wanted::Stopped,
            ReleaseReason::Deleted => tenant.wanted == Wanted::Deleted,
            ReleaseReason::Fenced { .. } => !settled,
            ReleaseReason::Superseded { by } => {
                tenant.holds.iter().any(|hold| hold.node == *by && hold.node != *node)
            }
            ReleaseReason::NodeLeaving => intake == Intake::Leaving,
            moves => {
                let left = self.preparing_afterwards(tenant);
                let ready = tenant.preparations.iter().find(|preparation| {
                    (preparation.ready || intake == Intake::Overdue) && left.contains(&&preparation.node)
                });
                settled
                    && tenant.holds.len() == 1
                    && ready.is_some_and(|preparation| {
                        self.is_reason_to_move(tenant, node, &preparation.node, moves)
                    })
            }
        }
    }

    /// Nothing moves that need not.
    fn is_reason_to_move(
        &self,
        tenant: &TenantView,
        from: &NodeId,
        to: &NodeId,
        reason: &ReleaseReason,
    ) -> bool {
        let intake = |node| self.nodes.get(node).map(|view| view.intake);
        match reason {
            ReleaseReason::PinnedElsewhere { node } => tenant.pin.as_ref() == Some(node) && node == to,
            ReleaseReason::MovedTo { node } => {
                tenant.pin.is_none() && tenant.move_to.as_ref() == Some(node) && node == to
            }
            ReleaseReason::MovedAway => {
                tenant.pin.is_none() && self.is_moved_away(tenant, from) && to != from
            }
            ReleaseReason::NodeDraining => {
                matches!(intake(from), Some(Intake::Draining | Intake::Overdue))
            }
            ReleaseReason::NodeImpaired => {
                intake(from) == Some(Intake::Shedding) || self.is_shed(tenant, from)
            }
            ReleaseReason::TooFull { .. } | ReleaseReason::OthersTooEmpty { .. } => {
                let both_open = intake(from) == Some(Intake::Open) && intake(to) == Some(Intake::Open);
                self.snapshot.goal == Goal::Rebalance && tenant.pin.is_none() && both_open
            }
            ReleaseReason::Stopped
            | ReleaseReason::Deleted
            | ReleaseReason::NodeLeaving
            | ReleaseReason::Fenced { .. }
            | ReleaseReason::Superseded { .. } => false,
        }
    }
}

fn is_settled(tenant: &TenantView, hold: &Hold) -> bool {
    hold.phase == Phase::Active && hold.generation == tenant.generation
}

fn has_hold(tenant: &TenantView, node: &NodeId, phase: Phase, must_be_let_go: bool) -> bool {
    let mut holds = tenant.holds.iter();
    holds.any(|hold| hold.node == *node && hold.phase == phase && (hold.let_go || !must_be_let_go))
}

/// Every tenant that a plan moves is among its moves, and none twice.
fn unlisted(plan: &Plan) -> Option<String> {
    if !plan.moves.is_sorted_by(|a, b| a.tenant < b.tenant) {
        return Some("the moves are not in the order of tenants".to_owned());
    }
    let missing = plan.decisions.iter().find(|decision| {
        let listed = |state: &MoveState| {
            let at = plan.moves.binary_search_by(|tenant_move| tenant_move.tenant.cmp(&decision.tenant));
            at.is_ok_and(|at| plan.moves[at].state == *state)
        };
        match &decision.action {
            Action::Prepare { .. } => !listed(&MoveState::Preparing),
            Action::Release { reason: ReleaseReason::NodeDraining | ReleaseReason::NodeImpaired, .. } => {
                !listed(&MoveState::Releasing)
            }
            _ => false,
        }
    });
    missing.map(|decision| format!("{decision}: it is not among the moves"))
}

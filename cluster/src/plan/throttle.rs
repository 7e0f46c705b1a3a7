//! Step 7: which of the moves begin now, and which of those that are prepared go on.
//!
//! What a plan begins never brings the traffic above the limits. Traffic that is above them already, because they have
//! been narrowed, goes on to its end. What a rebalance moves has limits and counts of its own. Whoever leaves a node whose
//! drain is overdue is not counted and waits for nothing but a place: it is prepared, which keeps the place, and released.

use super::{
    decision::{Action, MoveState, TenantMove},
    draft::{Draft, Next, PendingMove, PlannedTenant, Stage, TenantState},
    reason::ReleaseReason,
    rebalance,
    snapshot::{Goal, Intake, MoveLimits},
};

/// A rebalance that goes slowly does not hold up what is ordered beside it.
struct TrafficByKind {
    ordered: Traffic,
    rebalance: Traffic,
}

/// Tenants on their way between live nodes.
struct Traffic {
    limits: MoveLimits,
    total: u32,
    /// Released and not yet placed again.
    unavailable: u32,
    out: Vec<u32>,
    into: Vec<u32>,
}

/// Decides on the moves, and lists them together with those that are past deciding.
pub(super) fn begin(draft: &mut Draft<'_>) {
    let mut pending = std::mem::take(&mut draft.pending_moves);
    let mut moves = in_transit(draft);
    let mut traffic = TrafficByKind::of(draft);
    // Nodes that a rebalance has begun to fill come first: it knows them by what is on its way there.
    let filling = draft.filling();
    pending.sort_by_key(|of| (urgency(&of.reason), !of.target().is_some_and(|node| filling[node])));
    for of in &pending {
        moves.push((of.index, decide(draft, &mut traffic, of)));
    }
    moves.sort_by_key(|(index, _)| *index);
    draft.moves = moves.into_iter().map(|(_, tenant_move)| tenant_move).collect();
}

/// Those that an operator waits for come first.
fn urgency(reason: &ReleaseReason) -> u8 {
    match reason {
        ReleaseReason::MovedTo { .. } | ReleaseReason::MovedAway | ReleaseReason::PinnedElsewhere { .. } => 0,
        ReleaseReason::NodeDraining | ReleaseReason::NodeImpaired => 1,
        _ => 2,
    }
}

fn decide(draft: &mut Draft<'_>, traffic: &mut TrafficByKind, of: &PendingMove) -> TenantMove {
    let PendingMove { index, from, reason, stage } = of;
    let tenant = draft.tenants[*index].tenant;
    // With a second entry somewhere it is not settled which one is to move.
    let settled = tenant.holds.len() == 1;
    let node = draft.id(*from);
    let at_once = draft.intake(*from) == Intake::Overdue;
    let traffic = traffic.of_kind(reason.is_rebalance());
    let state = match stage {
        Stage::Stuck(reason) => MoveState::Stuck(reason.clone()),
        Stage::Prepared(next) if settled && (at_once || next.ready && traffic.may_release()) => {
            traffic.unavailable += u32::from(!at_once);
            draft.decide(tenant, Action::Release { node: node.clone(), reason: reason.clone() });
            MoveState::Releasing
        }
        Stage::Prepared(_) => MoveState::Preparing,
        Stage::Chosen(target) if settled && (at_once || traffic.may_prepare(*from, target.node)) => {
            if !at_once {
                traffic.add(*from, Some(target.node));
            }
            draft.tenants[*index].next = Some(Next { node: target.node, ready: false });
            let prepare = Action::Prepare {
                node: draft.id(target.node),
                from: node.clone(),
                reason: reason.clone(),
                choice: target.choice.clone(),
            };
            draft.decide(tenant, prepare);
            MoveState::Preparing
        }
        Stage::Chosen(_) => MoveState::Waiting,
    };
    let to = of.target().map(|node| draft.id(node));
    TenantMove { tenant: tenant.tenant.clone(), from: node, to, reason: reason.clone(), state }
}

/// Those that have been released, by index.
fn in_transit(draft: &Draft<'_>) -> Vec<(usize, TenantMove)> {
    let tenants = draft.tenants.iter().enumerate();
    let moves = tenants.filter_map(|(at, planned)| {
        let TenantState::InTransit { from, graceful } = planned.state else { return None };
        let reason = reason_in_transit(draft, planned, from, graceful)?;
        let tenant_move = TenantMove {
            tenant: planned.tenant.tenant.clone(),
            from: draft.id(from),
            to: planned.next.map(|next| draft.id(next.node)),
            reason,
            state: MoveState::Releasing,
        };
        Some((at, tenant_move))
    });
    moves.collect()
}

/// A release does not say why it was made: what still holds is the reason. None if nothing does.
fn reason_in_transit(
    draft: &Draft<'_>,
    planned: &PlannedTenant<'_>,
    from: usize,
    graceful: bool,
) -> Option<ReleaseReason> {
    let (tenant, node) = (planned.tenant, &draft.nodes[from].node);
    let elsewhere = |to: &&roost_model::ids::NodeId| *to != node;
    match (
        draft.intake(from),
        tenant.pin.as_ref().filter(elsewhere),
        tenant.move_to.as_ref().filter(elsewhere),
    ) {
        (Intake::Leaving, ..) => Some(ReleaseReason::NodeLeaving),
        (Intake::Overdue, None, None) => Some(ReleaseReason::NodeDraining),
        (Intake::Overdue, Some(pin), _) => Some(ReleaseReason::PinnedElsewhere { node: pin.clone() }),
        (Intake::Overdue, None, Some(to)) => Some(ReleaseReason::MovedTo { node: to.clone() }),
        _ if !graceful => None,
        (_, Some(pin), _) => Some(ReleaseReason::PinnedElsewhere { node: pin.clone() }),
        (_, None, Some(to)) => Some(ReleaseReason::MovedTo { node: to.clone() }),
        (_, None, None) if tenant.is_to_leave(node) => Some(ReleaseReason::MovedAway),
        (Intake::Draining, None, None) => Some(ReleaseReason::NodeDraining),
        (Intake::Shedding, None, None) => Some(ReleaseReason::NodeImpaired),
        (_, None, None) if draft.snapshot.is_shed_by(draft.nodes[from], tenant) => {
            Some(ReleaseReason::NodeImpaired)
        }
        (Intake::Open, None, None) if draft.snapshot.goal == Goal::Rebalance => {
            Some(rebalance::reason(draft.loads.load(from) + 1, draft.loads.band(from)))
        }
        (Intake::Open | Intake::Suspect | Intake::Impaired | Intake::Cordoned, None, None) => None,
    }
}

impl TrafficByKind {
    /// Before anything is begun.
    fn of(draft: &Draft<'_>) -> Self {
        let mut traffic = Self {
            ordered: Traffic::none(draft, draft.snapshot.limits),
            rebalance: Traffic::none(draft, draft.snapshot.rebalance_limits),
        };
        for planned in &draft.tenants {
            let next = planned.next.map(|next| next.node);
            match &planned.state {
                TenantState::Resident { node, .. } if draft.intake(*node) == Intake::Overdue => {}
                TenantState::Resident { node, asks } if next.is_some() => {
                    traffic.of_kind(asks.is_none()).add(*node, next);
                }
                TenantState::InTransit { from, graceful: true } => {
                    let reason = reason_in_transit(draft, planned, *from, true);
                    // One that nobody asks for any more was no order either.
                    let traffic = traffic.of_kind(reason.is_none_or(|reason| reason.is_rebalance()));
                    traffic.unavailable += 1;
                    traffic.add(*from, next);
                }
                TenantState::Resident { .. }
                | TenantState::InTransit { .. }
                | TenantState::Unplaced { .. } => {}
            }
        }
        traffic
    }

    fn of_kind(&mut self, is_rebalance: bool) -> &mut Traffic {
        if is_rebalance { &mut self.rebalance } else { &mut self.ordered }
    }
}

impl Traffic {
    fn none(draft: &Draft<'_>, limits: MoveLimits) -> Self {
        let nodes = draft.nodes.len();
        Self { limits, total: 0, unavailable: 0, out: vec![0; nodes], into: vec![0; nodes] }
    }

    fn add(&mut self, from: usize, to: Option<usize>) {
        self.total += 1;
        self.out[from] += 1;
        if let Some(to) = to {
            self.into[to] += 1;
        }
    }

    fn may_prepare(&self, from: usize, to: usize) -> bool {
        let MoveLimits { per_cluster, per_node, .. } = self.limits;
        self.total < per_cluster && self.out[from] < per_node && self.into[to] < per_node
    }

    fn may_release(&self) -> bool {
        self.unavailable < self.limits.unavailable
    }
}

impl PendingMove {
    fn target(&self) -> Option<usize> {
        match &self.stage {
            Stage::Prepared(next) => Some(next.node),
            Stage::Chosen(target) => Some(target.node),
            Stage::Stuck(_) => None,
        }
    }
}

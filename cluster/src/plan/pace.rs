//! Step 7: which of the moves begin now, and which of those that are prepared go on.
//!
//! What a plan begins never brings the traffic above the pace. Traffic that is above it already, because the pace has
//! been narrowed, goes on to its end.

use super::{
    Action, Goal, Intake, Mover, MoverState, Pace, ReleaseReason, band,
    draft::{Case, Draft, Move, Next, Stage, State},
    rebalance,
};

/// Tenants on their way between live nodes.
struct Traffic {
    pace: Pace,
    total: u32,
    /// Released and not yet placed again.
    unavailable: u32,
    out: Vec<u32>,
    into: Vec<u32>,
}

/// Decides on the moves, and lists them together with those that are past deciding.
pub(super) fn begin(draft: &mut Draft<'_>) {
    let mut moves = std::mem::take(&mut draft.moves);
    let mut movers = in_transit(draft);
    let mut traffic = Traffic::of(draft);
    // Nodes that a rebalance has begun to fill come first: it knows them by what is on its way there.
    let filling = band::filling(draft);
    moves.sort_by_key(|of| (urgency(&of.reason), !of.target().is_some_and(|node| filling[node])));
    for of in &moves {
        movers.push((of.case, decide(draft, &mut traffic, of)));
    }
    movers.sort_by_key(|(case, _)| *case);
    draft.movers = movers.into_iter().map(|(_, mover)| mover).collect();
}

/// Those that an operator waits for come first.
fn urgency(reason: &ReleaseReason) -> u8 {
    match reason {
        ReleaseReason::MovedTo { .. } | ReleaseReason::PinnedElsewhere { .. } => 0,
        ReleaseReason::NodeDraining => 1,
        _ => 2,
    }
}

fn decide(draft: &mut Draft<'_>, traffic: &mut Traffic, of: &Move) -> Mover {
    let Move { case, from, reason, stage } = of;
    let tenant = draft.cases[*case].tenant;
    // With a second entry somewhere it is not settled which one is to move.
    let settled = tenant.holds.len() == 1;
    let node = draft.id(*from);
    let state = match stage {
        Stage::Stuck(reason) => MoverState::Stuck(reason.clone()),
        Stage::Prepared(next) if settled && next.ready && traffic.may_release() => {
            traffic.unavailable += 1;
            draft.decide(tenant, Action::Release { node: node.clone(), reason: reason.clone() });
            MoverState::Releasing
        }
        Stage::Prepared(_) => MoverState::Preparing,
        Stage::Chosen(target) if settled && traffic.may_prepare(*from, target.node) => {
            traffic.add(*from, Some(target.node));
            draft.cases[*case].next = Some(Next { node: target.node, ready: false });
            let prepare = Action::Prepare {
                node: draft.id(target.node),
                from: node.clone(),
                reason: reason.clone(),
                choice: target.choice.clone(),
            };
            draft.decide(tenant, prepare);
            MoverState::Preparing
        }
        Stage::Chosen(_) => MoverState::Waiting,
    };
    let to = of.target().map(|node| draft.id(node));
    Mover { tenant: tenant.tenant.clone(), from: node, to, reason: reason.clone(), state }
}

/// Those that have been released, by case.
fn in_transit(draft: &Draft<'_>) -> Vec<(usize, Mover)> {
    let cases = draft.cases.iter().enumerate();
    let movers = cases.filter_map(|(at, case)| {
        let State::InTransit { from, graceful } = case.state else { return None };
        let reason = reason_in_transit(draft, case, from, graceful)?;
        let mover = Mover {
            tenant: case.tenant.tenant.clone(),
            from: draft.id(from),
            to: case.next.map(|next| draft.id(next.node)),
            reason,
            state: MoverState::Releasing,
        };
        Some((at, mover))
    });
    movers.collect()
}

/// A release does not say why it was made: what still holds is the reason. None if nothing does.
fn reason_in_transit(
    draft: &Draft<'_>,
    case: &Case<'_>,
    from: usize,
    graceful: bool,
) -> Option<ReleaseReason> {
    let (tenant, node) = (case.tenant, &draft.nodes[from].node);
    let elsewhere = |to: &&roost_model::ids::NodeId| *to != node;
    match (
        draft.intake(from),
        tenant.pin.as_ref().filter(elsewhere),
        tenant.move_to.as_ref().filter(elsewhere),
    ) {
        (Intake::Leaving, ..) => Some(ReleaseReason::NodeLeaving),
        _ if !graceful => None,
        (_, Some(pin), _) => Some(ReleaseReason::PinnedElsewhere { node: pin.clone() }),
        (_, None, Some(to)) => Some(ReleaseReason::MovedTo { node: to.clone() }),
        (Intake::Draining, None, None) => Some(ReleaseReason::NodeDraining),
        (Intake::Open, None, None) if draft.snapshot.goal == Goal::Rebalance => {
            Some(rebalance::reason(draft.rooms.load(from) + 1, draft.rooms.band(from)))
        }
        (Intake::Open | Intake::Suspect | Intake::Cordoned, None, None) => None,
    }
}

impl Traffic {
    /// Before anything is begun.
    fn of(draft: &Draft<'_>) -> Self {
        let nodes = draft.nodes.len();
        let pace = draft.snapshot.pace;
        let mut traffic = Self { pace, total: 0, unavailable: 0, out: vec![0; nodes], into: vec![0; nodes] };
        for case in &draft.cases {
            let next = case.next.map(|next| next.node);
            match case.state {
                State::Resident { node, .. } if next.is_some() => traffic.add(node, next),
                State::InTransit { from, graceful: true } => {
                    traffic.unavailable += 1;
                    traffic.add(from, next);
                }
                State::Resident { .. } | State::InTransit { .. } | State::Homeless { .. } => {}
            }
        }
        traffic
    }

    fn add(&mut self, from: usize, to: Option<usize>) {
        self.total += 1;
        self.out[from] += 1;
        if let Some(to) = to {
            self.into[to] += 1;
        }
    }

    fn may_prepare(&self, from: usize, to: usize) -> bool {
        let Pace { per_cluster, per_node, .. } = self.pace;
        self.total < per_cluster && self.out[from] < per_node && self.into[to] < per_node
    }

    fn may_release(&self) -> bool {
        self.unavailable < self.pace.unavailable
    }
}

impl Move {
    fn target(&self) -> Option<usize> {
        match &self.stage {
            Stage::Prepared(next) => Some(next.node),
            Stage::Chosen(target) => Some(target.node),
            Stage::Stuck(_) => None,
        }
    }
}

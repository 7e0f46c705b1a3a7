//! Steps 4 and 5: a node for every tenant that should run and that no live node has, then one for every tenant that is
//! asked to go.

use super::{
    choose,
    decision::Action,
    draft::{Draft, Next, PendingMove, PlannedTenant, Stage, Target, TenantState},
    reason::{Cause, Choice, ReleaseReason, WaitReason},
    snapshot::TenantView,
};

/// Places as many as there is room for; the others wait with a reason.
pub(super) fn place(draft: &mut Draft<'_>) {
    let mut to_place = Vec::new();
    for index in 0..draft.tenants.len() {
        let planned = &draft.tenants[index];
        match (&planned.state, planned.next) {
            (TenantState::Unplaced { .. }, Some(next)) => {
                give(draft, index, Target { node: next.node, choice: Choice::Prepared });
            }
            (TenantState::Unplaced { held: Some(reason) }, None) => wait(draft, index, reason.clone()),
            (TenantState::Unplaced { held: None }, None) => to_place.push(index),
            (TenantState::InTransit { .. } | TenantState::Resident { .. }, _) => {}
        }
    }
    // Those who can go to one node only come before those who can go to any.
    to_place.sort_by_key(|&index| draft.tenants[index].tenant.pin.is_none());
    let mut left = to_place.len();
    for index in to_place {
        match choose::choose(draft, draft.tenants[index].tenant, left <= draft.loads.lacking()) {
            Ok(target) => {
                draft.loads.take(target.node);
                give(draft, index, target);
            }
            Err(reason) => wait(draft, index, reason),
        }
        left -= 1;
    }
}

fn give(draft: &mut Draft<'_>, index: usize, target: Target) {
    let tenant = draft.tenants[index].tenant;
    let cause = cause(draft, tenant, target.node);
    draft.tenants[index].next = Some(Next { node: target.node, ready: false });
    draft.decide(tenant, Action::Place { node: draft.id(target.node), cause, choice: target.choice });
}

fn wait(draft: &mut Draft<'_>, index: usize, reason: WaitReason) {
    draft.decide(draft.tenants[index].tenant, Action::Wait { reason });
}

fn cause(draft: &Draft<'_>, tenant: &TenantView, node: usize) -> Cause {
    match &tenant.last {
        None => Cause::New,
        Some(last) if draft.nodes[node].node == *last => Cause::Restarted,
        Some(last) if draft.find(last).is_some() => Cause::Moved { from: last.clone() },
        Some(last) => Cause::NodeLost { node: last.clone() },
    }
}

/// Adds a move for each, also for those that cannot go: these stay where they are.
pub(super) fn move_asked(draft: &mut Draft<'_>) {
    let asked: Vec<usize> =
        (0..draft.tenants.len()).filter(|&index| is_asked(&draft.tenants[index])).collect();
    let mut left = asked.iter().filter(|&&index| draft.tenants[index].next.is_none()).count();
    for index in asked {
        let PlannedTenant { tenant, next, .. } = draft.tenants[index];
        let TenantState::Resident { node: from, asks: Some(reason) } = draft.tenants[index].state.clone()
        else {
            continue;
        };
        if let Some(next) = next {
            draft.pending_moves.push(PendingMove { index, from, reason, stage: Stage::Prepared(next) });
            continue;
        }
        let target = match &reason {
            ReleaseReason::MovedTo { node } => match &tenant.pin {
                Some(pin) => Err(WaitReason::PinnedElsewhere { node: pin.clone() }),
                None => choose::moved(draft, tenant, node),
            },
            _ => choose::choose(draft, tenant, left <= draft.loads.lacking()),
        };
        match target {
            Ok(target) => begin_move(draft, index, from, reason, target),
            Err(wait) => {
                draft.loads.settle(from);
                draft.pending_moves.push(PendingMove { index, from, reason, stage: Stage::Stuck(wait) });
            }
        }
        left -= 1;
    }
}

fn is_asked(planned: &PlannedTenant<'_>) -> bool {
    matches!(planned.state, TenantState::Resident { asks: Some(_), .. })
}

/// Adds a move to a node that has been chosen now; the tenant no longer counts where it is.
pub(super) fn begin_move(
    draft: &mut Draft<'_>,
    index: usize,
    from: usize,
    reason: ReleaseReason,
    target: Target,
) {
    draft.loads.take(target.node);
    // It may be that a preparation there was about to be given up.
    let preparation = draft.tenants[index]
        .tenant
        .preparations
        .iter()
        .find(|preparation| preparation.node == draft.nodes[target.node].node);
    let stage = match preparation {
        Some(preparation) => {
            let next = Next { node: target.node, ready: preparation.ready };
            draft.tenants[index].next = Some(next);
            Stage::Prepared(next)
        }
        None => Stage::Chosen(target),
    };
    draft.pending_moves.push(PendingMove { index, from, reason, stage });
}

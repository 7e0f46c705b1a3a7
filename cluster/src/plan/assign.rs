//! Steps 4 and 5: a node for every tenant that should run and that no live node has, then one for every tenant that is
//! asked to go.

use super::{
    choose,
    decision::Action,
    draft::{Case, Draft, Next, PendingMove, Stage, Target, TenantState},
    reason::{Cause, Choice, ReleaseReason, WaitReason},
    snapshot::TenantView,
};

/// Places as many as there is room for; the others wait with a reason.
pub(super) fn place(draft: &mut Draft<'_>) {
    let mut to_place = Vec::new();
    for case in 0..draft.cases.len() {
        let of = &draft.cases[case];
        match (&of.state, of.next) {
            (TenantState::Unplaced { .. }, Some(next)) => {
                give(draft, case, Target { node: next.node, choice: Choice::Prepared });
            }
            (TenantState::Unplaced { held: Some(reason) }, None) => wait(draft, case, reason.clone()),
            (TenantState::Unplaced { held: None }, None) => to_place.push(case),
            (TenantState::InTransit { .. } | TenantState::Resident { .. }, _) => {}
        }
    }
    // Those who can go to one node only come before those who can go to any.
    to_place.sort_by_key(|&case| draft.cases[case].tenant.pin.is_none());
    let mut left = to_place.len();
    for case in to_place {
        match choose::choose(draft, draft.cases[case].tenant, left <= draft.loads.lacking()) {
            Ok(target) => {
                draft.loads.take(target.node);
                give(draft, case, target);
            }
            Err(reason) => wait(draft, case, reason),
        }
        left -= 1;
    }
}

fn give(draft: &mut Draft<'_>, case: usize, target: Target) {
    let tenant = draft.cases[case].tenant;
    let cause = cause(draft, tenant, target.node);
    draft.cases[case].next = Some(Next { node: target.node, ready: false });
    draft.decide(tenant, Action::Place { node: draft.id(target.node), cause, choice: target.choice });
}

fn wait(draft: &mut Draft<'_>, case: usize, reason: WaitReason) {
    draft.decide(draft.cases[case].tenant, Action::Wait { reason });
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
    let asked: Vec<usize> = (0..draft.cases.len()).filter(|&case| is_asked(&draft.cases[case])).collect();
    let mut left = asked.iter().filter(|&&case| draft.cases[case].next.is_none()).count();
    for case in asked {
        let Case { tenant, next, .. } = draft.cases[case];
        let TenantState::Resident { node: from, asks: Some(reason) } = draft.cases[case].state.clone() else {
            continue;
        };
        if let Some(next) = next {
            draft.pending_moves.push(PendingMove { case, from, reason, stage: Stage::Prepared(next) });
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
            Ok(target) => begin_move(draft, case, from, reason, target),
            Err(wait) => {
                draft.loads.settle(from);
                draft.pending_moves.push(PendingMove { case, from, reason, stage: Stage::Stuck(wait) });
            }
        }
        left -= 1;
    }
}

fn is_asked(case: &Case<'_>) -> bool {
    matches!(case.state, TenantState::Resident { asks: Some(_), .. })
}

/// Adds a move to a node that has been chosen now; the tenant no longer counts where it is.
pub(super) fn begin_move(
    draft: &mut Draft<'_>,
    case: usize,
    from: usize,
    reason: ReleaseReason,
    target: Target,
) {
    draft.loads.take(target.node);
    // It may be that a preparation there was about to be given up.
    let preparation = draft.cases[case]
        .tenant
        .preparations
        .iter()
        .find(|preparation| preparation.node == draft.nodes[target.node].node);
    let stage = match preparation {
        Some(preparation) => {
            let next = Next { node: target.node, ready: preparation.ready };
            draft.cases[case].next = Some(next);
            Stage::Prepared(next)
        }
        None => Stage::Chosen(target),
    };
    draft.pending_moves.push(PendingMove { case, from, reason, stage });
}

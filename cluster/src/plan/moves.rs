//! Step 5: a node for every tenant that is asked to go.

use super::{
    ReleaseReason, WaitReason, choose,
    choose::Target,
    draft::{Case, Draft, Move, Next, Stage, State},
};

/// Adds a move for each, also for those that cannot go: these stay where they are.
pub(super) fn choose(draft: &mut Draft<'_>) {
    let asked: Vec<usize> = (0..draft.cases.len()).filter(|&case| is_asked(&draft.cases[case])).collect();
    let mut left = asked.iter().filter(|&&case| draft.cases[case].next.is_none()).count();
    for case in asked {
        let Case { tenant, next, .. } = draft.cases[case];
        let State::Resident { node: from, asks: Some(reason) } = draft.cases[case].state.clone() else {
            continue;
        };
        if let Some(next) = next {
            draft.moves.push(Move { case, from, reason, stage: Stage::Prepared(next) });
            continue;
        }
        let target = match &reason {
            ReleaseReason::MovedTo { node } => match &tenant.pin {
                Some(pin) => Err(WaitReason::PinnedElsewhere { node: pin.clone() }),
                None => choose::moved(draft, node),
            },
            _ => choose::choose(draft, tenant, left <= draft.rooms.lacking()),
        };
        match target {
            Ok(target) => begin(draft, case, from, reason, target),
            Err(wait) => {
                draft.rooms.settle(from);
                draft.moves.push(Move { case, from, reason, stage: Stage::Stuck(wait) });
            }
        }
        left -= 1;
    }
}

fn is_asked(case: &Case<'_>) -> bool {
    matches!(case.state, State::Resident { asks: Some(_), .. })
}

/// Adds a move to a node that has been chosen now; the tenant no longer counts where it is.
pub(super) fn begin(draft: &mut Draft<'_>, case: usize, from: usize, reason: ReleaseReason, target: Target) {
    draft.rooms.take(target.node);
    // It may be that a preparation there was about to be given up.
    let warm = draft.cases[case].tenant.warm.iter().find(|warm| warm.node == draft.nodes[target.node].node);
    let stage = match warm {
        Some(warm) => {
            let next = Next { node: target.node, ready: warm.ready };
            draft.cases[case].next = Some(next);
            Stage::Prepared(next)
        }
        None => Stage::Chosen(target),
    };
    draft.moves.push(Move { case, from, reason, stage });
}

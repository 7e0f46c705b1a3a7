//! Step 4: a node for every tenant that should run and that no live node has.

use super::{
    Action, Cause, Choice, TenantView, WaitReason, choose,
    choose::Target,
    draft::{Draft, Next, State},
};

/// Places as many as there is room for; the others wait with a reason.
pub(super) fn place(draft: &mut Draft<'_>) {
    let mut to_place = Vec::new();
    for case in 0..draft.cases.len() {
        let of = &draft.cases[case];
        match (&of.state, of.next) {
            (State::Homeless { .. }, Some(next)) => {
                give(draft, case, Target { node: next.node, choice: Choice::Prepared });
            }
            (State::Homeless { held: Some(reason) }, None) => wait(draft, case, reason.clone()),
            (State::Homeless { held: None }, None) => to_place.push(case),
            (State::InTransit { .. } | State::Resident { .. }, _) => {}
        }
    }
    // Those who can go to one node only come before those who can go to any.
    to_place.sort_by_key(|&case| draft.cases[case].tenant.pin.is_none());
    let mut left = to_place.len();
    for case in to_place {
        match choose::choose(draft, draft.cases[case].tenant, left <= draft.rooms.lacking()) {
            Ok(target) => {
                draft.rooms.take(target.node);
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

//! Step 2: which preparations still serve, and at the end of all steps the end of those that do not.

use super::{
    decision::Action,
    draft::{Case, Draft, Next, TenantState},
    node_loads::{Fit, Group},
    reason::ReleaseReason,
    snapshot::{Goal, Intake},
};

/// Keeps at most one preparation of each tenant, and counts the tenant as moved there.
pub(super) fn keep(draft: &mut Draft<'_>) {
    let prepared: Vec<usize> =
        (0..draft.cases.len()).filter(|&at| !draft.cases[at].tenant.preparations.is_empty()).collect();
    // Whether a suspect node may take a tenant depends on what is left on the others.
    for suspect in [false, true] {
        for &case in &prepared {
            if draft.cases[case].next.is_none() {
                keep_best(draft, case, suspect);
            }
        }
    }
}

fn keep_best(draft: &mut Draft<'_>, case: usize, suspect: bool) {
    let of = &draft.cases[case];
    let preparation = of.tenant.preparations.iter().filter_map(|preparation| {
        let node = draft.find(&preparation.node)?;
        Some(Next { node, ready: preparation.ready })
    });
    let serving = preparation.filter(|next| {
        (draft.intake(next.node) == Intake::Suspect) == suspect
            && may_take(draft, of, next.node)
            && is_asked_for(draft, of, next.node)
    });
    let Some(next) = serving.min_by_key(|next| (!next.ready, next.node)) else { return };
    draft.loads.take(next.node);
    if let TenantState::Resident { node, asks: None } = of.state {
        draft.loads.unsettle(node);
    }
    let of = &mut draft.cases[case];
    of.next = Some(next);
    if let TenantState::Unplaced { held } = &mut of.state {
        *held = None;
    }
}

/// The node is as good a choice as when it was chosen.
fn may_take(draft: &Draft<'_>, case: &Case<'_>, node: usize) -> bool {
    let others_have_room = || draft.loads.any_fits(&[Group::Open, Group::OpenFailing], Fit::AnyRoom);
    let last_resort = draft.intake(node) == Intake::Suspect && others_have_room();
    let sent = case.tenant.is_sent_to(&draft.nodes[node].node);
    draft.admits(node, case.tenant).is_ok() && (sent || !last_resort)
}

/// Somebody still wants the tenant to go there, or it has to go somewhere.
fn is_asked_for(draft: &Draft<'_>, case: &Case<'_>, next: usize) -> bool {
    match &case.state {
        TenantState::Unplaced { .. } => !is_paused(draft, case),
        TenantState::InTransit { from, .. } => *from != next,
        TenantState::Resident { node, .. } if *node == next => false,
        TenantState::Resident { asks: Some(asks), .. } => match asks {
            ReleaseReason::PinnedElsewhere { node } | ReleaseReason::MovedTo { node } => {
                draft.find(node) == Some(next) && case.tenant.is_sent_to(node)
            }
            _ => true,
        },
        TenantState::Resident { node, asks: None } => {
            draft.snapshot.goal == Goal::Rebalance
                && draft.is_open(*node)
                && draft.is_open(next)
                && is_movable(case)
        }
    }
}

/// Whether a rebalance may move it: nobody says where it has to be.
pub(super) fn is_movable(case: &Case<'_>) -> bool {
    case.tenant.pin.is_none() && case.tenant.move_to.is_none() && case.tenant.holds.len() <= 1
}

fn is_paused(draft: &Draft<'_>, case: &Case<'_>) -> bool {
    let last_is_gone = case.tenant.last.as_ref().is_some_and(|last| draft.find(last).is_none());
    draft.snapshot.failover_paused && last_is_gone
}

/// Forgets every preparation that is not where its tenant goes.
pub(super) fn forget(draft: &mut Draft<'_>) {
    for case in 0..draft.cases.len() {
        let Case { tenant, next, .. } = draft.cases[case];
        for preparation in &tenant.preparations {
            if next.is_none_or(|next| draft.nodes[next.node].node != preparation.node) {
                draft.decide(tenant, Action::Forget { node: preparation.node.clone() });
            }
        }
    }
}

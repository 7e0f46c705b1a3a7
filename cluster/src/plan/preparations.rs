//! Step 2: which preparations still serve, and at the end of all steps the end of those that do not.

use super::{
    decision::Action,
    draft::{Draft, Next, PlannedTenant, TenantState},
    node_loads::{Fit, Group},
    reason::ReleaseReason,
    snapshot::{Goal, Intake},
};

/// Keeps at most one preparation of each tenant, and counts the tenant as moved there.
pub(super) fn keep(draft: &mut Draft<'_>) {
    let prepared: Vec<usize> =
        (0..draft.tenants.len()).filter(|&at| !draft.tenants[at].tenant.preparations.is_empty()).collect();
    // Whether a suspect node may take a tenant depends on what is left on the others.
    for suspect in [false, true] {
        for &index in &prepared {
            if draft.tenants[index].next.is_none() {
                keep_best(draft, index, suspect);
            }
        }
    }
}

fn keep_best(draft: &mut Draft<'_>, index: usize, suspect: bool) {
    let planned = &draft.tenants[index];
    let live = planned.tenant.preparations.iter().filter_map(|preparation| {
        let node = draft.find(&preparation.node)?;
        Some(Next { node, ready: preparation.ready })
    });
    let serving = live.filter(|next| {
        (draft.intake(next.node) == Intake::Suspect) == suspect
            && may_take(draft, planned, next.node)
            && is_asked_for(draft, planned, next.node)
    });
    let Some(next) = serving.min_by_key(|next| (!next.ready, next.node)) else { return };
    draft.loads.take(next.node);
    if let TenantState::Resident { node, asks: None } = planned.state {
        draft.loads.unsettle(node);
    }
    let planned = &mut draft.tenants[index];
    planned.next = Some(next);
    if let TenantState::Unplaced { held } = &mut planned.state {
        *held = None;
    }
}

/// The node is as good a choice as when it was chosen.
fn may_take(draft: &Draft<'_>, planned: &PlannedTenant<'_>, node: usize) -> bool {
    let others_have_room = || draft.loads.any_fits(&[Group::Open, Group::OpenFailing], Fit::AnyRoom);
    let last_resort = draft.intake(node) == Intake::Suspect && others_have_room();
    let sent = planned.tenant.is_sent_to(&draft.nodes[node].node);
    draft.admits(node, planned.tenant).is_ok() && (sent || !last_resort)
}

/// Somebody still wants the tenant to go there, or it has to go somewhere.
fn is_asked_for(draft: &Draft<'_>, planned: &PlannedTenant<'_>, next: usize) -> bool {
    match &planned.state {
        TenantState::Unplaced { .. } => !is_paused(draft, planned),
        TenantState::InTransit { from, .. } => *from != next,
        TenantState::Resident { node, .. } if *node == next => false,
        TenantState::Resident { asks: Some(asks), .. } => match asks {
            ReleaseReason::PinnedElsewhere { node } | ReleaseReason::MovedTo { node } => {
                draft.find(node) == Some(next) && planned.tenant.is_sent_to(node)
            }
            _ => true,
        },
        TenantState::Resident { node, asks: None } => {
            draft.snapshot.goal == Goal::Rebalance
                && draft.is_open(*node)
                && draft.is_open(next)
                && is_movable(planned)
        }
    }
}

/// Whether a rebalance may move it: nobody says where it has to be.
pub(super) fn is_movable(planned: &PlannedTenant<'_>) -> bool {
    planned.tenant.pin.is_none() && planned.tenant.move_to.is_none() && planned.tenant.holds.len() <= 1
}

fn is_paused(draft: &Draft<'_>, planned: &PlannedTenant<'_>) -> bool {
    let last_is_gone = planned.tenant.last.as_ref().is_some_and(|last| draft.find(last).is_none());
    draft.snapshot.failover_paused && last_is_gone
}

/// Forgets every preparation that is not where its tenant goes.
pub(super) fn forget(draft: &mut Draft<'_>) {
    for index in 0..draft.tenants.len() {
        let PlannedTenant { tenant, next, .. } = draft.tenants[index];
        for preparation in &tenant.preparations {
            if next.is_none_or(|next| draft.nodes[next.node].node != preparation.node) {
                draft.decide(tenant, Action::Forget { node: preparation.node.clone() });
            }
        }
    }
}

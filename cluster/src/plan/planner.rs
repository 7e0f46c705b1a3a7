//! The steps of a plan, in their order, and those that find out how things are: what the live nodes have and what they
//! prepare (steps 1 and 2), and what each node should have of it (step 3).

#[cfg(debug_assertions)]
use super::check;
use super::{
    assign,
    decision::{Action, Plan},
    draft::{Draft, Next, PlannedTenant, TenantState},
    node_loads::Fit,
    reason::{ReleaseReason, WaitReason},
    rebalance,
    snapshot::{Goal, Hold, Intake, Snapshot, TenantView, Wanted},
    throttle,
};
use crate::records::Phase;

/// See [`crate::plan`].
pub fn plan(snapshot: &Snapshot) -> Plan {
    let plan = into_plan(finished(snapshot));
    #[cfg(debug_assertions)]
    debug_assert_eq!(check::broken_rule(snapshot, &plan), None, "{plan}");
    plan
}

/// All steps of the plan.
pub(super) fn finished(snapshot: &Snapshot) -> Draft<'_> {
    let mut draft = Draft::new(snapshot);
    settle(&mut draft);
    draft.loads.sum_up();
    keep_preparations(&mut draft);
    set_bands(&mut draft);
    if snapshot.goal == Goal::Rebalance {
        rebalance::go_on(&mut draft);
    }
    assign::place(&mut draft);
    assign::move_asked(&mut draft);
    if snapshot.goal == Goal::Rebalance {
        rebalance::choose(&mut draft);
    }
    throttle::begin(&mut draft);
    forget_preparations(&mut draft);
    draft
}

pub(super) fn into_plan(draft: Draft<'_>) -> Plan {
    let mut decisions = draft.decisions;
    decisions.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    Plan { decisions, moves: draft.moves }
}

/// Step 1. Takes in every tenant: removes what was let go, releases what must not stay, and sorts those that should run.
fn settle(draft: &mut Draft<'_>) {
    let snapshot = draft.snapshot;
    let mut tenants: Vec<&TenantView> = snapshot.tenants.iter().collect();
    tenants.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    for tenant in tenants {
        if let Some((node, reason)) = snapshot.keeper(tenant) {
            let reason = WaitReason::RecordUnreadable { node: node.clone(), reason: reason.to_owned() };
            keep_as_it_is(draft, tenant, reason);
            continue;
        }
        let mut state =
            tenant.holds.is_empty().then(|| TenantState::Unplaced { held: held_back(draft, tenant) });
        for hold in &tenant.holds {
            let settled = settle_hold(draft, tenant, hold);
            if newest(tenant).is_some_and(|newest| newest.node == hold.node) {
                state = settled;
            }
        }
        match state {
            Some(state) if tenant.wanted == Wanted::Running => {
                draft.tenants.push(PlannedTenant { tenant, state, next: None });
            }
            Some(_) | None => {
                for preparation in &tenant.preparations {
                    draft.decide(tenant, Action::Forget { node: preparation.node.clone() });
                }
            }
        }
    }
}

/// Nothing is decided about it, but what it has takes room.
fn keep_as_it_is(draft: &mut Draft<'_>, tenant: &TenantView, reason: WaitReason) {
    let prepared = tenant.preparations.iter().map(|preparation| &preparation.node);
    for node in tenant.holds.iter().map(|hold| &hold.node).chain(prepared) {
        if let Some(node) = draft.find(node) {
            draft.loads.host(node, tenant);
        }
    }
    draft.decide(tenant, Action::Wait { reason });
}

/// None if the node is not live: then the hold is none either.
fn settle_hold(draft: &mut Draft<'_>, tenant: &TenantView, hold: &Hold) -> Option<TenantState> {
    let node = draft.find(&hold.node)?;
    let at_once = matches!(draft.intake(node), Intake::Leaving | Intake::Overdue);
    let graceful = tenant.holds.len() == 1 && hold.generation == tenant.generation && !at_once;
    match hold.phase {
        Phase::Releasing if hold.let_go => {
            draft.decide(tenant, Action::Remove { node: hold.node.clone() });
            return Some(TenantState::InTransit { from: node, graceful });
        }
        Phase::Releasing | Phase::Preparing => {
            draft.loads.host(node, tenant);
            return Some(TenantState::InTransit { from: node, graceful });
        }
        Phase::Active => draft.loads.host(node, tenant),
    }
    if let Some(reason) = must_go(tenant, hold, draft.intake(node)) {
        draft.decide(tenant, Action::Release { node: hold.node.clone(), reason });
        return Some(TenantState::InTransit { from: node, graceful: false });
    }
    let asks = asks_to_go(draft, tenant, node);
    if asks.is_none() {
        draft.loads.settle(node);
    }
    Some(TenantState::Resident { node, asks })
}

/// The entry that counts if there are several.
fn newest(tenant: &TenantView) -> Option<&Hold> {
    tenant.holds.iter().max_by_key(|hold| (hold.generation, &hold.node))
}

/// Why an active entry has to go at once, if it has to.
fn must_go(tenant: &TenantView, hold: &Hold, intake: Intake) -> Option<ReleaseReason> {
    match tenant.wanted {
        Wanted::Deleted => return Some(ReleaseReason::Deleted),
        Wanted::Stopped => return Some(ReleaseReason::Stopped),
        Wanted::Running => {}
    }
    if let Some(newest) = newest(tenant).filter(|newest| newest.node != hold.node) {
        return Some(ReleaseReason::Superseded { by: newest.node.clone() });
    }
    if hold.generation != tenant.generation {
        return Some(ReleaseReason::Fenced { published: hold.generation, ledger: tenant.generation });
    }
    (intake == Intake::Leaving).then_some(ReleaseReason::NodeLeaving)
}

/// Why an active entry on the node should be moved, if it should.
fn asks_to_go(draft: &Draft<'_>, tenant: &TenantView, node: usize) -> Option<ReleaseReason> {
    let view = draft.nodes[node];
    if !tenant.allows(&view.node) {
        return tenant.pin.clone().map(|node| ReleaseReason::PinnedElsewhere { node });
    }
    if let Some(to) = tenant.move_to.as_ref().filter(|to| **to != view.node) {
        return Some(ReleaseReason::MovedTo { node: to.clone() });
    }
    if tenant.is_to_leave(&view.node) {
        return Some(ReleaseReason::MovedAway);
    }
    match view.intake {
        Intake::Draining | Intake::Overdue => Some(ReleaseReason::NodeDraining),
        Intake::Shedding => Some(ReleaseReason::NodeImpaired),
        Intake::Open | Intake::Suspect | Intake::Impaired | Intake::Cordoned | Intake::Leaving => {
            draft.snapshot.is_shed_by(view, tenant).then_some(ReleaseReason::NodeImpaired)
        }
    }
}

/// Why a tenant that no live node has is not to be placed now, if it is not.
fn held_back(draft: &Draft<'_>, tenant: &TenantView) -> Option<WaitReason> {
    let last = tenant.last.as_ref()?;
    let live = draft.find(last);
    let away = live.is_none_or(|node| draft.intake(node) == Intake::Leaving);
    if away && draft.snapshot.awaited.contains(last) && tenant.allows(last) {
        return Some(WaitReason::NodeRestarting { node: last.clone() });
    }
    let paused = draft.snapshot.failover_paused && live.is_none();
    paused.then(|| WaitReason::FailoverPaused { node: last.clone() })
}

/// Step 2. Keeps at most one preparation of each tenant, and counts the tenant as moved there.
fn keep_preparations(draft: &mut Draft<'_>) {
    let prepared: Vec<usize> =
        (0..draft.tenants.len()).filter(|&at| !draft.tenants[at].tenant.preparations.is_empty()).collect();
    // Whether a last resort may take a tenant depends on what is left on the others.
    for last_resort in [false, true] {
        for &index in &prepared {
            if draft.tenants[index].next.is_none() {
                keep_best(draft, index, last_resort);
            }
        }
    }
}

fn keep_best(draft: &mut Draft<'_>, index: usize, last_resort: bool) {
    let planned = &draft.tenants[index];
    let live = planned.tenant.preparations.iter().filter_map(|preparation| {
        let node = draft.find(&preparation.node)?;
        Some(Next { node, ready: preparation.ready })
    });
    let serving = live.filter(|next| {
        draft.intake(next.node).is_last_resort() == last_resort
            && may_take(draft, planned, next.node)
            && is_asked_for(draft, planned, next.node)
    });
    let Some(next) = serving.min_by_key(|next| (!next.ready, next.node)) else { return };
    draft.loads.take(next.node, planned.tenant);
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
    let others_have_room = || assign::first_open(draft, planned.tenant, Fit::AnyRoom).is_some();
    let last_resort = draft.intake(node).is_last_resort() && others_have_room();
    let sent = planned.tenant.is_sent_to(&draft.nodes[node].node);
    assign::admitted(draft, node, planned.tenant).is_ok() && (sent || !last_resort)
}

/// Somebody still wants the tenant to go there, or it has to go somewhere.
fn is_asked_for(draft: &Draft<'_>, planned: &PlannedTenant<'_>, next: usize) -> bool {
    match &planned.state {
        // Where it is moved away from is asked last of all.
        TenantState::Unplaced { .. } => {
            !is_paused(draft, planned) && !planned.tenant.is_to_leave(&draft.nodes[next].node)
        }
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
                && planned.is_movable()
        }
    }
}

fn is_paused(draft: &Draft<'_>, planned: &PlannedTenant<'_>) -> bool {
    let last_is_gone = planned.tenant.last.as_ref().is_some_and(|last| draft.find(last).is_none());
    draft.snapshot.failover_paused && last_is_gone
}

/// Step 3: the bands of the open nodes, and up to where each is to be filled.
fn set_bands(draft: &mut Draft<'_>) {
    let coming = draft.tenants.iter().filter(|planned| is_to_come(planned)).count();
    let filling = draft.filling();
    draft.loads.set_bands(&draft.nodes, coming, &filling, draft.snapshot.goal);
}

/// It counts nowhere yet and needs a place on some open node.
fn is_to_come(planned: &PlannedTenant<'_>) -> bool {
    let placeless = match &planned.state {
        TenantState::Unplaced { held } => held.is_none(),
        TenantState::InTransit { .. } => true,
        TenantState::Resident { asks, .. } => asks.is_some(),
    };
    placeless && planned.next.is_none()
}

/// At the end of all steps: forgets every preparation that is not where its tenant goes.
fn forget_preparations(draft: &mut Draft<'_>) {
    for index in 0..draft.tenants.len() {
        let PlannedTenant { tenant, next, .. } = draft.tenants[index];
        for preparation in &tenant.preparations {
            if next.is_none_or(|next| draft.nodes[next.node].node != preparation.node) {
                draft.decide(tenant, Action::Forget { node: preparation.node.clone() });
            }
        }
    }
}

//! Step 1: what the live nodes have.

use super::{
    decision::Action,
    draft::{Draft, PlannedTenant, TenantState},
    reason::{ReleaseReason, WaitReason},
    snapshot::{Hold, Intake, TenantView, Wanted},
};
use crate::records::Phase;

/// Takes in every tenant: removes what was let go, releases what must not stay, and sorts those that should run.
pub(super) fn settle(draft: &mut Draft<'_>) {
    let snapshot = draft.snapshot;
    let mut tenants: Vec<&TenantView> = snapshot.tenants.iter().collect();
    tenants.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    for tenant in tenants {
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

/// None if the node is not live: then the hold is none either.
fn settle_hold(draft: &mut Draft<'_>, tenant: &TenantView, hold: &Hold) -> Option<TenantState> {
    let node = draft.find(&hold.node)?;
    let leaving = draft.intake(node) == Intake::Leaving;
    let graceful = tenant.holds.len() == 1 && hold.generation == tenant.generation && !leaving;
    match hold.phase {
        Phase::Releasing if hold.let_go => {
            draft.decide(tenant, Action::Remove { node: hold.node.clone() });
            return Some(TenantState::InTransit { from: node, graceful });
        }
        Phase::Releasing | Phase::Preparing => {
            draft.loads.host(node);
            return Some(TenantState::InTransit { from: node, graceful });
        }
        Phase::Active => draft.loads.host(node),
    }
    if let Some(reason) = must_go(tenant, hold, draft.intake(node)) {
        draft.decide(tenant, Action::Release { node: hold.node.clone(), reason });
        return Some(TenantState::InTransit { from: node, graceful: false });
    }
    let asks = asks_to_go(tenant, hold, draft.intake(node));
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

/// Why an active entry should be moved, if it should.
fn asks_to_go(tenant: &TenantView, hold: &Hold, intake: Intake) -> Option<ReleaseReason> {
    if !tenant.allows(&hold.node) {
        return tenant.pin.clone().map(|node| ReleaseReason::PinnedElsewhere { node });
    }
    if let Some(to) = tenant.move_to.as_ref().filter(|to| **to != hold.node) {
        return Some(ReleaseReason::MovedTo { node: to.clone() });
    }
    (intake == Intake::Draining).then_some(ReleaseReason::NodeDraining)
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

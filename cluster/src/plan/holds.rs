//! Step 1: what the live nodes have.

use super::{Action, Draft, Hold, Intake, ReleaseReason, TenantView, Wanted};
use crate::records::Phase;

/// Takes in every tenant: removes what was let go, releases what must not stay, and sorts the rest into those that
/// stay and those that need a node.
pub(super) fn settle<'a>(draft: &mut Draft<'a>, tenants: &'a [TenantView]) {
    let mut tenants: Vec<&TenantView> = tenants.iter().collect();
    tenants.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    for tenant in tenants {
        for hold in &tenant.holds {
            settle_hold(draft, tenant, hold);
        }
        if tenant.wanted == Wanted::Running && tenant.holds.is_empty() {
            draft.homeless.push(tenant);
        }
    }
}

fn settle_hold<'a>(draft: &mut Draft<'a>, tenant: &'a TenantView, hold: &'a Hold) {
    let Some(&at) = draft.by_id.get(&hold.node) else { return };
    if hold.phase == Phase::Releasing && hold.let_go {
        draft.decide(tenant, Action::Remove { node: hold.node.clone() });
        return;
    }
    draft.hosted[at] += 1;
    let release = match hold.phase {
        Phase::Releasing => None,
        Phase::Active => match must_go(tenant, hold, draft.nodes[at].intake) {
            Some(reason) => Some(reason),
            None => {
                draft.staying[at].push(tenant);
                return;
            }
        },
    };
    if tenant.wanted == Wanted::Running {
        draft.in_transit += 1;
    }
    if let Some(reason) = release {
        draft.decide(tenant, Action::Release { node: hold.node.clone(), reason });
    }
}

/// Why an active entry cannot stay where it is, if it cannot.
fn must_go(tenant: &TenantView, hold: &Hold, intake: Intake) -> Option<ReleaseReason> {
    match tenant.wanted {
        Wanted::Deleted => return Some(ReleaseReason::Deleted),
        Wanted::Stopped => return Some(ReleaseReason::Stopped),
        Wanted::Running => {}
    }
    let newest = tenant.holds.iter().max_by_key(|other| (other.generation, &other.node));
    if let Some(newest) = newest.filter(|newest| newest.node != hold.node) {
        return Some(ReleaseReason::Superseded { by: newest.node.clone() });
    }
    if hold.generation != tenant.generation {
        return Some(ReleaseReason::Fenced { published: hold.generation, ledger: tenant.generation });
    }
    if intake == Intake::Leaving {
        return Some(ReleaseReason::NodeLeaving);
    }
    match &tenant.pin {
        Some(pin) if *pin != hold.node => Some(ReleaseReason::PinnedElsewhere { node: pin.clone() }),
        Some(_) | None => None,
    }
}

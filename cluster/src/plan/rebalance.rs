//! Step 3, on request: releases that bring every node into its band.
//!
//! Nothing here says where a tenant goes. A node that is too full releases down to its most; where others would still
//! be short, the fullest release as many as the others lack. The step that places then finds room in no other place
//! than where it was missing. What is already on its way counts as moved, so that the same goal, planned again and
//! again, releases nothing twice.

use super::{Action, Draft, ReleaseReason, TenantView, band::Band};
use crate::ring::Ring;

pub(super) fn release(draft: &mut Draft<'_>, bands: &[Band]) {
    let ring = Ring::new(draft.nodes.iter().map(|view| (&view.node, view.weight)));
    let mut coming = draft.homeless.len() + draft.in_transit;
    for node in open_nodes(draft) {
        while draft.load(node) > bands[node].most {
            let reason = ReleaseReason::TooFull { load: draft.load(node), most: bands[node].most };
            let Some(tenant) = most_willing(draft, bands, &ring, node) else { break };
            let_go(draft, node, tenant, reason);
            coming += 1;
        }
    }
    while coming < lacking(draft, bands) {
        let Some(donor) = fullest(draft, bands) else { return };
        let reason = ReleaseReason::OthersTooEmpty { load: draft.load(donor), least: bands[donor].least };
        let Some(tenant) = most_willing(draft, bands, &ring, donor) else { return };
        let_go(draft, donor, tenant, reason);
        coming += 1;
    }
}

fn open_nodes(draft: &Draft<'_>) -> Vec<usize> {
    (0..draft.nodes.len()).filter(|&node| draft.is_open(node)).collect()
}

/// How many tenants the nodes below their band are short of.
fn lacking(draft: &Draft<'_>, bands: &[Band]) -> usize {
    open_nodes(draft).into_iter().map(|node| bands[node].least.saturating_sub(draft.load(node))).sum()
}

/// The node with the most tenants for its weight among those that can spare one.
fn fullest(draft: &Draft<'_>, bands: &[Band]) -> Option<usize> {
    let can_spare = |&node: &usize| draft.load(node) > bands[node].least && has_movable(draft, node);
    open_nodes(draft).into_iter().filter(can_spare).max_by(|&a, &b| {
        let scaled =
            |node: usize, other: usize| draft.load(node) as u64 * u64::from(draft.nodes[other].weight);
        // Of two that are equal the first by name.
        scaled(a, b).cmp(&scaled(b, a)).then(b.cmp(&a))
    })
}

fn has_movable(draft: &Draft<'_>, node: usize) -> bool {
    draft.staying[node].iter().any(|tenant| tenant.pin.is_none())
}

/// The place in the node's list of the tenant that has a node in want of tenants earliest in its own order.
fn most_willing(draft: &Draft<'_>, bands: &[Band], ring: &Ring, node: usize) -> Option<usize> {
    let rank = |tenant: &TenantView| {
        ring.walk(&tenant.tenant)
            .position(|other| draft.is_open(other) && draft.load(other) < bands[other].least)
    };
    let movable = draft.staying[node].iter().enumerate().filter(|(_, tenant)| tenant.pin.is_none());
    movable.min_by_key(|(_, tenant)| (rank(tenant).unwrap_or(usize::MAX), &tenant.tenant)).map(|(at, _)| at)
}

fn let_go(draft: &mut Draft<'_>, node: usize, at: usize, reason: ReleaseReason) {
    let tenant = draft.staying[node].remove(at);
    draft.in_transit += 1;
    draft.decide(tenant, Action::Release { node: draft.nodes[node].node.clone(), reason });
}

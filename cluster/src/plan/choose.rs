//! Step 4: a node for every tenant that should run and that no live node has.

use super::{Action, Cause, Choice, Draft, TenantView, WaitReason, band::Band};
use crate::ring::Ring;

/// Places as many as there is room for; the others wait with a reason.
pub(super) fn place(draft: &mut Draft<'_>, bands: &[Band]) {
    let homeless = std::mem::take(&mut draft.homeless);
    if homeless.is_empty() {
        return;
    }
    let open =
        (0..draft.nodes.len()).map(|node| if draft.is_open(node) { draft.nodes[node].weight } else { 0 });
    let ring = Ring::new(draft.nodes.iter().map(|view| &view.node).zip(open));
    let mut to_place = homeless.len();
    let mut lacking: usize = (0..draft.nodes.len()).map(|node| lacks(draft, bands, node)).sum();
    for tenant in homeless {
        let only_to_lacking = lacking > 0 && to_place <= lacking;
        match choose(draft, bands, &ring, tenant, only_to_lacking) {
            Ok((node, choice)) => {
                lacking -= usize::from(lacks(draft, bands, node) > 0);
                draft.hosted[node] += 1;
                draft.staying[node].push(tenant);
                let cause = cause(draft, tenant, node);
                draft.decide(tenant, Action::Place { node: draft.nodes[node].node.clone(), cause, choice });
            }
            Err(reason) => draft.decide(tenant, Action::Wait { reason }),
        }
        to_place -= 1;
    }
}

/// How many more the node should have at least, and can take.
fn lacks(draft: &Draft<'_>, bands: &[Band], node: usize) -> usize {
    if !draft.has_room(node) {
        return 0;
    }
    let room = (draft.nodes[node].capacity - draft.hosted[node]) as usize;
    bands[node].least.saturating_sub(draft.load(node)).min(room)
}

/// `only_to_lacking`: there are no more tenants than the nodes below their band lack, so all go there. Without it a
/// node that is new would wait for the others to be full.
fn choose(
    draft: &Draft<'_>,
    bands: &[Band],
    ring: &Ring,
    tenant: &TenantView,
    only_to_lacking: bool,
) -> Result<(usize, Choice), WaitReason> {
    if let Some(pin) = &tenant.pin {
        return match draft.by_id.get(pin) {
            Some(&node) if draft.has_room(node) => Ok((node, Choice::Pinned)),
            Some(&node) if draft.is_open(node) => Err(WaitReason::PinnedNodeFull { node: pin.clone() }),
            Some(_) | None => Err(WaitReason::PinnedNodeUnavailable { node: pin.clone() }),
        };
    }
    let fits = |&node: &usize| {
        let within_band = draft.load(node) < bands[node].most;
        let wanted = !only_to_lacking || lacks(draft, bands, node) > 0;
        draft.has_room(node) && within_band && wanted
    };
    // Its profile is there still: nothing has to be restored.
    let last = tenant.last.as_ref().and_then(|last| draft.by_id.get(last).copied());
    if let Some(node) = last.filter(fits) {
        return Ok((node, Choice::Returns));
    }
    if let Some((skipped, node)) = ring.walk(&tenant.tenant).enumerate().find(|(_, node)| fits(node)) {
        return Ok((node, if only_to_lacking { Choice::FillsUp } else { Choice::Order { skipped } }));
    }
    // Pins and nodes above their band have taken the room that the bands count on: the capacity alone decides.
    match ring.walk(&tenant.tenant).find(|&node| draft.has_room(node)) {
        Some(node) => Ok((node, Choice::AboveBand { most: bands[node].most })),
        None if (0..draft.nodes.len()).any(|node| draft.is_open(node)) => Err(WaitReason::EveryNodeFull),
        None => Err(WaitReason::NoOpenNode),
    }
}

fn cause(draft: &Draft<'_>, tenant: &TenantView, node: usize) -> Cause {
    match &tenant.last {
        None => Cause::New,
        Some(last) if draft.nodes[node].node == *last => Cause::Restarted,
        Some(last) if draft.by_id.contains_key(last) => Cause::Moved { from: last.clone() },
        Some(last) => Cause::NodeLost { node: last.clone() },
    }
}

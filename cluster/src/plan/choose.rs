//! Which node a tenant goes to, whether it has none or is to leave one.
//!
//! A pin and a move say which. Else the tenant's order of nodes decides, but among the nodes that lack tenants first
//! if there are enough such places for all that need one, then among those within their band, then among those with
//! room at all. Nodes of failing zones come after all others for a tenant that has just lost its node, and suspect
//! nodes come last for every tenant.

use super::{
    admission::AdmissionDenial,
    draft::{Draft, Target},
    node_loads::{Fit, Group},
    reason::{Choice, WaitReason},
    snapshot::{Intake, TenantView},
};
use roost_model::ids::NodeId;

const OPEN: &[Group] = &[Group::Open, Group::OpenFailing];
const SUSPECT: &[Group] = &[Group::Suspect, Group::SuspectFailing];

/// From the best to the last resort.
const ANY_ZONE: &[&[Group]] = &[OPEN, SUSPECT];
const SOUND_ZONES_FIRST: &[&[Group]] =
    &[&[Group::Open], &[Group::OpenFailing], &[Group::Suspect], &[Group::SuspectFailing]];

/// `only_to_lacking`: there are no more tenants than the nodes below their band lack, so all go there. Without it a
/// node that is new would wait for the others to be full.
pub(super) fn choose(
    draft: &Draft<'_>,
    tenant: &TenantView,
    only_to_lacking: bool,
) -> Result<Target, WaitReason> {
    if let Some(pin) = &tenant.pin {
        return pinned(draft, tenant, pin);
    }
    if let Some(Ok(target)) = tenant.move_to.as_ref().map(|to| moved(draft, tenant, to)) {
        return Ok(target);
    }
    let last = tenant.last.as_ref().map(|last| (last, draft.find(last)));
    let lost = tenant.holds.is_empty() && matches!(last, Some((_, None)));
    let groups = if lost { SOUND_ZONES_FIRST } else { ANY_ZONE };
    let fits: &[Fit] = if only_to_lacking {
        &[Fit::Lacking, Fit::WithinBand, Fit::AnyRoom]
    } else {
        &[Fit::WithinBand, Fit::AnyRoom]
    };
    let last = last.and_then(|(_, live)| live);
    for &groups in groups {
        for &fit in fits {
            if let Some(target) = first_that_fits(draft, tenant, last, groups, fit) {
                return Ok(target);
            }
        }
    }
    let anyone_takes = draft.nodes.iter().any(|view| view.intake.takes());
    Err(if anyone_takes { WaitReason::EveryNodeFull } else { WaitReason::NoOpenNode })
}

/// The node that the tenant is pinned to.
fn pinned(draft: &Draft<'_>, tenant: &TenantView, pin: &NodeId) -> Result<Target, WaitReason> {
    let node = pin.clone();
    match sent(draft, tenant, pin) {
        Ok(node) => Ok(Target { node, choice: Choice::Pinned }),
        Err(AdmissionDenial::Full { .. }) => Err(WaitReason::PinnedNodeFull { node }),
        Err(_) => Err(WaitReason::PinnedNodeUnavailable { node }),
    }
}

/// The node that an operator moves the tenant to.
pub(super) fn moved(draft: &Draft<'_>, tenant: &TenantView, to: &NodeId) -> Result<Target, WaitReason> {
    let node = to.clone();
    match sent(draft, tenant, to) {
        Ok(node) => Ok(Target { node, choice: Choice::MoveTarget }),
        Err(AdmissionDenial::Full { .. }) => Err(WaitReason::MoveTargetFull { node }),
        Err(_) => Err(WaitReason::MoveTargetUnavailable { node }),
    }
}

/// The one node that somebody has named, if it takes the tenant.
fn sent(draft: &Draft<'_>, tenant: &TenantView, to: &NodeId) -> Result<usize, AdmissionDenial> {
    let node = draft.find(to).ok_or(AdmissionDenial::NodeGone)?;
    draft.admits(node, tenant).map(|()| node)
}

/// The first open node in the tenant's order that fits, and how many come before it.
pub(super) fn first_open(draft: &Draft<'_>, tenant: &TenantView, fit: Fit) -> Option<(usize, usize)> {
    if !draft.loads.any_fits(OPEN, fit) {
        return None;
    }
    draft.order(&tenant.tenant).enumerate().find(|&(_, node)| fits(draft, tenant, node, OPEN, fit))
}

/// Whether the node takes the tenant, and is as good as is asked for. The second is looked at first, for it is what most
/// nodes lack in a large cluster.
fn fits(draft: &Draft<'_>, tenant: &TenantView, node: usize, groups: &[Group], fit: Fit) -> bool {
    draft.loads.fits(node, groups, fit) && draft.admits(node, tenant).is_ok()
}

fn first_that_fits(
    draft: &Draft<'_>,
    tenant: &TenantView,
    last: Option<usize>,
    groups: &[Group],
    fit: Fit,
) -> Option<Target> {
    if !draft.loads.any_fits(groups, fit) {
        return None;
    }
    let fits = |&node: &usize| fits(draft, tenant, node, groups, fit);
    // Its profile is there still: nothing has to be restored. Above its band the order decides, for everyone's sake.
    if let Some(node) = last.filter(fits).filter(|_| fit != Fit::AnyRoom) {
        return Some(Target { node, choice: Choice::Returns });
    }
    let (skipped, node) = draft.order(&tenant.tenant).enumerate().find(|(_, node)| fits(node))?;
    let choice = match fit {
        Fit::Lacking => Choice::FillsUp,
        Fit::WithinBand => Choice::Order { skipped },
        Fit::AnyRoom if draft.intake(node) == Intake::Suspect => Choice::LastResort,
        Fit::AnyRoom => Choice::AboveBand { most: draft.loads.band(node).most },
    };
    Some(Target { node, choice })
}

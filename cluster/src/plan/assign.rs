//! Steps 4 and 5: a node for every tenant that should run and that no live node has, then one for every tenant that is
//! asked to go.
//!
//! Whether a node takes a tenant is one rule (`admits`): the plan, its explanations, the progress of operations and the
//! refusal of orders all ask here. The plan's `check` asks nobody, on purpose.
//!
//! Which of the nodes that would take it: a pin and a move say which. Else the tenant's order of nodes decides, but among
//! the nodes that lack tenants first if there are enough such places for all that need one, then among those within their
//! band, then among those with room at all. Nodes of failing zones come after all others for a tenant that has just lost
//! its node, and suspect and impaired nodes come last for every tenant.

use std::fmt;

use super::{
    decision::Action,
    draft::{Draft, Next, PendingMove, PlannedTenant, Stage, Target, TenantState},
    node_loads::{Fit, Group},
    reason::{Cause, Choice, ReleaseReason, WaitReason},
    snapshot::{Intake, NodeView, Snapshot, TenantView},
};
use roost_model::ids::NodeId;

const MIB: u64 = 1 << 20;

const OPEN: &[Group] = &[Group::Open, Group::OpenFailing];
const SUSPECT: &[Group] = &[Group::Suspect, Group::SuspectFailing];

/// From the best to the last resort.
const ANY_ZONE: &[&[Group]] = &[OPEN, SUSPECT];
const SOUND_ZONES_FIRST: &[&[Group]] =
    &[&[Group::Open], &[Group::OpenFailing], &[Group::Suspect], &[Group::SuspectFailing]];

/// Why a node does not take a tenant: the first that is true, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdmissionDenial {
    /// It is not live.
    NodeGone,
    PinnedElsewhere {
        pin: NodeId,
    },
    Cordoned,
    /// Something that its work needs is missing, and the tenant has another node.
    Impaired,
    /// For so long that its tenants leave.
    Shedding,
    /// It has the tenant, which an operator moves away from it.
    MovedAway,
    /// It has lately not got ready for the tenant, which another node has.
    Unprepared,
    Draining,
    Leaving,
    /// A record of it cannot be read.
    Unreadable,
    Full {
        capacity: u32,
    },
    /// It takes only what is sent there.
    WithoutWeight,
    /// Less memory is free on it than is to be kept free for the tenant: nothing else is against it.
    NotEnoughMemory {
        request_bytes: u64,
        free_bytes: u64,
    },
}

/// Places as many as there is room for; the others wait with a reason.
pub(super) fn place(draft: &mut Draft<'_>) {
    let mut to_place = Vec::new();
    for index in 0..draft.tenants.len() {
        let planned = &draft.tenants[index];
        match (&planned.state, planned.next) {
            (TenantState::Unplaced { .. }, Some(next)) => {
                give(draft, index, Target { node: next.node, choice: Choice::Prepared });
            }
            (TenantState::Unplaced { held: Some(reason) }, None) => wait(draft, index, reason.clone()),
            (TenantState::Unplaced { held: None }, None) => to_place.push(index),
            (TenantState::InTransit { .. } | TenantState::Resident { .. }, _) => {}
        }
    }
    // Those who can go to one node only come before those who can go to any.
    to_place.sort_by_key(|&index| draft.tenants[index].tenant.pin.is_none());
    let mut left = to_place.len();
    let mut may_fail_over = draft.snapshot.failover_ramp;
    for index in to_place {
        let lost = lost_node(draft, draft.tenants[index].tenant);
        let chosen = choose(draft, draft.tenants[index].tenant, left <= draft.loads.lacking());
        match (chosen, lost) {
            // Only of those that have somewhere to go: one that fits nowhere takes nobody's turn.
            (Ok(_), Some(node)) if may_fail_over == Some(0) => {
                wait(draft, index, WaitReason::FailoverPaced { node });
            }
            (Ok(target), lost) => {
                if lost.is_some() {
                    may_fail_over = may_fail_over.map(|left| left - 1);
                }
                draft.loads.take(target.node, draft.tenants[index].tenant);
                give(draft, index, target);
            }
            (Err(reason), _) => wait(draft, index, reason),
        }
        left -= 1;
    }
}

/// Where a tenant was whose node is gone.
fn lost_node(draft: &Draft<'_>, tenant: &TenantView) -> Option<NodeId> {
    tenant.last.clone().filter(|last| draft.find(last).is_none())
}

fn give(draft: &mut Draft<'_>, index: usize, target: Target) {
    let tenant = draft.tenants[index].tenant;
    let cause = cause(draft, tenant, target.node);
    draft.tenants[index].next = Some(Next { node: target.node, ready: false });
    draft.decide(tenant, Action::Place { node: draft.id(target.node), cause, choice: target.choice });
}

fn wait(draft: &mut Draft<'_>, index: usize, reason: WaitReason) {
    draft.decide(draft.tenants[index].tenant, Action::Wait { reason });
}

fn cause(draft: &Draft<'_>, tenant: &TenantView, node: usize) -> Cause {
    match &tenant.last {
        None => Cause::New,
        Some(last) if draft.nodes[node].node == *last => Cause::Restarted,
        Some(last) if draft.find(last).is_some() => Cause::Moved { from: last.clone() },
        Some(last) => Cause::NodeLost { node: last.clone() },
    }
}

/// Adds a move for each, also for those that cannot go: these stay where they are.
pub(super) fn move_asked(draft: &mut Draft<'_>) {
    let asked: Vec<usize> =
        (0..draft.tenants.len()).filter(|&index| is_asked(&draft.tenants[index])).collect();
    let mut left = asked.iter().filter(|&&index| draft.tenants[index].next.is_none()).count();
    for index in asked {
        let PlannedTenant { tenant, next, .. } = draft.tenants[index];
        let TenantState::Resident { node: from, asks: Some(reason) } = draft.tenants[index].state.clone()
        else {
            continue;
        };
        if let Some(next) = next {
            draft.pending_moves.push(PendingMove { index, from, reason, stage: Stage::Prepared(next) });
            continue;
        }
        let target = match &reason {
            ReleaseReason::MovedTo { node } => match &tenant.pin {
                Some(pin) => Err(WaitReason::PinnedElsewhere { node: pin.clone() }),
                None => moved(draft, tenant, node),
            },
            ReleaseReason::MovedAway => match &tenant.pin {
                Some(pin) => Err(WaitReason::PinnedElsewhere { node: pin.clone() }),
                None => choose(draft, tenant, left <= draft.loads.lacking()),
            },
            _ => choose(draft, tenant, left <= draft.loads.lacking()),
        };
        match target {
            Ok(target) => begin_move(draft, index, from, reason, target),
            Err(wait) => {
                draft.loads.settle(from);
                draft.pending_moves.push(PendingMove { index, from, reason, stage: Stage::Stuck(wait) });
            }
        }
        left -= 1;
    }
}

fn is_asked(planned: &PlannedTenant<'_>) -> bool {
    matches!(planned.state, TenantState::Resident { asks: Some(_), .. })
}

/// Adds a move to a node that has been chosen now; the tenant no longer counts where it is.
pub(super) fn begin_move(
    draft: &mut Draft<'_>,
    index: usize,
    from: usize,
    reason: ReleaseReason,
    target: Target,
) {
    draft.loads.take(target.node, draft.tenants[index].tenant);
    // It may be that a preparation there was about to be given up.
    let preparation = draft.tenants[index]
        .tenant
        .preparations
        .iter()
        .find(|preparation| preparation.node == draft.nodes[target.node].node);
    let stage = match preparation {
        Some(preparation) => {
            let next = Next { node: target.node, ready: preparation.ready };
            draft.tenants[index].next = Some(next);
            Stage::Prepared(next)
        }
        None => Stage::Chosen(target),
    };
    draft.pending_moves.push(PendingMove { index, from, reason, stage });
}

/// `only_to_lacking`: there are no more tenants than the nodes below their band lack, so all go there. Without it a
/// node that is new would wait for the others to be full.
fn choose(draft: &Draft<'_>, tenant: &TenantView, only_to_lacking: bool) -> Result<Target, WaitReason> {
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
    // Back to where it is moved away from rather than nowhere, but to a last resort rather than back: it would only leave again.
    if tenant.leaves.is_some() && !tenant.is_held() {
        return choose(draft, &TenantView { leaves: None, ..tenant.clone() }, only_to_lacking);
    }
    if let Some(reason) = no_memory_anywhere(draft, tenant) {
        return Err(reason);
    }
    let takes = |view: &NodeView| {
        let denied = admits(view, tenant, Given::default()).err();
        let lacks_no_room = matches!(
            denied,
            Some(AdmissionDenial::Impaired | AdmissionDenial::Unprepared | AdmissionDenial::MovedAway)
        );
        !lacks_no_room
    };
    let anyone_takes = draft.nodes.iter().any(|view| view.intake.takes() && takes(view));
    Err(if anyone_takes { WaitReason::EveryNodeFull } else { WaitReason::NoOpenNode })
}

/// If a node would have a place for the tenant, and none of those has the memory.
fn no_memory_anywhere(draft: &Draft<'_>, tenant: &TenantView) -> Option<WaitReason> {
    let (free_bytes, request_bytes) = draft.loads.most_free(tenant)?;
    let lacks = request_bytes > free_bytes;
    lacks.then_some(WaitReason::NotEnoughMemory { node: None, request_bytes, free_bytes })
}

/// The node that the tenant is pinned to.
fn pinned(draft: &Draft<'_>, tenant: &TenantView, pin: &NodeId) -> Result<Target, WaitReason> {
    let node = pin.clone();
    match sent(draft, tenant, pin) {
        Ok(node) => Ok(Target { node, choice: Choice::Pinned }),
        Err(AdmissionDenial::Full { .. }) => Err(WaitReason::PinnedNodeFull { node }),
        Err(AdmissionDenial::Unprepared) => Err(WaitReason::MoveTargetUnprepared { node }),
        Err(AdmissionDenial::NotEnoughMemory { request_bytes, free_bytes }) => {
            Err(WaitReason::NotEnoughMemory { node: Some(node), request_bytes, free_bytes })
        }
        Err(_) => Err(WaitReason::PinnedNodeUnavailable { node }),
    }
}

/// The node that an operator moves the tenant to.
fn moved(draft: &Draft<'_>, tenant: &TenantView, to: &NodeId) -> Result<Target, WaitReason> {
    let node = to.clone();
    match sent(draft, tenant, to) {
        Ok(node) => Ok(Target { node, choice: Choice::MoveTarget }),
        Err(AdmissionDenial::Full { .. }) => Err(WaitReason::MoveTargetFull { node }),
        Err(AdmissionDenial::Unprepared) => Err(WaitReason::MoveTargetUnprepared { node }),
        Err(AdmissionDenial::NotEnoughMemory { request_bytes, free_bytes }) => {
            Err(WaitReason::NotEnoughMemory { node: Some(node), request_bytes, free_bytes })
        }
        Err(_) => Err(WaitReason::MoveTargetUnavailable { node }),
    }
}

/// The one node that somebody has named, if it takes the tenant.
fn sent(draft: &Draft<'_>, tenant: &TenantView, to: &NodeId) -> Result<usize, AdmissionDenial> {
    let node = draft.find(to).ok_or(AdmissionDenial::NodeGone)?;
    admitted(draft, node, tenant).map(|()| node)
}

/// The first open node in the tenant's order that fits, and how many come before it.
pub(super) fn first_open(draft: &Draft<'_>, tenant: &TenantView, fit: Fit) -> Option<(usize, usize)> {
    if !draft.loads.any_fits(OPEN, fit, tenant) {
        return None;
    }
    draft.order(&tenant.tenant).enumerate().find(|&(_, node)| fits(draft, tenant, node, OPEN, fit))
}

/// Whether the node takes the tenant, is not what that is moved away from, and is as good as is asked for. The last is looked at
/// first, for it is what most nodes lack in a large cluster.
fn fits(draft: &Draft<'_>, tenant: &TenantView, node: usize, groups: &[Group], fit: Fit) -> bool {
    draft.loads.fits(node, groups, fit, tenant)
        && !tenant.is_to_leave(&draft.nodes[node].node)
        && admitted(draft, node, tenant).is_ok()
}

fn first_that_fits(
    draft: &Draft<'_>,
    tenant: &TenantView,
    last: Option<usize>,
    groups: &[Group],
    fit: Fit,
) -> Option<Target> {
    if !draft.loads.any_fits(groups, fit, tenant) {
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
        Fit::AnyRoom if draft.intake(node).is_last_resort() => Choice::LastResort,
        Fit::AnyRoom => Choice::AboveBand { most: draft.loads.band(node).most },
    };
    Some(Target { node, choice })
}

impl Snapshot {
    /// Whether the node takes the tenant as things are. What is on its way to the node counts as there; what the tenant
    /// itself has there, an entry or a preparation, is its own place and takes none from it.
    pub fn admits(&self, node: &NodeId, tenant: &TenantView) -> Result<(), AdmissionDenial> {
        let view = self.nodes.iter().find(|view| view.node == *node).ok_or(AdmissionDenial::NodeGone)?;
        if self.unreadable.contains_key(node) {
            return Err(AdmissionDenial::Unreadable);
        }
        let others = self.tenants.iter().filter(|other| other.tenant != tenant.tenant);
        let places = others.flat_map(|other| {
            let held = other.holds.iter().map(|hold| &hold.node);
            let prepared = other.preparations.iter().map(|preparation| &preparation.node);
            held.chain(prepared).filter(|on| *on == node).map(move |_| other)
        });
        let given = places.fold(Given::default(), |given, other| Given {
            places: given.places + 1,
            memory_bytes: given.memory_bytes + other.request_on(view),
        });
        admits(view, tenant, given)
    }
}

/// What a node has given away.
#[derive(Debug, Clone, Copy, Default)]
struct Given {
    places: u32,
    memory_bytes: u64,
}

/// The rule, for a live node that has given so much away.
fn admits(view: &NodeView, tenant: &TenantView, given: Given) -> Result<(), AdmissionDenial> {
    if let Some(pin) = tenant.pin.as_ref().filter(|_| !tenant.allows(&view.node)) {
        return Err(AdmissionDenial::PinnedElsewhere { pin: pin.clone() });
    }
    match view.intake {
        Intake::Impaired if tenant.is_held() && !tenant.is_sent_to(&view.node) => {
            return Err(AdmissionDenial::Impaired);
        }
        Intake::Open | Intake::Suspect | Intake::Impaired => {}
        Intake::Shedding => return Err(AdmissionDenial::Shedding),
        Intake::Cordoned => return Err(AdmissionDenial::Cordoned),
        Intake::Draining | Intake::Overdue => return Err(AdmissionDenial::Draining),
        Intake::Leaving => return Err(AdmissionDenial::Leaving),
    }
    if tenant.is_held() && tenant.is_to_leave(&view.node) && tenant.pin.is_none() {
        return Err(AdmissionDenial::MovedAway);
    }
    if tenant.is_held() && tenant.unprepared.contains(&view.node) {
        return Err(AdmissionDenial::Unprepared);
    }
    if given.places >= view.capacity {
        return Err(AdmissionDenial::Full { capacity: view.capacity });
    }
    if view.weight == 0 && !tenant.is_sent_to(&view.node) {
        return Err(AdmissionDenial::WithoutWeight);
    }
    if let Some(memory) = &view.memory {
        let free_bytes = memory.allocatable_bytes.saturating_sub(given.memory_bytes);
        let request_bytes = tenant.request_on(view);
        if request_bytes > free_bytes {
            return Err(AdmissionDenial::NotEnoughMemory { request_bytes, free_bytes });
        }
    }
    Ok(())
}

/// The same with what the node has by now in the plan: what goes has made room, what comes has taken it.
pub(super) fn admitted(draft: &Draft<'_>, node: usize, tenant: &TenantView) -> Result<(), AdmissionDenial> {
    if draft.snapshot.unreadable.contains_key(&draft.nodes[node].node) {
        return Err(AdmissionDenial::Unreadable);
    }
    let given = Given { places: draft.loads.hosted(node), memory_bytes: draft.loads.requested(node) };
    admits(draft.nodes[node], tenant, given)
}

impl fmt::Display for AdmissionDenial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeGone => f.write_str("is gone"),
            Self::PinnedElsewhere { .. } => f.write_str("is not where it is pinned"),
            Self::Cordoned => f.write_str("is cordoned"),
            Self::Impaired => f.write_str("is impaired"),
            Self::Shedding => f.write_str("has been impaired for long: its tenants leave"),
            Self::MovedAway => f.write_str("is what an operator moves it away from"),
            Self::Unprepared => f.write_str("has lately not got ready for it"),
            Self::Draining => f.write_str("is being drained"),
            Self::Leaving => f.write_str("is leaving"),
            Self::Unreadable => f.write_str("has a record in etcd that cannot be read"),
            Self::Full { capacity } => write!(f, "is full with its {capacity}"),
            Self::NotEnoughMemory { request_bytes, free_bytes } => write!(
                f,
                "has too little memory: it needs {} MiB and {} MiB are free",
                request_bytes.div_ceil(MIB),
                free_bytes / MIB
            ),
            Self::WithoutWeight => f.write_str("has no weight: it takes only what is sent there"),
        }
    }
}

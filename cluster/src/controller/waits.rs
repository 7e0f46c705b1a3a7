//! What a running operation waits for, in words for people: nothing while it goes on as it should. It is noted in the operation
//! itself, where `roost operation` shows it, so it says nothing that changes by itself from one pass to the next.

use std::collections::{BTreeMap, BTreeSet};

use super::{names::named, overdue_releases::OverdueReleases, preparations::Preparations};
use crate::{
    ledger::{NotBack, Operation, OperationKind},
    plan::{Action, MoveState, Plan, Snapshot, TenantMove},
};
use roost_model::ids::{NodeId, TenantId};

/// What a pass has found out that operations are judged by.
#[derive(Clone, Copy)]
pub(super) struct PassFindings<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) plan: &'a Plan,
    pub(super) preparations: &'a Preparations,
    pub(super) overdue_releases: &'a OverdueReleases,
}

/// Reasons that are told; tenants with others are counted.
const REASONS: usize = 5;
/// Of a whole text.
const MOST_CHARS: usize = 2_000;

pub(super) fn waits_for(operation: &Operation, found: PassFindings<'_>) -> String {
    let kind = &operation.kind;
    let mut parts = stays(kind, found.plan);
    parts.extend(placeless(kind, found));
    parts.extend(found.preparations.failures_of(operation.id));
    parts.extend(overdue(kind, found));
    parts.extend(unreadable(kind, found.snapshot));
    parts.extend(its_turn(kind, found.plan));
    bounded(&parts.join("; "))
}

/// Whom the plan has no place for, and why.
pub(super) fn stays(kind: &OperationKind, plan: &Plan) -> Vec<String> {
    let mut by_reason: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for tenant_move in plan.moves.iter().filter(|tenant_move| is_for(kind, tenant_move)) {
        if let MoveState::Stuck(why) = &tenant_move.state {
            by_reason.entry(why.to_string()).or_default().push(tenant_move.tenant.as_str());
        }
    }
    sentences(by_reason, ["stays", "stay"])
}

/// Those that a drained node has let go of already and that nobody takes.
fn placeless(kind: &OperationKind, found: PassFindings<'_>) -> Vec<String> {
    let OperationKind::Drain { node, .. } = kind else { return Vec::new() };
    let of_node = found.snapshot.tenants.iter().filter(|view| view.last.as_ref() == Some(node));
    let of_node: BTreeSet<&TenantId> = of_node.map(|view| &view.tenant).collect();
    let mut by_reason: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for decision in &found.plan.decisions {
        if let Action::Wait { reason } = &decision.action
            && of_node.contains(&decision.tenant)
        {
            by_reason.entry(reason.to_string()).or_default().push(decision.tenant.as_str());
        }
    }
    sentences(by_reason, ["waits for a place", "wait for a place"])
}

fn overdue(kind: &OperationKind, found: PassFindings<'_>) -> Vec<String> {
    let concerns = |tenant: &TenantId, node: &NodeId| match kind {
        OperationKind::Drain { node: drained, .. } => drained == node,
        OperationKind::Move { tenant: moved, .. } => moved == tenant,
        OperationKind::Rebalance { .. } => {
            found.plan.moves.iter().any(|one| one.tenant == *tenant && is_for(kind, one))
        }
        OperationKind::Fleet(_) | OperationKind::Rollout(_) => false,
    };
    let mut by_node: BTreeMap<&NodeId, Vec<&str>> = BTreeMap::new();
    for (tenant, node) in found.overdue_releases.overdue().filter(|(tenant, node)| concerns(tenant, node)) {
        by_node.entry(node).or_default().push(tenant.as_str());
    }
    let patience = found.overdue_releases.patience();
    let sentence = |(node, tenants): (&NodeId, Vec<&str>)| {
        format!("{node} has not let go of {} for {patience:?} or longer", named(tenants.into_iter()))
    };
    by_node.into_iter().take(REASONS).map(sentence).collect()
}

fn unreadable(kind: &OperationKind, snapshot: &Snapshot) -> Option<String> {
    let (OperationKind::Drain { node, .. } | OperationKind::Move { to: node, .. }) = kind else {
        return None;
    };
    snapshot.unreadable.get(node).map(|why| format!("a record of {node} cannot be read: {why}"))
}

/// Nothing of it is under way, for others are.
fn its_turn(kind: &OperationKind, plan: &Plan) -> Option<String> {
    let is_under_way = |one: &TenantMove| matches!(one.state, MoveState::Preparing | MoveState::Releasing);
    let (own, others): (Vec<&TenantMove>, Vec<_>) = plan.moves.iter().partition(|one| is_for(kind, one));
    if own.iter().any(|one| is_under_way(one)) || !others.iter().any(|one| is_under_way(one)) {
        return None;
    }
    let next: Vec<&str> =
        own.iter().filter(|one| one.state == MoveState::Waiting).map(|one| one.tenant.as_str()).collect();
    (!next.is_empty()).then(|| format!("until others have moved, these wait: {}", named(next.into_iter())))
}

/// All are moved; some have taken long to be again what they were.
pub(super) fn waits_for_tenants<'a>(late: impl Iterator<Item = &'a NotBack>) -> String {
    let names: Vec<String> = late.map(|late| format!("{} on {}", late.tenant, late.node)).collect();
    if names.is_empty() {
        return String::new();
    }
    bounded(&format!("all are moved; not yet what they were: {}", named(names.iter().map(String::as_str))))
}

fn is_for(kind: &OperationKind, tenant_move: &TenantMove) -> bool {
    match kind {
        OperationKind::Drain { node, .. } => tenant_move.from == *node,
        OperationKind::Move { tenant, .. } => tenant_move.tenant == *tenant,
        OperationKind::Rebalance { .. } => tenant_move.reason.is_rebalance(),
        OperationKind::Fleet(_) | OperationKind::Rollout(_) => false,
    }
}

/// One for each reason, `verb` in the singular and the plural.
fn sentences(by_reason: BTreeMap<String, Vec<&str>>, [one, several]: [&str; 2]) -> Vec<String> {
    let untold: usize = by_reason.values().skip(REASONS).map(Vec::len).sum();
    let sentence = |(reason, tenants): (String, Vec<&str>)| {
        let verb = if tenants.len() == 1 { one } else { several };
        format!("{} {verb}: {reason}", named(tenants.into_iter()))
    };
    let mut told: Vec<String> = by_reason.into_iter().take(REASONS).map(sentence).collect();
    if untold > 0 {
        told.push(format!("and {untold} more, for other reasons"));
    }
    told
}

/// A text that the ledger keeps as it is.
pub(super) fn bounded(text: &str) -> String {
    text.chars().take(MOST_CHARS).map(|c| if c == '\0' { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ReleaseReason, WaitReason};

    fn node(name: &str) -> NodeId {
        NodeId::new(name).unwrap()
    }

    fn leaves(from: &str, n: usize, state: MoveState) -> TenantMove {
        TenantMove {
            tenant: TenantId::new(&format!("t{n:02}")).unwrap(),
            from: node(from),
            to: None,
            reason: ReleaseReason::NodeDraining,
            state,
        }
    }

    #[test]
    fn who_stays_is_told_by_reason_and_bounded() {
        let stuck = |n, why| leaves("a", n, MoveState::Stuck(why));
        let pinned = |n: usize| stuck(n, WaitReason::PinnedNodeFull { node: node(&format!("p{n}")) });
        let full = (0..13).map(|n| stuck(n, WaitReason::EveryNodeFull));
        let moves = full.chain((20..27).map(pinned)).collect();
        let kind = OperationKind::Drain { node: node("a"), urgent: true };
        let told = stays(&kind, &Plan { decisions: Vec::new(), moves });
        assert_eq!(told.len(), REASONS + 1);
        let names = "t00, t01, t02, t03, t04, t05, t06, t07, t08, t09 and 3 more";
        assert!(told.contains(&format!("{names} stay: every node is full")), "{told:?}");
        assert!(told.iter().any(|told| told.starts_with("t20 stays: ")), "{told:?}");
        assert_eq!(told[REASONS], "and 3 more, for other reasons");
        assert_eq!(bounded(&"x\0".repeat(MOST_CHARS)).chars().count(), MOST_CHARS);
    }

    #[test]
    fn an_operation_of_which_nothing_is_under_way_waits_for_the_others() {
        let kind = OperationKind::Drain { node: node("a"), urgent: false };
        let told = |moves| its_turn(&kind, &Plan { decisions: Vec::new(), moves });
        let (waiting, other) = (leaves("a", 1, MoveState::Waiting), leaves("b", 2, MoveState::Preparing));
        let turn = Some("until others have moved, these wait: t01".to_owned());
        assert_eq!(told(vec![waiting.clone(), other.clone()]), turn);
        assert_eq!(told(vec![waiting.clone()]), None, "its own pace");
        assert_eq!(told(vec![waiting, leaves("a", 3, MoveState::Releasing), other]), None);
    }
}

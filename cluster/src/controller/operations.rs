//! How far each operation has come. Of one that changes placement nothing is kept but what the ledger was told: it follows from the plan
//! and the snapshot of the moment, so whichever controller looks next goes on from there, and a cancelled operation
//! leaves nothing behind but a plan without it.

use std::time::Duration;

use roost_model::ids::{NodeId, OperationId, TenantId};

use super::{
    context::{Context, WriteAuthority},
    error::ControllerError,
    names::named,
    waits::{PassFindings, stays, waits_for, waits_for_tenants},
};
use crate::{
    ledger::{LedgerRecord, NotBack, Operation, OperationKind, Orders, Outcome, Progress},
    plan::{AdmissionDenial, MoveState, Plan, Snapshot, TenantMove, TenantView, Wanted},
    records::Phase,
};

/// What a pass has to say of the operations.
#[derive(Debug, Default)]
pub(super) struct OperationNews {
    pub(super) news: Vec<LedgerRecord>,
    /// Some wait for tenants that come up.
    pub(super) recheck_after: Option<Duration>,
}

impl Context {
    /// An operation that has moved all is done once these are again what they were.
    pub(super) async fn assess_operations(
        &self,
        authority: &WriteAuthority<'_>,
        orders: &Orders,
        found: PassFindings<'_>,
    ) -> Result<OperationNews, ControllerError> {
        let mut told = OperationNews::default();
        for operation in &orders.operations {
            let (progress, verdict) = match &operation.kind {
                OperationKind::Fleet(limits) => {
                    self.go_on_with_fleet(authority, operation, *limits, found.plan).await?
                }
                OperationKind::Rollout(limits) => {
                    let Some(told_of) = self.go_on_with_rollout(authority, operation, *limits).await? else {
                        continue;
                    };
                    told_of
                }
                OperationKind::Drain { node, .. } => {
                    self.judged(operation, drain(operation.progress, node, found.snapshot), found).await?
                }
                OperationKind::Rebalance { .. } => {
                    let failed = found.preparations.failures_of(operation.id);
                    self.judged(operation, rebalance(operation.progress, found.plan, failed), found).await?
                }
                OperationKind::Move { tenant, to } => {
                    let failed = found.preparations.failure(tenant, to);
                    self.judged(operation, single(tenant, to, found.snapshot, failed), found).await?
                }
            };
            let waits_for = match verdict {
                // The ledger tells of it as an event, in the same step and only if the operation was not over already.
                Verdict::Ends(outcome) => {
                    told.news.push(LedgerRecord::Ended { operation: operation.id, progress, outcome });
                    continue;
                }
                Verdict::WaitsForTenants { waits_for } => {
                    told.recheck_after = Some(self.config.timing.watch_retry);
                    waits_for
                }
                Verdict::GoesOn { waits_for } => waits_for,
            };
            if progress != operation.progress || waits_for != operation.waits_for {
                told.news.push(LedgerRecord::Progress { operation: operation.id, progress, waits_for });
            }
        }
        Ok(told)
    }

    /// Of one that changes placement.
    async fn judged(
        &self,
        operation: &Operation,
        (progress, outcome): (Progress, Option<Outcome>),
        found: PassFindings<'_>,
    ) -> Result<(Progress, Verdict), ControllerError> {
        let verdict = match outcome {
            Some(Outcome::Done) => self.done_when_back(operation.id).await?,
            Some(failed) => Verdict::Ends(failed),
            None => Verdict::GoesOn { waits_for: waits_for(operation, found) },
        };
        Ok((progress, verdict))
    }

    async fn done_when_back(&self, operation: OperationId) -> Result<Verdict, ControllerError> {
        let asked = self.ask_ledger(self.ledger.not_back(operation)).await;
        let not_back = asked.map_err(ControllerError::reading_ledger)?;
        Ok(when_back(&not_back, self.config.timing.start_patience))
    }
}

/// What becomes of an operation now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    GoesOn { waits_for: String },
    WaitsForTenants { waits_for: String },
    Ends(Outcome),
}

/// A tenant that is not back after this part of the patience is told of.
const LATE: u32 = 3;

/// Of one that has moved all: those that are not back have `patience` each.
fn when_back(not_back: &[NotBack], patience: Duration) -> Verdict {
    let is_late = |tenant: &&NotBack| tenant.placed_ago >= patience;
    if not_back.is_empty() {
        Verdict::Ends(Outcome::Done)
    } else if not_back.iter().all(|tenant| is_late(&tenant)) {
        let names: Vec<String> =
            not_back.iter().map(|late| format!("{} on {}", late.tenant, late.node)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let reason = format!("not what it was within {patience:?} of its move: {}", named(names.into_iter()));
        Verdict::Ends(Outcome::Failed { reason })
    } else {
        let late = not_back.iter().filter(|tenant| tenant.placed_ago >= patience / LATE);
        Verdict::WaitsForTenants { waits_for: waits_for_tenants(late) }
    }
}

/// Whom overdue drains leave where they are, and why.
pub(super) fn held_up(operations: &[Operation], plan: &Plan) -> Option<String> {
    let told = operations.iter().filter_map(|operation| match &operation.kind {
        OperationKind::Drain { node, urgent: true } => {
            let stays = stays(&operation.kind, plan);
            (!stays.is_empty()).then(|| format!("the drain of {node} is overdue: {}", stays.join("; ")))
        }
        _ => None,
    });
    told.reduce(|all, one| format!("{all}; {one}"))
}

/// What was done already is counted on, and what is new on the way joins the total.
fn with_left(before: Progress, left: usize) -> Progress {
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    let total = before.total.max(before.done.saturating_add(left));
    Progress { total, done: total - left }
}

fn drain(before: Progress, node: &NodeId, snapshot: &Snapshot) -> (Progress, Option<Outcome>) {
    let left = snapshot.tenants.iter().filter(|tenant| needs_to_leave(tenant, node)).count();
    let prepares = snapshot
        .tenants
        .iter()
        .flat_map(|tenant| &tenant.preparations)
        .any(|preparation| preparation.node == *node);
    let is_empty = left == 0 && !prepares && !snapshot.unreadable.contains_key(node);
    (with_left(before, left), is_empty.then_some(Outcome::Done))
}

fn needs_to_leave(tenant: &TenantView, node: &NodeId) -> bool {
    let is_there = tenant.holds.iter().any(|hold| hold.node == *node);
    let waits = tenant.wanted == Wanted::Running && tenant.holds.is_empty();
    is_there || (waits && tenant.last.as_ref() == Some(node))
}

/// `unprepared`: why `to` did not get ready for it.
fn single(
    to_move: &TenantId,
    to: &NodeId,
    snapshot: &Snapshot,
    unprepared: Option<&str>,
) -> (Progress, Option<Outcome>) {
    let nothing_yet = Progress { total: 1, done: 0 };
    let tenant = snapshot.tenants.iter().find(|tenant| tenant.tenant == *to_move);
    let refusal = match tenant {
        None => Some("the tenant is deleted".to_owned()),
        Some(tenant) if is_settled_on(tenant, to) => {
            return (Progress { total: 1, done: 1 }, Some(Outcome::Done));
        }
        Some(tenant) => refusal(tenant, to, snapshot, unprepared),
    };
    (nothing_yet, refusal.map(|reason| Outcome::Failed { reason }))
}

fn is_settled_on(tenant: &TenantView, node: &NodeId) -> bool {
    matches!(tenant.holds.as_slice(), [hold] if hold.node == *node
        && hold.phase == Phase::Active
        && hold.generation == tenant.generation)
}

fn refusal(
    tenant: &TenantView,
    to: &NodeId,
    snapshot: &Snapshot,
    unprepared: Option<&str>,
) -> Option<String> {
    match tenant.wanted {
        Wanted::Deleted => return Some("the tenant is deleted".to_owned()),
        Wanted::Stopped => return Some("the tenant is stopped".to_owned()),
        Wanted::Running => {}
    }
    let reason = match snapshot.admits(to, &tenant.sent_to(to)).err()? {
        AdmissionDenial::PinnedElsewhere { pin } => format!("the tenant is pinned to {pin}"),
        AdmissionDenial::NodeGone => format!("{to} is gone"),
        AdmissionDenial::Cordoned => format!("{to} is cordoned"),
        AdmissionDenial::Unreadable => format!("{to} has a record in etcd that cannot be read"),
        AdmissionDenial::Impaired | AdmissionDenial::Shedding => format!("{to} is impaired"),
        // Not asked of a node that it is sent to.
        AdmissionDenial::MovedAway => format!("{to} is what it leaves"),
        AdmissionDenial::Unprepared => {
            format!("{to} did not get ready for it: {}", unprepared.unwrap_or_default())
        }
        AdmissionDenial::Draining | AdmissionDenial::Leaving => format!("{to} is to be empty"),
        AdmissionDenial::Full { .. } => format!("{to} is full"),
        denial @ AdmissionDenial::NotEnoughMemory { .. } => format!("{to} {denial}"),
        AdmissionDenial::WithoutWeight => format!("{to} takes only what is sent there"),
    };
    Some(reason)
}

/// `failed`: moves that it has given up.
fn rebalance(before: Progress, plan: &Plan, failed: Option<String>) -> (Progress, Option<Outcome>) {
    let can_move = |tenant_move: &&TenantMove| match tenant_move.state {
        MoveState::Waiting | MoveState::Preparing | MoveState::Releasing => true,
        MoveState::Stuck(_) => false,
    };
    // Those that were let go and are placed now are between two states of a move.
    let left = plan.moves.iter().filter(can_move).count() + plan.placements().count();
    let outcome = failed.map_or(Outcome::Done, |reason| Outcome::Failed { reason });
    (with_left(before, left), (left == 0).then_some(outcome))
}

/// Being prepared elsewhere, or let go of by the node that has it.
pub(super) fn is_under_way(tenant: &TenantView) -> bool {
    let releasing = tenant.holds.iter().any(|hold| hold.phase == Phase::Releasing);
    tenant.wanted == Wanted::Running && (releasing || !tenant.preparations.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_done_when_all_are_back_and_fails_by_name_when_none_that_is_not_may_come_yet() {
        let not_back = |name: &str, secs| NotBack {
            tenant: TenantId::new(name).unwrap(),
            node: NodeId::new("b").unwrap(),
            placed_ago: Duration::from_secs(secs),
        };
        let patience = Duration::from_secs(30);
        assert_eq!(when_back(&[], patience), Verdict::Ends(Outcome::Done));
        let (late, young) = (not_back("acme", 30), not_back("beta", 29));
        let waits = |text: &str| Verdict::WaitsForTenants { waits_for: text.to_owned() };
        let told = "all are moved; not yet what they were: acme on b, beta on b";
        assert_eq!(when_back(&[late.clone(), young], patience), waits(told));
        assert_eq!(when_back(&[not_back("acme", 9)], patience), waits(""), "as long as it mostly takes");
        let reason = "not what it was within 30s of its move: acme on b".to_owned();
        assert_eq!(when_back(&[late], patience), Verdict::Ends(Outcome::Failed { reason }));
    }
}

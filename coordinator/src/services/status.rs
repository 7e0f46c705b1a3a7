//! GetClusterStatus: what a survey and the database come to.

use std::collections::BTreeSet;

use roost_cluster::{controller::Survey, ledger::OperationKind, plan::Wanted, records::Phase};
use roost_model::ids::{NodeId, Term};
use roost_proto::v1;
use roost_store::{ClusterPolicy, OperationRecord, Store, StoreError, WorkerFilter, WorkerStatus};

use crate::wire::{self, count};

/// What is read from the database beside the survey.
pub struct Ledger {
    pub term: Term,
    pub policy: ClusterPolicy,
    pub operations: Vec<OperationRecord>,
    pub in_error: u64,
    pub conflicts: u64,
}

/// How many workers have given up.
pub async fn in_error(store: &Store) -> Result<u64, StoreError> {
    let filter = WorkerFilter { node: None, status: Some(WorkerStatus::Error) };
    store.count_workers(&filter).await
}

pub fn told(survey: Survey, ledger: Ledger) -> v1::ClusterStatus {
    let tenants = v1::TenantCounts { error: count(ledger.in_error), ..tenant_counts(&survey) };
    let nodes = node_counts(&survey);
    let term = ledger.term.0;
    let leader =
        survey.leader.map(|leader| v1::Leader { holder: leader.holder, address: leader.address, term });
    v1::ClusterStatus {
        leader,
        nodes: Some(nodes),
        tenants: Some(tenants),
        policy: Some(wire::policy(&ledger.policy)),
        failover_pause: ledger.policy.failover_paused.map(wire::failover_pause),
        operations: ledger.operations.into_iter().map(wire::operation).collect(),
        conflicts: i64::try_from(ledger.conflicts).unwrap_or(i64::MAX),
    }
}

fn node_counts(survey: &Survey) -> v1::NodeCounts {
    let placed_on: BTreeSet<&NodeId> =
        survey.snapshot.tenants.iter().filter_map(|tenant| tenant.last.as_ref()).collect();
    let lost = placed_on.iter().filter(|node| !survey.nodes.contains_key(**node));
    let draining = survey.orders.operations.iter().filter(|operation| is_drain(&operation.kind));
    v1::NodeCounts {
        live: count(survey.nodes.len()),
        lost: count(lost.count()),
        cordoned: count(survey.orders.nodes.iter().filter(|order| order.cordoned).count()),
        draining: count(draining.count()),
        suspect: count(survey.orders.nodes.iter().filter(|order| order.suspect_for.is_some()).count()),
    }
}

fn is_drain(kind: &OperationKind) -> bool {
    matches!(kind, OperationKind::Drain { .. })
}

fn tenant_counts(survey: &Survey) -> v1::TenantCounts {
    let (mut running, mut placed) = (0, 0);
    for tenant in survey.snapshot.tenants.iter().filter(|tenant| tenant.wanted == Wanted::Running) {
        running += 1;
        placed += usize::from(tenant.holds.iter().any(|hold| hold.phase == Phase::Active));
    }
    v1::TenantCounts {
        running: count(running),
        placed: count(placed),
        waiting: count(running - placed),
        error: 0,
    }
}

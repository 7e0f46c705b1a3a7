//! The cluster as a whole: its status, its event log and its policy.

use std::collections::BTreeSet;

use roost_cluster::{
    clock::boottime,
    controller::Survey,
    ledger::{BreakerRecord, OperationKind},
    plan::Wanted,
    records::{LeaderRecord, Phase},
};
use roost_model::ids::{NodeId, Term};
use roost_store::{
    ClusterEvent, ClusterPolicy, EventFilter, OperationFilter, OperationRecord, OperationState, PolicyPatch,
    Requester, Store, StoreError, Version, WorkerFilter, WorkerStatus,
};

use super::{
    App, Error,
    complaints::{ControllerComplaint, complaints},
};

/// Operations read at once.
const CHUNK: u32 = 500;

#[derive(Debug, Clone)]
pub struct ClusterStatus {
    /// What is in the controller's way, or in the way of some tenants.
    pub complaints: Vec<ControllerComplaint>,
    /// None while there is no controller.
    pub leader: Option<LeaderRecord>,
    /// The leader's, or the last one's.
    pub term: Term,
    pub nodes: NodeCounts,
    pub tenants: TenantCounts,
    pub policy: ClusterPolicy,
    /// None while the failover breaker is closed.
    pub failover_hold: Option<FailoverHold>,
    /// Those that run, oldest first.
    pub operations: Vec<OperationRecord>,
    /// Since the tenants were created.
    pub conflicts: u64,
    pub versions: Vec<Version>,
}

/// The failover breaker, open or half open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailoverHold {
    pub breaker: BreakerRecord,
    /// Tenants whose node is lost and that no node has.
    pub waiting: usize,
}

/// A node may count in several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeCounts {
    pub live: usize,
    /// Not live, although tenants are placed there.
    pub lost: usize,
    pub cordoned: usize,
    pub draining: usize,
    pub suspect: usize,
    pub impaired: usize,
}

/// Of the tenants that should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantCounts {
    pub running: usize,
    /// A live node has them.
    pub placed: usize,
    /// No live node has them.
    pub waiting: usize,
    /// Their worker gave up.
    pub error: u64,
}

impl App {
    pub async fn cluster_status(&self) -> Result<ClusterStatus, Error> {
        let survey = self.survey().await?;
        let store = self.store()?;
        let (present, policy) = (store.present_controller().await?, store.policy().await?);
        let operations = running(store).await?;
        let tenants = tenant_counts(&survey, in_error(store).await?);
        let conflicts = store.total_conflicts().await?;
        let nodes = node_counts(&survey);
        let failover_hold = survey
            .orders
            .breaker
            .clone()
            .map(|breaker| FailoverHold { breaker, waiting: waiting_for_lost(&survey) });
        let (leader, term) = (survey.leader, present.term);
        let complaints = complaints(self.own_controller(), leader.as_ref(), &present, boottime());
        Ok(ClusterStatus {
            complaints,
            leader,
            term,
            nodes,
            tenants,
            policy,
            failover_hold,
            operations,
            conflicts,
            versions: store.list_versions().await?,
        })
    }

    /// Newest first, from the one before `before` on.
    pub async fn list_events(
        &self,
        filter: &EventFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<ClusterEvent>, Error> {
        Ok(self.store()?.list_events(filter, before, limit).await?)
    }

    pub async fn pause_failover(&self, by: &Requester) -> Result<(), Error> {
        let paused = self.store()?.pause_failover(by).await?;
        tracing::info!(paused, "failover asked to pause");
        Ok(())
    }

    pub async fn resume_failover(&self, by: &Requester) -> Result<(), Error> {
        let resumed = self.store()?.resume_failover(by).await?;
        tracing::info!(resumed, "failover asked to resume");
        Ok(())
    }

    pub async fn update_policy(&self, patch: PolicyPatch, by: &Requester) -> Result<ClusterPolicy, Error> {
        let policy = self.store()?.update_policy(patch, by).await?;
        tracing::info!(
            policy.auto_rebalance,
            policy.failover_breaker,
            policy.message_retention_days,
            "policy changed"
        );
        Ok(policy)
    }
}

/// The operations that run, oldest first.
async fn running(store: &Store) -> Result<Vec<OperationRecord>, StoreError> {
    let filter = OperationFilter { state: Some(OperationState::Running), ..OperationFilter::default() };
    let mut all: Vec<OperationRecord> = Vec::new();
    loop {
        let before = all.last().map(|last| last.id);
        let page = store.list_operations(&filter, before, CHUNK).await?;
        let more = page.len() == CHUNK as usize;
        all.extend(page);
        if !more {
            all.reverse();
            return Ok(all);
        }
    }
}

/// How many workers have given up.
async fn in_error(store: &Store) -> Result<u64, StoreError> {
    let filter = WorkerFilter { status: Some(WorkerStatus::Error), ..WorkerFilter::default() };
    store.count_workers(&filter).await
}

fn node_counts(survey: &Survey) -> NodeCounts {
    let placed_on: BTreeSet<&NodeId> =
        survey.snapshot.tenants.iter().filter_map(|tenant| tenant.last.as_ref()).collect();
    let lost = placed_on.iter().filter(|node| !survey.nodes.contains_key(**node));
    let draining = survey.orders.operations.iter().filter(|operation| is_drain(&operation.kind));
    NodeCounts {
        live: survey.nodes.len(),
        lost: lost.count(),
        cordoned: survey.orders.nodes.iter().filter(|order| order.cordoned).count(),
        draining: draining.count(),
        suspect: survey.orders.nodes.iter().filter(|order| order.suspect_for.is_some()).count(),
        impaired: survey.nodes.values().filter(|record| !record.impairments.is_empty()).count(),
    }
}

fn waiting_for_lost(survey: &Survey) -> usize {
    let is_lost = |node: &NodeId| !survey.nodes.contains_key(node);
    let tenants = survey.snapshot.tenants.iter();
    let waits = tenants.filter(|tenant| tenant.wanted == Wanted::Running && tenant.holds.is_empty());
    waits.filter(|tenant| tenant.last.as_ref().is_some_and(is_lost)).count()
}

fn is_drain(kind: &OperationKind) -> bool {
    matches!(kind, OperationKind::Drain { .. })
}

fn tenant_counts(survey: &Survey, error: u64) -> TenantCounts {
    let (mut running, mut placed) = (0, 0);
    for tenant in survey.snapshot.tenants.iter().filter(|tenant| tenant.wanted == Wanted::Running) {
        running += 1;
        placed += usize::from(tenant.holds.iter().any(|hold| hold.phase == Phase::Active));
    }
    TenantCounts { running, placed, waiting: running - placed, error }
}

//! What a worker waits for that no node has: its node cannot say it, the plan of this moment can.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use roost_cluster::{
    controller::Survey,
    plan::{self, Action, WaitReason, Wanted},
};
use roost_model::{causes, ids::TenantId};
use roost_store::{ConditionKind, DesiredState, Worker};
use tokio::sync::OnceCell;

use super::App;

/// A worker whose page has proved itself so lately is on a live node: nobody need be asked.
const FRESH: Duration = Duration::from_secs(15);

/// For one call: the cluster is surveyed and planned once, and only if a worker in the answer may be on no live node.
pub struct Waits<'a> {
    app: &'a App,
    /// By tenant, of those that should run and that no live node has. None when that could not be learnt.
    waiting: OnceCell<Option<BTreeMap<TenantId, Waiting>>>,
}

type Waiting = (ConditionKind, String);

impl<'a> Waits<'a> {
    pub fn new(app: &'a App) -> Self {
        Self { app, waiting: OnceCell::new() }
    }

    /// Puts in what the worker waits for, if no node has it. While etcd is away what was last said stands.
    pub(super) async fn tell(&self, mut worker: Worker) -> Worker {
        if worker.desired == DesiredState::Stopped || seen_lately(&worker) {
            return worker;
        }
        let waiting = self.waiting.get_or_init(|| self.look()).await;
        if let Some((kind, reason)) = waiting.as_ref().and_then(|waiting| waiting.get(&worker.tenant)) {
            // It waits since it was last seen working, or since it was started.
            let since =
                worker.last_seen_at.map_or(worker.condition.since, |seen| seen.max(worker.condition.since));
            (worker.condition.kind, worker.condition.reason, worker.condition.since) =
                (*kind, reason.clone(), since);
        }
        worker
    }

    async fn look(&self) -> Option<BTreeMap<TenantId, Waiting>> {
        match self.app.survey().await {
            Ok(survey) => Some(waiting(&survey)),
            Err(error) => {
                tracing::debug!(error = %causes(&error), "what workers without a node wait for is not known now");
                None
            }
        }
    }
}

fn seen_lately(worker: &Worker) -> bool {
    let age =
        worker.last_seen_at.map(|seen| SystemTime::now().duration_since(seen.into()).unwrap_or_default());
    worker.node.is_some() && age.is_some_and(|age| age < FRESH)
}

fn waiting(survey: &Survey) -> BTreeMap<TenantId, Waiting> {
    let tenants = survey.snapshot.tenants.iter();
    let unplaced = tenants.filter(|tenant| tenant.wanted == Wanted::Running && tenant.holds.is_empty());
    let mut waiting: BTreeMap<TenantId, Waiting> =
        unplaced.map(|tenant| (tenant.tenant.clone(), (ConditionKind::Starting, String::new()))).collect();
    if waiting.is_empty() {
        return waiting;
    }
    for decision in plan::plan(&survey.snapshot).decisions {
        let told = match &decision.action {
            Action::Wait { reason } => (kind(reason), reason.to_string()),
            Action::Place { node, cause, .. } => {
                (ConditionKind::Starting, format!("{cause}; it goes to {node}"))
            }
            Action::Prepare { .. }
            | Action::Forget { .. }
            | Action::Release { .. }
            | Action::Remove { .. } => {
                continue;
            }
        };
        if let Some(waits) = waiting.get_mut(&decision.tenant) {
            *waits = told;
        }
    }
    waiting
}

fn kind(reason: &WaitReason) -> ConditionKind {
    match reason {
        WaitReason::NoOpenNode
        | WaitReason::EveryNodeFull
        | WaitReason::PinnedNodeFull { .. }
        | WaitReason::PinnedNodeUnavailable { .. }
        | WaitReason::MoveTargetFull { .. }
        | WaitReason::MoveTargetUnavailable { .. }
        | WaitReason::MoveTargetUnprepared { .. }
        | WaitReason::PinnedElsewhere { .. } => ConditionKind::WaitingForCapacity,
        WaitReason::NodeRestarting { .. } | WaitReason::RecordUnreadable { .. } => {
            ConditionKind::WaitingForNode
        }
        WaitReason::FailoverPaused { .. } | WaitReason::FailoverPaced { .. } => {
            ConditionKind::WaitingForFailover
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use roost_cluster::{
        ledger::Orders,
        plan::{Goal, MoveLimits, Snapshot, TenantView},
    };
    use roost_model::ids::{Generation, NodeId};

    use super::*;

    fn survey(last: Option<&str>, failover_paused: bool) -> Survey {
        let tenant = TenantView {
            tenant: TenantId::new("asha").unwrap(),
            wanted: Wanted::Running,
            generation: Generation(1),
            last: last.map(|node| NodeId::new(node).unwrap()),
            pin: None,
            move_to: None,
            unprepared: Vec::new(),
            preparations: Vec::new(),
            holds: Vec::new(),
        };
        let snapshot = Snapshot {
            nodes: Vec::new(),
            tenants: vec![tenant],
            goal: Goal::Settle,
            awaited: BTreeSet::new(),
            failover_paused,
            failover_ramp: None,
            failing_zones: BTreeSet::new(),
            limits: MoveLimits::default(),
            rebalance_limits: MoveLimits::default(),
            unreadable: BTreeMap::new(),
        };
        Survey { leader: None, nodes: BTreeMap::new(), orders: Orders::default(), snapshot }
    }

    fn told(survey: &Survey) -> Waiting {
        waiting(survey).remove(&TenantId::new("asha").unwrap()).unwrap()
    }

    #[test]
    fn a_tenant_that_no_node_has_waits_for_what_the_plan_says() {
        let nowhere = told(&survey(None, false));
        assert_eq!(nowhere, (ConditionKind::WaitingForCapacity, "no node takes tenants".to_owned()));
        let (held, reason) = told(&survey(Some("n1"), true));
        assert_eq!(held, ConditionKind::WaitingForFailover);
        assert!(reason.contains("n1"), "{reason}");
    }
}

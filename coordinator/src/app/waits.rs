//! What a worker waits for that no node has: its node cannot say it, the plan of this moment can.

use std::time::{Duration, SystemTime};

use roost_cluster::{
    controller::Survey,
    plan::{self, Action, WaitReason, Wanted},
};
use roost_model::causes;
use roost_store::{ConditionKind, DesiredState, Worker};
use tokio::sync::OnceCell;

use super::{
    App,
    waiting_tenants::{Waiting, told},
};

/// A worker whose page has proved itself so lately is on a live node: nobody need be asked.
const FRESH: Duration = Duration::from_secs(15);

/// For one call: what those who follow workers are shown, while there are any; else the cluster is surveyed and planned once,
/// and only if a worker in the answer may be on no live node.
pub struct Waits<'a> {
    app: &'a App,
    /// None when that could not be learnt.
    waiting: OnceCell<Option<Waiting>>,
}

impl<'a> Waits<'a> {
    pub fn new(app: &'a App) -> Self {
        Self { app, waiting: OnceCell::new() }
    }

    /// Puts in what the worker waits for, if no node has it.
    pub(super) async fn tell(&self, worker: Worker) -> Worker {
        if let Some(followed) = self.app.waiting_tenants.present() {
            return told(worker, followed.as_deref());
        }
        if !may_be_nowhere(&worker, SystemTime::now()) {
            return worker;
        }
        let waiting = self.waiting.get_or_init(|| look(self.app)).await;
        told(worker, waiting.as_ref())
    }
}

pub(super) async fn look(app: &App) -> Option<Waiting> {
    match app.survey().await {
        Ok(survey) => Some(waiting(&survey)),
        Err(error) => {
            tracing::debug!(error = %causes(&error), "what workers without a node wait for is not known now");
            None
        }
    }
}

/// Whether the cluster has to be asked: one that was seen lately is on a node, and one that is stopped waits for nothing.
fn may_be_nowhere(worker: &Worker, now: SystemTime) -> bool {
    let age = worker.last_seen_at.map(|seen| now.duration_since(seen.into()).unwrap_or_default());
    let seen_lately = worker.node.is_some() && age.is_some_and(|age| age < FRESH);
    worker.desired == DesiredState::Running && !seen_lately
}

fn waiting(survey: &Survey) -> Waiting {
    let tenants = survey.snapshot.tenants.iter();
    let unplaced = tenants.filter(|tenant| tenant.wanted == Wanted::Running && tenant.holds.is_empty());
    let mut waiting: Waiting =
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
        | WaitReason::NotEnoughMemory { .. }
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
    use std::collections::BTreeMap;

    use roost_cluster::{
        ledger::Orders,
        plan::{Hold, Intake, NodeView, Snapshot, TenantView},
        records::Phase,
    };
    use roost_model::ids::{Generation, NodeId, SpecRevision, TenantId};
    use roost_store::{Condition, SessionStatus, WorkerStatus};
    use time::OffsetDateTime;

    use super::*;

    fn survey(last: Option<&str>, failover_paused: bool) -> Survey {
        let tenant = TenantView {
            tenant: TenantId::new("asha").unwrap(),
            wanted: Wanted::Running,
            generation: Generation(1),
            last: last.map(|node| NodeId::new(node).unwrap()),
            pin: None,
            move_to: None,
            leaves: None,
            memory_request_bytes: None,
            unprepared: Vec::new(),
            preparations: Vec::new(),
            holds: Vec::new(),
        };
        let snapshot = Snapshot { failover_paused, ..Snapshot::new(Vec::new(), vec![tenant]) };
        Survey { leader: None, nodes: BTreeMap::new(), orders: Orders::default(), snapshot }
    }

    fn found(survey: &Survey) -> (ConditionKind, String) {
        waiting(survey).remove(&TenantId::new("asha").unwrap()).unwrap()
    }

    #[test]
    fn a_tenant_that_no_node_has_waits_for_what_the_plan_says() {
        let nowhere = found(&survey(None, false));
        assert_eq!(nowhere, (ConditionKind::WaitingForCapacity, "no node takes tenants".to_owned()));
        let (held, reason) = found(&survey(Some("n1"), true));
        assert_eq!(held, ConditionKind::WaitingForFailover);
        assert!(reason.contains("n1"), "{reason}");
    }

    #[test]
    fn a_tenant_that_a_node_has_or_that_is_to_be_stopped_waits_for_no_place() {
        let mut held = survey(Some("n1"), false);
        let hold = Hold {
            node: NodeId::new("n1").unwrap(),
            generation: Generation(1),
            phase: Phase::Active,
            let_go: false,
        };
        held.snapshot.tenants[0].holds.push(hold);
        assert_eq!(waiting(&held), BTreeMap::new());
        let mut stopped = survey(None, false);
        stopped.snapshot.tenants[0].wanted = Wanted::Stopped;
        assert_eq!(waiting(&stopped), BTreeMap::new());
    }

    #[test]
    fn a_tenant_that_a_node_takes_now_is_on_its_way_there() {
        let mut survey = survey(None, false);
        survey.snapshot.nodes.push(NodeView {
            node: NodeId::new("n1").unwrap(),
            weight: 100,
            capacity: 1,
            zone: String::new(),
            intake: Intake::Open,
            memory: None,
        });
        assert_eq!(
            found(&survey),
            (ConditionKind::Starting, "it is placed nowhere; it goes to n1".to_owned())
        );
    }

    #[test]
    fn each_reason_to_wait_is_of_one_kind() {
        let node = || NodeId::new("n1").unwrap();
        let kinds = [
            (WaitReason::NoOpenNode, ConditionKind::WaitingForCapacity),
            (WaitReason::EveryNodeFull, ConditionKind::WaitingForCapacity),
            (
                WaitReason::NotEnoughMemory { node: None, request_bytes: 2, free_bytes: 1 },
                ConditionKind::WaitingForCapacity,
            ),
            (WaitReason::PinnedNodeFull { node: node() }, ConditionKind::WaitingForCapacity),
            (WaitReason::PinnedNodeUnavailable { node: node() }, ConditionKind::WaitingForCapacity),
            (WaitReason::MoveTargetFull { node: node() }, ConditionKind::WaitingForCapacity),
            (WaitReason::MoveTargetUnavailable { node: node() }, ConditionKind::WaitingForCapacity),
            (WaitReason::MoveTargetUnprepared { node: node() }, ConditionKind::WaitingForCapacity),
            (WaitReason::PinnedElsewhere { node: node() }, ConditionKind::WaitingForCapacity),
            (WaitReason::NodeRestarting { node: node() }, ConditionKind::WaitingForNode),
            (
                WaitReason::RecordUnreadable { node: node(), reason: String::new() },
                ConditionKind::WaitingForNode,
            ),
            (WaitReason::FailoverPaused { node: node() }, ConditionKind::WaitingForFailover),
            (WaitReason::FailoverPaced { node: node() }, ConditionKind::WaitingForFailover),
        ];
        for (reason, expected) in kinds {
            assert_eq!(kind(&reason), expected, "{reason}");
        }
    }

    const STARTED_AT: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    /// It was started, and seen so many seconds later, on `node`.
    fn worker(desired: DesiredState, node: Option<&str>, seen_after: Option<i64>) -> Worker {
        Worker {
            tenant: TenantId::new("asha").unwrap(),
            name: String::new(),
            status: WorkerStatus::Running,
            desired,
            node: node.map(|node| NodeId::new(node).unwrap()),
            pin: None,
            generation: Generation(1),
            spec_revision: SpecRevision(1),
            restarts: 0,
            conflicts: 0,
            resends: 0,
            last_error: String::new(),
            last_seen_at: seen_after.map(|secs| STARTED_AT + time::Duration::seconds(secs)),
            session_status: SessionStatus::Disconnected,
            condition: Condition { kind: ConditionKind::Starting, reason: String::new(), since: STARTED_AT },
            restart_schedule: None,
            usage: None,
            messages_per_minute: None,
            labels: Default::default(),
            uid: uuid::Uuid::nil(),
        }
    }

    #[test]
    fn the_cluster_is_asked_only_about_those_that_may_be_on_no_node() {
        let at = |secs: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        let running = DesiredState::Running;
        assert!(may_be_nowhere(&worker(running, None, None), at(1)), "it never ran");
        assert!(may_be_nowhere(&worker(running, None, Some(100)), at(101)), "it was unplaced");
        assert!(!may_be_nowhere(&worker(running, Some("n1"), Some(100)), at(114)));
        assert!(may_be_nowhere(&worker(running, Some("n1"), Some(100)), at(115)), "its node may be gone");
        assert!(!may_be_nowhere(&worker(DesiredState::Stopped, None, None), at(1)));
    }

    #[test]
    fn it_waits_since_it_was_last_seen_or_started_whichever_is_later() {
        let gone = (ConditionKind::WaitingForFailover, "n1 is gone".to_owned());
        let since = |seen_after| {
            let worker = worker(DesiredState::Running, None, seen_after);
            let waiting = Waiting::from([(worker.tenant.clone(), gone.clone())]);
            let waits = told(worker, Some(&waiting)).condition;
            assert_eq!((waits.kind, waits.reason), gone);
            waits.since
        };
        assert_eq!(since(Some(60)), STARTED_AT + time::Duration::seconds(60));
        assert_eq!(since(Some(-60)), STARTED_AT, "it was seen in a life before");
        assert_eq!(since(None), STARTED_AT);
    }

    #[test]
    fn a_worker_that_was_stopped_waits_for_nothing_of_the_plans() {
        let stopped = worker(DesiredState::Stopped, None, None);
        let gone = (ConditionKind::WaitingForFailover, "n1 is gone".to_owned());
        let waiting = Waiting::from([(stopped.tenant.clone(), gone)]);
        assert_eq!(told(stopped.clone(), Some(&waiting)).condition, stopped.condition);
    }
}

//! The scripted coordinator's operations and its cluster.

use futures::{StreamExt, stream};
use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::{cluster_service_server::ClusterService, operation_service_server::OperationService, *},
};
use tonic::{Request, Response, Status};

use super::{
    Answer, Items, Script, at, items,
    nodes::known_node,
    tenants::{moved, tenant},
    unknown,
};

/// 6 is over, 7 ends while it is watched, 8 goes on for ever.
fn operation(id: i64) -> Result<Operation, Status> {
    let drain = Operation {
        id: 7,
        kind: OperationKind::Drain as i32,
        state: OperationState::Running as i32,
        node_id: "node-1".into(),
        total_tenants: 2,
        done_tenants: 1,
        requested_by: "asha".into(),
        reason: "upgrade".into(),
        deadline: at(600),
        start_time: at(0),
        ..Default::default()
    };
    let cancelled = Operation {
        id: 6,
        kind: OperationKind::Rebalance as i32,
        state: OperationState::Cancelled as i32,
        node_id: String::new(),
        max_concurrent: 4,
        max_unavailable_percent: 10,
        message: "cancelled by juma".into(),
        requested_by: "policy".into(),
        reason: String::new(),
        deadline: None,
        end_time: at(75),
        ..drain.clone()
    };
    match id {
        6 => Ok(cancelled),
        7 | 8 => Ok(Operation { id, ..drain }),
        9 => Ok(failed_move()),
        10 => Ok(restart()),
        _ => Err(unknown("operation", &id.to_string())),
    }
}

fn failed_move() -> Operation {
    Operation {
        id: 9,
        kind: OperationKind::Move as i32,
        state: OperationState::Failed as i32,
        node_id: "node-3".into(),
        tenant_id: "lodge".into(),
        total_tenants: 1,
        message: "node node-3 is gone".into(),
        requested_by: "admin".into(),
        start_time: at(0),
        end_time: at(4),
        ..Default::default()
    }
}

fn pinned() -> BlockedMove {
    BlockedMove {
        tenant_id: "duka".into(),
        from_node_id: "node-1".into(),
        reason: "it is pinned to node-1".into(),
    }
}

fn restart() -> Operation {
    Operation {
        id: 10,
        kind: OperationKind::Fleet as i32,
        action: WorkerAction::Restart as i32,
        state: OperationState::Failed as i32,
        selector: "plan=pro".into(),
        total_tenants: 40,
        done_tenants: 2,
        max_concurrent: 10,
        max_unavailable_percent: 5,
        message: "halted, for 3 of 40 failed; 35 not begun: lodge (damaged)".into(),
        requested_by: "asha".into(),
        start_time: at(0),
        end_time: at(9),
        ..Default::default()
    }
}

fn done(operation: Operation) -> Operation {
    Operation {
        state: OperationState::Done as i32,
        done_tenants: operation.total_tenants,
        end_time: at(12),
        ..operation
    }
}

fn plan() -> Plan {
    let moved = PlannedMove {
        tenant_id: "lodge".into(),
        from_node_id: "node-1".into(),
        to_node_id: "node-2".into(),
        reason: "the node is drained; the first in its order".into(),
    };
    let blocked = BlockedMove {
        tenant_id: "shop".into(),
        from_node_id: "node-1".into(),
        reason: "it is pinned to node-1; unpin it, or pin it to another node".into(),
    };
    Plan { moves: vec![moved], blocked: vec![blocked] }
}

#[tonic::async_trait]
impl OperationService for Script {
    type WatchOperationStream = Items<Operation>;

    async fn plan_drain(&self, _: Request<PlanDrainRequest>) -> Answer<Plan> {
        Ok(Response::new(plan()))
    }

    async fn start_drain(&self, request: Request<StartDrainRequest>) -> Answer<Operation> {
        let StartDrainRequest { node_id, force, requested_by, .. } = request.into_inner();
        if node_id == "node-2" {
            let why = "node node-2 is being drained (operation 5); wait for its end, or cancel it";
            return Err(ApiError::new(ErrorCode::AlreadyExists, why).about("operation", "5").into());
        }
        Ok(Response::new(Operation { force, requested_by, done_tenants: 0, ..operation(7)? }))
    }

    async fn plan_rebalance(&self, _: Request<PlanRebalanceRequest>) -> Answer<Plan> {
        Ok(Response::new(Plan::default()))
    }

    async fn start_rebalance(&self, request: Request<StartRebalanceRequest>) -> Answer<Operation> {
        let StartRebalanceRequest { max_concurrent, max_unavailable_percent, .. } = request.into_inner();
        let running = OperationState::Running as i32;
        let message = String::new();
        let started = Operation { state: running, message, end_time: None, ..operation(6)? };
        Ok(Response::new(Operation { max_concurrent, max_unavailable_percent, ..started }))
    }

    async fn plan_move(&self, _: Request<PlanMoveRequest>) -> Answer<Plan> {
        Ok(Response::new(plan()))
    }

    async fn start_move(&self, request: Request<StartMoveRequest>) -> Answer<Operation> {
        let StartMoveRequest { tenant_id, .. } = request.into_inner();
        if tenant_id == "shop" {
            let why = "tenant shop is on node node-3 already; there is nothing to move";
            return Err(ApiError::new(ErrorCode::FailedPrecondition, why).about("tenant", "shop").into());
        }
        tenant(&tenant_id)?;
        operation(9).map(Response::new)
    }

    async fn plan_fleet_operation(&self, request: Request<PlanFleetOperationRequest>) -> Answer<FleetPlan> {
        let request = request.into_inner();
        let moves = request.action() == WorkerAction::Move;
        let worker = |tenant_id: &str, answers| PlannedWorker {
            tenant_id: tenant_id.into(),
            node_id: "node-1".into(),
            answers,
            to_node_id: if moves { "node-3".into() } else { String::new() },
            reason: if moves {
                "an operator moves it away; the first in its order".into()
            } else {
                String::new()
            },
        };
        let workers = vec![worker("shop", false), worker("lodge", true)];
        let total_tenants = if request.all { 40 } else { 2 };
        let blocked = if moves { vec![pinned()] } else { Vec::new() };
        Ok(Response::new(FleetPlan { workers, total_tenants, blocked }))
    }

    async fn start_fleet_operation(&self, request: Request<StartFleetOperationRequest>) -> Answer<Operation> {
        let StartFleetOperationRequest {
            action,
            selector,
            max_concurrent,
            max_unavailable_percent,
            pause_on_failure: pauses_on_failure,
            node_id,
            ..
        } = request.into_inner();
        if selector == "plan=none" {
            let why = "plan=none matches no tenant with a worker that is to run; see `roost worker list --selector`";
            return Err(ApiError::new(ErrorCode::FailedPrecondition, why).into());
        }
        let (state, message) = (OperationState::Running as i32, String::new());
        let started = Operation { state, message, end_time: None, selector, ..restart() };
        let limited = Operation { max_concurrent, max_unavailable_percent, ..started };
        let blocked = if action == WorkerAction::Move as i32 { vec![pinned()] } else { Vec::new() };
        Ok(Response::new(Operation { action, pauses_on_failure, node_id, blocked, ..limited }))
    }

    async fn resume_operation(&self, request: Request<ResumeOperationRequest>) -> Answer<Operation> {
        let paused = operation(request.into_inner().id)?;
        if paused.kind() != OperationKind::Fleet {
            let why =
                format!("operation {} is done and has not paused; there is nothing to resume", paused.id);
            return Err(ApiError::new(ErrorCode::FailedPrecondition, why).into());
        }
        let (state, message) = (OperationState::Running as i32, String::new());
        Ok(Response::new(Operation { state, message, end_time: None, ..paused }))
    }

    async fn get_operation(&self, request: Request<GetOperationRequest>) -> Answer<Operation> {
        let operation = operation(request.into_inner().id)?;
        if operation.kind() == OperationKind::Fleet {
            let failure = WorkerFailure { tenant_id: "lodge".into(), error: "its session is damaged".into() };
            return Ok(Response::new(Operation { failures: vec![failure], ..operation }));
        }
        Ok(Response::new(Operation { moves: vec![moved()], ..operation }))
    }

    /// One operation a page, so that the client has to walk.
    async fn list_operations(
        &self,
        request: Request<ListOperationsRequest>,
    ) -> Answer<ListOperationsResponse> {
        let ListOperationsRequest { page_token, state, node_id, .. } = request.into_inner();
        let fits = |operation: &Operation| {
            (state == 0 || operation.state == state) && (node_id.is_empty() || operation.node_id == node_id)
        };
        let (id, next) = if page_token.is_empty() { (7, "6") } else { (6, "") };
        let operations = [operation(id)?].into_iter().filter(fits).collect();
        Ok(Response::new(ListOperationsResponse { operations, next_page_token: next.into() }))
    }

    async fn watch_operation(
        &self,
        request: Request<WatchOperationRequest>,
    ) -> Answer<Self::WatchOperationStream> {
        let running = operation(request.into_inner().id)?;
        match running.id {
            7 => Ok(Response::new(items(vec![running.clone(), done(running)]))),
            8 => Ok(Response::new(stream::iter([Ok(running)]).chain(stream::pending()).boxed())),
            _ => Ok(Response::new(items(vec![running]))),
        }
    }

    async fn cancel_operation(&self, request: Request<CancelOperationRequest>) -> Answer<Operation> {
        match request.into_inner().id {
            6 => {
                let why = "operation 6 was cancelled already; there is nothing to cancel";
                Err(ApiError::new(ErrorCode::FailedPrecondition, why).about("operation", "6").into())
            }
            id => {
                let state = OperationState::Cancelled as i32;
                let message = "cancelled by admin".into();
                Ok(Response::new(Operation { state, message, end_time: at(3), ..operation(id)? }))
            }
        }
    }
}

fn status() -> Result<ClusterStatus, Status> {
    let leader = Leader { holder: "coordinator/c1".into(), address: "127.0.0.1:7117".into(), term: 3 };
    Ok(ClusterStatus {
        leader: Some(leader),
        nodes: Some(NodeCounts { live: 4, lost: 1, cordoned: 2, draining: 1, suspect: 1, impaired: 1 }),
        tenants: Some(TenantCounts { running: 10, placed: 6, waiting: 4, error: 1 }),
        failover_pause: None,
        failover_hold: None,
        policy: Some(Policy { auto_rebalance: false, failover_breaker: true, message_retention_days: 90 }),
        operations: vec![operation(7)?],
        conflicts: 2,
        complaints: vec![],
        expiring_versions: vec![],
    })
}

fn complaint() -> ControllerComplaint {
    ControllerComplaint {
        holder: "coordinator/c1".into(),
        kind: "etcd_full".into(),
        reason: "etcd refused a commit: database space exceeded".into(),
        since_time: at(0),
        remedy: "free space, then `etcdctl alarm disarm`".into(),
    }
}

fn event(id: i64, kind: EventKind, text: &str) -> Event {
    Event { id, kind: kind as i32, text: text.into(), time: at(id), ..Default::default() }
}

fn events() -> Vec<Event> {
    let lost = event(2, EventKind::NodeLost, "node node-5 is lost");
    let cordoned = event(1, EventKind::NodeCordoned, "node node-3 is cordoned");
    vec![
        Event { node_id: "node-5".into(), ..lost },
        Event {
            node_id: "node-3".into(),
            requested_by: "asha".into(),
            reason: "its disk is failing".into(),
            ..cordoned
        },
    ]
}

#[tonic::async_trait]
impl ClusterService for Script {
    type WatchEventsStream = Items<Event>;

    async fn get_cluster_status(&self, _: Request<GetClusterStatusRequest>) -> Answer<ClusterStatus> {
        Ok(Response::new(ClusterStatus {
            complaints: vec![complaint()],
            expiring_versions: vec![super::versions::page()],
            ..status()?
        }))
    }

    async fn list_events(&self, request: Request<ListEventsRequest>) -> Answer<ListEventsResponse> {
        let node = request.into_inner().node_id;
        if !node.is_empty() {
            known_node(&node)?;
        }
        Ok(Response::new(ListEventsResponse { events: events(), next_page_token: String::new() }))
    }

    async fn watch_events(&self, _: Request<WatchEventsRequest>) -> Answer<Self::WatchEventsStream> {
        Ok(Response::new(items(events().into_iter().rev().collect())))
    }

    async fn pause_failover(&self, request: Request<PauseFailoverRequest>) -> Answer<ClusterStatus> {
        let PauseFailoverRequest { requested_by, reason } = request.into_inner();
        let pause = FailoverPause { reason, start_time: at(0), requested_by };
        Ok(Response::new(ClusterStatus { failover_pause: Some(pause), operations: vec![], ..status()? }))
    }

    async fn resume_failover(&self, _: Request<ResumeFailoverRequest>) -> Answer<ClusterStatus> {
        Ok(Response::new(ClusterStatus { leader: None, operations: vec![], ..status()? }))
    }

    async fn update_policy(&self, request: Request<UpdatePolicyRequest>) -> Answer<Policy> {
        Ok(Response::new(request.into_inner().policy.unwrap_or_default()))
    }
}

//! The scripted coordinator's workers.

use std::time::Duration;

use roost_proto::{
    error::ApiError,
    v1::{worker_service_server::WorkerService, *},
};
use tonic::{Request, Response, Status};

use super::{Answer, Items, Script, at, items, unknown};

/// It clears a terminal's screen and turns round what is read after it.
pub const HOSTILE: &str = "\u{1b}[2J\u{202e}\u{9b}31m";

pub(super) fn worker(tenant_id: &str) -> Result<Worker, Status> {
    let running = Worker {
        tenant_id: "lodge".into(),
        name: "roost-worker-lodge".into(),
        status: WorkerStatus::Running as i32,
        desired_state: DesiredState::Running as i32,
        node_id: "node-2".into(),
        generation: 3,
        last_error: String::new(),
        restarts: 1,
        last_seen_time: at(120),
        session_status: SessionStatus::Connected as i32,
        pinned_node_id: String::new(),
        conflicts: 0,
        resends: 0,
        condition: Some(WorkerCondition {
            kind: ConditionKind::Answering as i32,
            reason: String::new(),
            since_time: at(60),
        }),
        next_restart_time: at(86_400),
        memory_bytes: Some(188 << 20),
        cpu_millicores: Some(45),
        processes: Some(6),
        messages_per_minute: Some(4),
    };
    let failed = Worker {
        tenant_id: "shop".into(),
        name: "roost-worker-shop".into(),
        status: WorkerStatus::Error as i32,
        node_id: String::new(),
        generation: 1,
        last_error: "not seen for 2m".into(),
        last_seen_time: None,
        session_status: SessionStatus::Disconnected as i32,
        condition: Some(WorkerCondition {
            kind: ConditionKind::WaitingForCapacity as i32,
            reason: "every node is full".into(),
            since_time: at(60),
        }),
        next_restart_time: None,
        memory_bytes: None,
        cpu_millicores: None,
        processes: None,
        messages_per_minute: None,
        ..running.clone()
    };
    // What only the tests of hostile text ask for.
    let hostile = Worker {
        tenant_id: "hostile".into(),
        name: format!("worker{HOSTILE}"),
        last_error: format!("{HOSTILE} {}", "x".repeat(600)),
        ..failed.clone()
    };
    match tenant_id {
        "lodge" => Ok(running),
        "shop" => Ok(failed),
        "hostile" => Ok(hostile),
        _ => Err(unknown("tenant", tenant_id)),
    }
}

#[tonic::async_trait]
impl WorkerService for Script {
    type WatchWorkersStream = Items<WatchWorkersResponse>;

    async fn start_worker(&self, request: Request<StartWorkerRequest>) -> Answer<StartWorkerResponse> {
        let worker = Some(worker(&request.into_inner().tenant_id)?);
        Ok(Response::new(StartWorkerResponse { worker, already_running: true }))
    }

    async fn stop_worker(&self, request: Request<StopWorkerRequest>) -> Answer<Worker> {
        let worker = worker(&request.into_inner().tenant_id)?;
        let more = if worker.tenant_id == "hostile" { HOSTILE } else { "" };
        Err(ApiError::unavailable(
            "postgres",
            Duration::from_secs(2),
            format!("postgres does not answer; nothing was changed{more}"),
        )
        .into())
    }

    async fn restart_worker(&self, request: Request<RestartWorkerRequest>) -> Answer<Worker> {
        worker(&request.into_inner().tenant_id).map(Response::new)
    }

    async fn force_restart_worker(&self, request: Request<ForceRestartWorkerRequest>) -> Answer<Worker> {
        worker(&request.into_inner().tenant_id).map(Response::new)
    }

    async fn get_worker(&self, request: Request<GetWorkerRequest>) -> Answer<Worker> {
        worker(&request.into_inner().tenant_id).map(Response::new)
    }

    async fn list_workers(&self, request: Request<ListWorkersRequest>) -> Answer<ListWorkersResponse> {
        let workers = match request.get_ref().node_id.as_str() {
            _ if request.get_ref().selector == "plan=pro" => vec![worker("lodge")?],
            "hostile" => vec![worker("hostile")?],
            // By tenant, as the coordinator has them: the one that uses something is not the first.
            "node-2" => vec![worker("hostile")?, worker("lodge")?],
            _ => vec![worker("lodge")?, worker("shop")?],
        };
        Ok(Response::new(ListWorkersResponse { workers, next_page_token: String::new() }))
    }

    async fn watch_workers(&self, request: Request<WatchWorkersRequest>) -> Answer<Self::WatchWorkersStream> {
        let changes = match request.get_ref().tenant_id.as_str() {
            "hostile" => &[("hostile", false)][..],
            "lodge" => &[("lodge", false)],
            _ => &[("lodge", false), ("shop", true)],
        };
        let change = |(id, deleted): &(&str, bool)| {
            Ok(WatchWorkersResponse { worker: Some(worker(id)?), deleted: *deleted, ..Default::default() })
        };
        Ok(Response::new(items(changes.iter().map(change).collect::<Result<Vec<_>, Status>>()?)))
    }
}

//! The scripted coordinator's closer look at workers: `lodge` is on a node that answers, `shop` on one that does not.

use std::collections::HashMap;

use prost_types::Duration;
use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::{worker_inspection_service_server::WorkerInspectionService, *},
};
use tonic::{Request, Response};

use super::{Answer, Items, Script, at, items, workers::worker};

fn span(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

fn setting(name: &str, value: &str, origin: SettingOrigin) -> EffectiveSetting {
    EffectiveSetting { name: name.into(), value: value.into(), origin: origin.into() }
}

fn live() -> LiveWorker {
    LiveWorker {
        node_id: "node-2".into(),
        node_version: "0.1.0".into(),
        generation: 3,
        state: "running".into(),
        since_proof: span(2),
        reconnect_attempts: 1,
        browser: Some(LiveBrowser {
            uptime: span(3_725),
            browser_version: "HeadlessChrome/142.0.7444.59".into(),
            bridge_version: "0.1.0".into(),
            library_version: "4.6.0".into(),
            pid: 4_711,
            processes: 4,
            pss_bytes: Some(71 << 20),
            own_bytes: 52 << 20,
            cpu_time: span(94),
            cpu_share: 0.03,
            page_version: "2.3000.1048".into(),
            limits_held_by: "the node's looks at it alone: --control-groups is off".into(),
        }),
        timing: vec![
            setting("probe_every", "3s", SettingOrigin::Cluster),
            setting("stale_after", "2m", SettingOrigin::Tenant),
        ],
    }
}

fn debugged() -> TenantLogLevel {
    TenantLogLevel {
        level: LogLevel::Warn.into(),
        temporary_level: LogLevel::Debug.into(),
        until_time: at(600),
    }
}

#[tonic::async_trait]
impl WorkerInspectionService for Script {
    async fn describe_worker(&self, request: Request<DescribeWorkerRequest>) -> Answer<WorkerDescription> {
        let mut worker = worker(&request.into_inner().tenant_id)?;
        let is_there = worker.tenant_id == "lodge";
        if !is_there {
            worker.node_id = "node-3".into();
        }
        let problem = "node node-3 cannot be reached at 10.0.0.3:7119: Connection refused (os error 111)";
        Ok(Response::new(WorkerDescription {
            worker: Some(worker),
            phone: "+255700000001".into(),
            labels: HashMap::from([("plan".into(), "pro".into())]),
            inbound_queue: 2,
            outbound_queue: 1,
            snapshot_time: at(30),
            snapshot_bytes: 1_234_567,
            live: is_there.then(live),
            log_level: is_there.then(debugged),
            node_problem: if is_there { String::new() } else { problem.into() },
        }))
    }

    async fn list_condition_changes(
        &self,
        request: Request<ListConditionChangesRequest>,
    ) -> Answer<ListConditionChangesResponse> {
        worker(&request.into_inner().tenant_id)?;
        let change = |seconds, kind: ConditionKind, reason: &str, node: &str| ConditionChange {
            time: at(seconds),
            kind: kind.into(),
            reason: reason.into(),
            node_id: node.into(),
        };
        let changes = vec![
            change(60, ConditionKind::Answering, "", "node-2"),
            change(50, ConditionKind::Healing, "the page is deaf: WhatsApp does not answer it", "node-2"),
            change(40, ConditionKind::Starting, "it goes to node-2", "node-2"),
            change(0, ConditionKind::Starting, "", ""),
        ];
        Ok(Response::new(ListConditionChangesResponse { changes }))
    }

    type ReadWorkerLogStream = Items<ReadWorkerLogResponse>;

    async fn read_worker_log(
        &self,
        request: Request<ReadWorkerLogRequest>,
    ) -> Answer<Self::ReadWorkerLogStream> {
        let request = request.into_inner();
        worker(&request.tenant_id)?;
        let line = |second: i64, level: LogLevel, node: &str, message: &str, fields: &str| WorkerLogLine {
            time: at(second),
            level: level.into(),
            target: "roost_node::worker".into(),
            message: message.into(),
            fields_json: fields.into(),
            node_id: node.into(),
            generation: 3,
        };
        let mut lines = vec![
            line(1, LogLevel::Info, "node-2", "the worker begins", "{}"),
            line(9, LogLevel::Warn, "node-2", "the page failed", "{\"attempts\":1,\"error\":\"gone\"}"),
        ];
        lines.retain(|line| line.level >= request.level);
        let told = |lines, notice: &str| ReadWorkerLogResponse { lines, notice: notice.to_owned() };
        let mut answers = vec![told(lines, "")];
        if request.previous {
            answers.insert(
                0,
                told(vec![], "node node-1 is not live; the end of it as it was kept in the database:"),
            );
        }
        Ok(Response::new(items(answers)))
    }

    async fn set_worker_log_level(
        &self,
        request: Request<SetWorkerLogLevelRequest>,
    ) -> Answer<TenantLogLevel> {
        let SetWorkerLogLevelRequest { tenant_id, level, duration, requested_by, reason } =
            request.into_inner();
        worker(&tenant_id)?;
        assert_eq!((requested_by.as_str(), reason.is_empty()), ("asha", level == 0));
        let span = duration.map(|span| span.seconds);
        Ok(Response::new(TenantLogLevel {
            temporary_level: level,
            until_time: at(span.unwrap_or(600)).filter(|_| level != 0),
            ..Default::default()
        }))
    }

    async fn take_screenshot(
        &self,
        request: Request<TakeScreenshotRequest>,
    ) -> Answer<TakeScreenshotResponse> {
        let TakeScreenshotRequest { tenant_id, requested_by, .. } = request.into_inner();
        worker(&tenant_id)?;
        assert_eq!(requested_by, "asha");
        if tenant_id == "shop" {
            let why = "tenant shop has no worker running; `roost worker start shop` starts it";
            return Err(ApiError::new(ErrorCode::FailedPrecondition, why).into());
        }
        Ok(Response::new(TakeScreenshotResponse {
            png: b"<a picture>".to_vec(),
            node_id: "node-2".into(),
            generation: 3,
        }))
    }
}

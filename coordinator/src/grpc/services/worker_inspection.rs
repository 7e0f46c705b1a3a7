//! WorkerInspectionService.

use prost_types::Timestamp;
use roost_model::LogLevel;
use roost_proto::v1::{self, worker_inspection_service_server::WorkerInspectionService};
use time::OffsetDateTime;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    app::{App, LogQuery, Screenshot},
    grpc::{
        answers::{Answers, answers},
        request::{Checks, tenant_id},
        wire,
    },
};

/// Of a log, unless it is said.
const USUAL_LINES: u32 = 100;
const MOST_LINES: u32 = 10_000;

fn lines(given: i32) -> Result<u32, String> {
    match u32::try_from(given) {
        Ok(0) => Ok(USUAL_LINES),
        Ok(lines) => Ok(lines.min(MOST_LINES)),
        Err(_) => Err(format!("{given} is not allowed: 0 means {USUAL_LINES}, and {MOST_LINES} is the most")),
    }
}

fn time(given: Timestamp) -> Result<OffsetDateTime, String> {
    let nanos = i128::from(given.seconds) * 1_000_000_000 + i128::from(given.nanos);
    OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| "it is no time that there is".to_owned())
}

pub struct WorkerInspection {
    pub app: App,
}

#[async_trait]
impl WorkerInspectionService for WorkerInspection {
    async fn describe_worker(
        &self,
        request: Request<v1::DescribeWorkerRequest>,
    ) -> Result<Response<v1::WorkerDescription>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        let description = self.app.describe_worker(&id).await?;
        Ok(Response::new(wire::worker_description(description)))
    }

    async fn list_condition_changes(
        &self,
        request: Request<v1::ListConditionChangesRequest>,
    ) -> Result<Response<v1::ListConditionChangesResponse>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        let changes = self.app.condition_changes(&id).await?;
        let changes = changes.into_iter().map(wire::condition_change).collect();
        Ok(Response::new(v1::ListConditionChangesResponse { changes }))
    }

    type ReadWorkerLogStream = Answers<v1::ReadWorkerLogResponse>;

    async fn read_worker_log(
        &self,
        request: Request<v1::ReadWorkerLogRequest>,
    ) -> Result<Response<Self::ReadWorkerLogStream>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let tenant = checks.tenant_id("tenant_id", &request.tenant_id);
        let lines = checks.take("lines", lines(request.lines));
        let since = checks.take("since_time", request.since_time.map(time).transpose());
        let level = checks.optional_enum("level", request.level);
        let which = if request.follow && request.previous {
            Err("it goes on no more, so it cannot be followed: leave follow out".to_owned())
        } else {
            Ok(())
        };
        let which = checks.take("previous", which);
        let (Some(tenant), Some(lines), Some(since), Some(level), Some(())) =
            (tenant, lines, since, level, which)
        else {
            return Err(checks.refusal().into());
        };
        let query =
            LogQuery { lines, since, level: level.and_then(wire::log_level_of).unwrap_or(LogLevel::Trace) };
        let items = if request.follow {
            self.app.follow_worker_log(&tenant, query).await?
        } else {
            self.app.read_worker_log(&tenant, query, request.previous).await?
        };
        Ok(Response::new(answers(items, wire::log_item)))
    }

    async fn take_screenshot(
        &self,
        request: Request<v1::TakeScreenshotRequest>,
    ) -> Result<Response<v1::TakeScreenshotResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let tenant = checks.tenant_id("tenant_id", &request.tenant_id);
        let by = checks.by(request.requested_by, request.reason);
        let (Some(tenant), Some(by)) = (tenant, by) else { return Err(checks.refusal().into()) };
        let Screenshot { png, node, generation } = self.app.take_screenshot(&tenant, &by).await?;
        let (node_id, generation) = (node.into(), generation.0);
        Ok(Response::new(v1::TakeScreenshotResponse { png, node_id, generation }))
    }

    async fn set_worker_log_level(
        &self,
        request: Request<v1::SetWorkerLogLevelRequest>,
    ) -> Result<Response<v1::TenantLogLevel>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let tenant = checks.tenant_id("tenant_id", &request.tenant_id);
        let level = checks.temporary_log_level(request.level, request.duration);
        let by = checks.by(request.requested_by, request.reason);
        let (Some(tenant), Some(level), Some(by)) = (tenant, level, by) else {
            return Err(checks.refusal().into());
        };
        let changed = self.app.set_log_level(&tenant, level, &by).await?;
        let told = wire::tenant_log_level(&changed, OffsetDateTime::now_utc());
        Ok(Response::new(told.unwrap_or_default()))
    }
}

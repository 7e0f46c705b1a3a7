//! OperationService.

use roost_cluster::ledger::FleetLimits;
use roost_model::ids::OperationId;
use roost_proto::{
    error::ApiError,
    v1::{self, operation_service_server::OperationService},
};
use roost_store::{NewDrain, NewMove, NewRebalance, OperationFilter, Requester};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    app::App,
    grpc::{
        answers::{Answers, answers, fill_page},
        request::{Checks, List, MAX_CONCURRENT, node_id, operation_id, page},
        wire,
    },
};

const USUAL_CONCURRENT: u32 = 4;
const USUAL_UNAVAILABLE_PERCENT: u32 = 10;
/// Of an order on many workers.
const USUAL_SILENT_PERCENT: u32 = 5;
/// Workers or tenants that a plan names.
pub(super) const PLANNED_WORKERS: usize = 1_000;

pub struct Operations {
    pub app: App,
}

#[async_trait]
impl OperationService for Operations {
    async fn plan_drain(&self, request: Request<v1::PlanDrainRequest>) -> Result<Response<v1::Plan>, Status> {
        let node = node_id("node_id", &request.get_ref().node_id)?;
        Ok(Response::new(wire::plan(self.app.plan_drain(&node, request.get_ref().force).await?)))
    }

    async fn start_drain(
        &self,
        request: Request<v1::StartDrainRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let node = checks.node_id("node_id", &request.node_id);
        let deadline = checks.optional_span("deadline", request.deadline);
        let by = checks.by(request.requested_by, request.reason);
        let (Some(node), Some(deadline), Some(by)) = (node, deadline, by) else {
            return Err(checks.refusal().into());
        };
        let started = self.app.start_drain(NewDrain { node, deadline, force: request.force }, by).await?;
        Ok(Response::new(wire::operation(started)))
    }

    async fn plan_rebalance(
        &self,
        _request: Request<v1::PlanRebalanceRequest>,
    ) -> Result<Response<v1::Plan>, Status> {
        Ok(Response::new(wire::plan(self.app.plan_rebalance().await?)))
    }

    async fn start_rebalance(
        &self,
        request: Request<v1::StartRebalanceRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let concurrent =
            checks.limit("max_concurrent", request.max_concurrent, USUAL_CONCURRENT, MAX_CONCURRENT);
        let percent = request.max_unavailable_percent;
        let unavailable = checks.limit("max_unavailable_percent", percent, USUAL_UNAVAILABLE_PERCENT, 100);
        let by = checks.by(request.requested_by, request.reason);
        let (Some(max_concurrent), Some(max_unavailable_percent), Some(by)) = (concurrent, unavailable, by)
        else {
            return Err(checks.refusal().into());
        };
        let order = NewRebalance { max_concurrent, max_unavailable_percent };
        let started = self.app.start_rebalance(&order, &by).await?;
        Ok(Response::new(wire::operation(started)))
    }

    async fn plan_move(&self, request: Request<v1::PlanMoveRequest>) -> Result<Response<v1::Plan>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let tenant = checks.tenant_id("tenant_id", &request.tenant_id);
        let node = checks.node_id("node_id", &request.node_id);
        let (Some(tenant), Some(node)) = (tenant, node) else { return Err(checks.refusal().into()) };
        Ok(Response::new(wire::plan(self.app.plan_move(&tenant, &node).await?)))
    }

    async fn start_move(
        &self,
        request: Request<v1::StartMoveRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let tenant = checks.tenant_id("tenant_id", &request.tenant_id);
        let node = checks.node_id("node_id", &request.node_id);
        let by = checks.by(request.requested_by, request.reason);
        let (Some(tenant), Some(to), Some(by)) = (tenant, node, by) else {
            return Err(checks.refusal().into());
        };
        let started = self.app.start_move(&NewMove { tenant, to }, &by).await?;
        Ok(Response::new(wire::operation(started)))
    }

    async fn plan_fleet_operation(
        &self,
        request: Request<v1::PlanFleetOperationRequest>,
    ) -> Result<Response<v1::FleetPlan>, Status> {
        let v1::PlanFleetOperationRequest { action, selector, all, node_id } = request.get_ref();
        let mut checks = Checks::default();
        let Some(order) = checks.fleet_order(*action, selector, *all, node_id) else {
            return Err(checks.refusal().into());
        };
        let plan = self.app.plan_fleet_operation(&order).await?;
        Ok(Response::new(wire::fleet_plan(plan, PLANNED_WORKERS)))
    }

    async fn start_fleet_operation(
        &self,
        request: Request<v1::StartFleetOperationRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let order = checks.fleet_order(request.action, &request.selector, request.all, &request.node_id);
        let concurrent = checks.workers_at_once(request.max_concurrent);
        let action = order.as_ref().map(|order| order.action);
        let unavailable = checks.unavailable(action, request.max_unavailable_percent, USUAL_SILENT_PERCENT);
        let by = checks.by(request.requested_by, request.reason);
        let (Some(order), Some(max_concurrent), Some(max_unavailable_percent), Some(by)) =
            (order, concurrent, unavailable, by)
        else {
            return Err(checks.refusal().into());
        };
        let pauses_after = request.pause_on_failure.then_some(0);
        let limits = FleetLimits { max_concurrent, max_unavailable_percent, pauses_after };
        let (started, blocked) = self.app.start_fleet_operation(order, limits, &by).await?;
        let blocked = wire::blocked_moves(blocked, PLANNED_WORKERS);
        Ok(Response::new(v1::Operation { blocked, ..wire::operation(started) }))
    }

    async fn get_operation(
        &self,
        request: Request<v1::GetOperationRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let id = operation_id(request.get_ref().id)?;
        let (operation, moves, failures) = self.app.get_operation(id).await?;
        let moves = moves.into_iter().map(wire::made_move).collect();
        let failures = failures.into_iter().map(wire::worker_failure).collect();
        Ok(Response::new(v1::Operation { moves, failures, ..wire::operation(operation) }))
    }

    async fn list_operations(
        &self,
        request: Request<v1::ListOperationsRequest>,
    ) -> Result<Response<v1::ListOperationsResponse>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let state_text = request.state.to_string();
        let chosen = [state_text.as_str(), &request.node_id, &request.tenant_id];
        let size = checks.page_size(request.page_size);
        let before =
            checks.page_token(List::Operations, &chosen, &request.page_token, |key| key.parse().ok());
        let state = checks.optional_enum("state", request.state);
        let node = checks.optional_node_id("node_id", &request.node_id);
        let tenant = checks.optional_tenant_id("tenant_id", &request.tenant_id);
        let (Some(size), Some(before), Some(state), Some(node), Some(tenant)) =
            (size, before, state, node, tenant)
        else {
            return Err(checks.refusal().into());
        };
        let state = state.and_then(wire::operation_state_filter);
        let filter = &OperationFilter { state, node, tenant };
        let fetch =
            |before: Option<i64>, limit| self.app.list_operations(filter, before.map(OperationId), limit);
        let page = fill_page(size, before, fetch, |row| (row.id.0, wire::operation(row))).await?;
        let next = page.last.map(|last| page::encode(List::Operations, &chosen, &last.to_string()));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListOperationsResponse { operations: page.items, next_page_token }))
    }

    type WatchOperationStream = Answers<v1::Operation>;

    async fn watch_operation(
        &self,
        request: Request<v1::WatchOperationRequest>,
    ) -> Result<Response<Self::WatchOperationStream>, Status> {
        let id = operation_id(request.get_ref().id)?;
        Ok(Response::new(answers(self.app.watch_operation(id).await?, wire::operation)))
    }

    async fn cancel_operation(
        &self,
        request: Request<v1::CancelOperationRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let v1::CancelOperationRequest { id, requested_by, reason } = request.into_inner();
        let (id, by) = ordered(id, requested_by, reason)?;
        Ok(Response::new(wire::operation(self.app.cancel_operation(id, &by).await?)))
    }

    async fn resume_operation(
        &self,
        request: Request<v1::ResumeOperationRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let v1::ResumeOperationRequest { id, requested_by, reason } = request.into_inner();
        let (id, by) = ordered(id, requested_by, reason)?;
        Ok(Response::new(wire::operation(self.app.resume_operation(id, &by).await?)))
    }
}

/// What is ordered of an operation that runs, and by whom.
fn ordered(id: i64, requested_by: String, reason: String) -> Result<(OperationId, Requester), ApiError> {
    let mut checks = Checks::default();
    let (id, by) = (checks.operation_id(id), checks.by(requested_by, reason));
    id.zip(by).ok_or_else(|| checks.refusal())
}

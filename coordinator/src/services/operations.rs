//! OperationService. An operation that is started is a row in the database and nothing else; the controller carries it
//! out and notes how far it has come.

use roost_cluster::ids::NodeId;
use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::{self, operation_service_server::OperationService},
};
use roost_store::{
    Cancellation, NewDrain, NewMove, NewRebalance, OperationFilter, OperationRecord, OperationState,
    Requester,
};
use tonic::{Request, Response, Status, async_trait};

use super::{paging, watch_operation::WatchOperation};
use crate::{
    backend::Backend,
    fault::{from_start, from_store},
    orders::{self, Refusal},
    request::{Checks, List, page},
    stream::{Answers, Streams},
    wire,
};

const MAX_CONCURRENT: u32 = 1_000;
const USUAL_CONCURRENT: u32 = 4;
const USUAL_UNAVAILABLE_PERCENT: u32 = 10;
/// The moves that GetOperation tells.
const MOVES: u32 = 1_000;

pub struct Operations {
    pub backend: Backend,
    pub streams: Streams,
}

impl Operations {
    async fn start_drain(&self, drain: NewDrain, by: Requester) -> Result<OperationRecord, ApiError> {
        let survey = orders::survey(&self.backend).await?;
        orders::may_drain(&survey, &drain.node, drain.force)?;
        let store = self.backend.store()?;
        let started = store.start_drain(&drain, &by).await.map_err(from_start)?;
        // Two drains that were asked for at once may each have counted on the other's node.
        let refused = match orders::survey(&self.backend).await {
            Ok(survey) => match orders::may_drain(&survey, &drain.node, drain.force) {
                Err(refusal @ Refusal::LastOpenNode { .. }) => ApiError::from(refusal),
                // What else has changed since is the controller's to deal with.
                Ok(()) | Err(_) => return Ok(started),
            },
            Err(unknown) => unknown,
        };
        let reason = "whether another node still takes tenants could not be made sure".to_owned();
        store.cancel_operation(started.id, &Requester { name: by.name, reason }).await.map_err(from_store)?;
        Err(refused)
    }
}

fn node_id(given: &str) -> Result<NodeId, Status> {
    let mut checks = Checks::default();
    checks.node_id("node_id", given).ok_or_else(|| checks.refusal().into())
}

fn over(id: i64, state: OperationState) -> ApiError {
    let how = match state {
        OperationState::Done => "is done",
        OperationState::Failed => "has failed",
        OperationState::Cancelled => "was cancelled",
        OperationState::Running => "runs",
    };
    let message = format!("operation {id} {how} already; there is nothing to cancel");
    ApiError::new(ErrorCode::FailedPrecondition, message).about("operation", &id.to_string())
}

#[async_trait]
impl OperationService for Operations {
    async fn plan_drain(&self, request: Request<v1::PlanDrainRequest>) -> Result<Response<v1::Plan>, Status> {
        let node = node_id(&request.get_ref().node_id)?;
        let survey = orders::survey(&self.backend).await?;
        orders::may_drain(&survey, &node, request.get_ref().force).map_err(ApiError::from)?;
        Ok(Response::new(orders::dry_drain(survey.snapshot, &node)))
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
        let started = self.start_drain(NewDrain { node, deadline, force: request.force }, by).await?;
        tracing::info!(operation = %started.id, node = request.node_id, "drain started");
        Ok(Response::new(wire::operation(started)))
    }

    async fn plan_rebalance(
        &self,
        _request: Request<v1::PlanRebalanceRequest>,
    ) -> Result<Response<v1::Plan>, Status> {
        let survey = orders::survey(&self.backend).await?;
        Ok(Response::new(orders::dry_rebalance(survey.snapshot)))
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
        let started = self.backend.store()?.start_rebalance(&order, &by).await.map_err(from_start)?;
        tracing::info!(operation = %started.id, "rebalance started");
        Ok(Response::new(wire::operation(started)))
    }

    async fn plan_move(&self, request: Request<v1::PlanMoveRequest>) -> Result<Response<v1::Plan>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let tenant = checks.tenant_id("tenant_id", &request.tenant_id);
        let node = checks.node_id("node_id", &request.node_id);
        let (Some(tenant), Some(node)) = (tenant, node) else { return Err(checks.refusal().into()) };
        let survey = orders::survey(&self.backend).await?;
        orders::may_move(&survey, &tenant, &node).map_err(ApiError::from)?;
        Ok(Response::new(orders::dry_move(survey.snapshot, &tenant, &node)))
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
        let survey = orders::survey(&self.backend).await?;
        orders::may_move(&survey, &tenant, &to).map_err(ApiError::from)?;
        let order = NewMove { tenant, to };
        let started = self.backend.store()?.start_move(&order, &by).await.map_err(from_start)?;
        tracing::info!(operation = %started.id, tenant = %order.tenant, node = %order.to, "move started");
        Ok(Response::new(wire::operation(started)))
    }

    async fn get_operation(
        &self,
        request: Request<v1::GetOperationRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let mut checks = Checks::default();
        let Some(id) = checks.operation_id(request.get_ref().id) else { return Err(checks.refusal().into()) };
        let store = self.backend.store()?;
        let operation = store.get_operation(id).await.map_err(from_store)?;
        let moves = store.operation_moves(id, MOVES).await.map_err(from_store)?;
        let moves = moves.into_iter().map(wire::made_move).collect();
        Ok(Response::new(v1::Operation { moves, ..wire::operation(operation) }))
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
        let (store, filter) = (self.backend.store()?, &OperationFilter { state, node, tenant });
        let fetch = move |before: Option<i64>, limit| {
            store.list_operations(filter, before.map(roost_cluster::ids::OperationId), limit)
        };
        let page = paging::fill(size, before, fetch, |row| (row.id.0, wire::operation(row))).await;
        let page = page.map_err(from_store)?;
        let next = page.last.map(|last| page::encode(List::Operations, &chosen, &last.to_string()));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListOperationsResponse { operations: page.items, next_page_token }))
    }

    type WatchOperationStream = Answers<v1::Operation>;

    async fn watch_operation(
        &self,
        request: Request<v1::WatchOperationRequest>,
    ) -> Result<Response<Self::WatchOperationStream>, Status> {
        let mut checks = Checks::default();
        let Some(id) = checks.operation_id(request.get_ref().id) else { return Err(checks.refusal().into()) };
        let watch = WatchOperation::begin(self.backend.store()?.clone(), id).await.map_err(from_store)?;
        Ok(Response::new(self.streams.open(|outlet| watch.run(outlet))?))
    }

    async fn cancel_operation(
        &self,
        request: Request<v1::CancelOperationRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let request = request.into_inner();
        let mut checks = Checks::default();
        let id = checks.operation_id(request.id);
        let by = checks.by(request.requested_by, request.reason);
        let (Some(id), Some(by)) = (id, by) else { return Err(checks.refusal().into()) };
        match self.backend.store()?.cancel_operation(id, &by).await.map_err(from_store)? {
            Cancellation::Cancelled(operation) => {
                tracing::info!(operation = %id, "operation cancelled");
                Ok(Response::new(wire::operation(operation)))
            }
            Cancellation::AlreadyOver { state } => Err(over(id.0, state).into()),
            Cancellation::NotFound => {
                let message = format!("there is no operation {id}; list them to see which there are");
                Err(ApiError::new(ErrorCode::NotFound, message).about("operation", &id.to_string()).into())
            }
        }
    }
}

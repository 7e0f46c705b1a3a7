//! Operations. One that is started is a row in the database and nothing else; the controller carries it out and notes how
//! far it has come.

use roost_cluster::ledger::MemberFailure;
use roost_model::ids::{NodeId, OperationId, TenantId};
use roost_store::{
    Cancellation, NewDrain, NewMove, NewRebalance, OperationFilter, OperationRecord, Placement, Requester,
    StoreError,
};

use super::{
    App, DryRun, Error, Refusal, dry_run,
    refusal::{may_drain, may_move},
};

/// The moves, and the failures, that a question about one operation is answered with.
const MOST: u32 = 1_000;

impl App {
    pub async fn plan_drain(&self, node: &NodeId, force: bool) -> Result<DryRun, Error> {
        let survey = self.survey().await?;
        may_drain(&survey, node, force)?;
        Ok(dry_run::drain(survey.snapshot, node))
    }

    pub async fn start_drain(&self, drain: NewDrain, by: Requester) -> Result<OperationRecord, Error> {
        may_drain(&self.survey().await?, &drain.node, drain.force)?;
        let started = self.store()?.start_drain(&drain, &by).await.map_err(not_started)?;
        // Two drains that were asked for at once may each have counted on the other's node.
        let refused = match self.survey().await {
            Ok(survey) => match may_drain(&survey, &drain.node, drain.force) {
                Err(refusal @ Refusal::LastOpenNode { .. }) => Error::from(refusal),
                // What else has changed since is the controller's to deal with.
                Ok(()) | Err(_) => {
                    tracing::info!(operation = %started.id, node = %drain.node, "drain started");
                    return Ok(started);
                }
            },
            Err(unknown) => unknown,
        };
        let reason = "whether another node still takes tenants could not be made sure".to_owned();
        self.store()?.cancel_operation(started.id, &Requester { name: by.name, reason }).await?;
        Err(refused)
    }

    pub async fn plan_rebalance(&self) -> Result<DryRun, Error> {
        Ok(dry_run::rebalance(self.survey().await?.snapshot))
    }

    pub async fn start_rebalance(
        &self,
        order: &NewRebalance,
        by: &Requester,
    ) -> Result<OperationRecord, Error> {
        let started = self.store()?.start_rebalance(order, by).await.map_err(not_started)?;
        tracing::info!(operation = %started.id, "rebalance started");
        Ok(started)
    }

    pub async fn plan_move(&self, tenant: &TenantId, node: &NodeId) -> Result<DryRun, Error> {
        let survey = self.survey().await?;
        may_move(&survey, tenant, node)?;
        Ok(dry_run::move_to(survey.snapshot, tenant, node))
    }

    pub async fn start_move(&self, order: &NewMove, by: &Requester) -> Result<OperationRecord, Error> {
        may_move(&self.survey().await?, &order.tenant, &order.to)?;
        let started = self.store()?.start_move(order, by).await.map_err(not_started)?;
        tracing::info!(operation = %started.id, tenant = %order.tenant, node = %order.to, "move started");
        Ok(started)
    }

    /// With its moves, newest first, and the members that have failed.
    pub async fn get_operation(
        &self,
        id: OperationId,
    ) -> Result<(OperationRecord, Vec<Placement>, Vec<MemberFailure>), Error> {
        let store = self.store()?;
        let operation = store.get_operation(id).await?;
        let moves = store.operation_moves(id, MOST).await?;
        Ok((operation, moves, store.operation_failures(id, MOST).await?))
    }

    /// Newest first, from the one before `before` on.
    pub async fn list_operations(
        &self,
        filter: &OperationFilter,
        before: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<OperationRecord>, Error> {
        Ok(self.store()?.list_operations(filter, before, limit).await?)
    }

    pub async fn cancel_operation(&self, id: OperationId, by: &Requester) -> Result<OperationRecord, Error> {
        match self.store()?.cancel_operation(id, by).await? {
            Cancellation::Cancelled(operation) => {
                tracing::info!(operation = %id, "operation cancelled");
                Ok(*operation)
            }
            Cancellation::AlreadyOver { state } => Err(Error::OperationOver { id, state }),
            Cancellation::NotFound => Err(Error::NoOperation { id }),
        }
    }
}

/// An operation that stands in the way of another one's start is that very thing, and no state that makes no sense.
pub(super) fn not_started(error: StoreError) -> Error {
    match error {
        StoreError::Conflict { operation, what } => Error::OperationRuns { operation, what },
        other => other.into(),
    }
}

//! TakeScreenshot: what a tenant's page shows, for support. It shows what customers write, so none leaves this node before it is in the
//! events of the cluster who has asked for it.

use std::time::Duration;

use roost_engine::EngineError;
use roost_model::{
    causes,
    ids::{NodeId, TenantId},
};
use roost_proto::{
    error::{ApiError, ErrorCode},
    internal::{TakeScreenshotRequest, TakeScreenshotResponse},
};
use roost_store::{Fence, Requester, Store, StoreError};

use crate::{host::worker_table::WorkerTable, worker::ScreenshotError};

/// When to try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a node needs for it. Cheap to clone.
#[derive(Clone)]
pub struct Screenshots {
    pub node: NodeId,
    pub store: Store,
    pub workers: WorkerTable,
}

impl Screenshots {
    pub(super) async fn take(
        &self,
        tenant: &TenantId,
        request: TakeScreenshotRequest,
    ) -> Result<TakeScreenshotResponse, ApiError> {
        let Some((held, worker)) = self.workers.status(tenant) else {
            let message = format!("node {} does not hold the tenant {tenant}", self.node);
            return Err(ApiError::new(ErrorCode::NotFound, message).about("tenant", tenant.as_str()));
        };
        let picture = match &worker {
            Some(worker) => worker.screenshot().await,
            None => Err(ScreenshotError::NoBrowser),
        };
        let png = picture.map_err(|error| self.refusal(tenant, &held.state, &error))?;
        let by = Requester { name: request.requested_by, reason: request.reason };
        let fence = Fence { tenant: tenant.clone(), generation: held.generation };
        // Before it is given out: without its record it is dropped.
        self.store.record_screenshot(&fence, &by).await.map_err(not_recorded)?;
        tracing::info!(%tenant, by = by.name, bytes = png.len(), "a picture of the page is given out");
        Ok(TakeScreenshotResponse { png, generation: fence.generation.0 })
    }

    fn refusal(&self, tenant: &TenantId, state: &str, error: &ScreenshotError) -> ApiError {
        let node = &self.node;
        let refused = |code, message| ApiError::new(code, message).about("tenant", tenant.as_str());
        match error {
            ScreenshotError::NoBrowser => refused(
                ErrorCode::FailedPrecondition,
                format!(
                    "tenant {tenant} has no page on node {node} now, it is {state}: wait until it is connected"
                ),
            ),
            ScreenshotError::UnderWay => refused(
                ErrorCode::Exhausted,
                format!(
                    "a picture of tenant {tenant}'s page is being taken; there is one at a time, try again"
                ),
            ),
            ScreenshotError::Engine(EngineError::TimedOut { limit, .. }) => ApiError::unavailable(
                "page",
                RETRY_AFTER,
                format!(
                    "the page of tenant {tenant} has not shown itself within {limit:?}: it is frozen or its node \
                     is very busy; `roost worker describe {tenant}` says when it last answered"
                ),
            ),
            ScreenshotError::Engine(EngineError::NoPicture | EngineError::PictureTooLarge { .. }) => {
                refused(ErrorCode::FailedPrecondition, error.to_string())
            }
            ScreenshotError::Engine(error) => ApiError::unavailable(
                "page",
                RETRY_AFTER,
                format!("no picture of tenant {tenant}'s page was taken: {}; try again", causes(error)),
            ),
        }
    }
}

fn not_recorded(error: StoreError) -> ApiError {
    let told = "the picture is not given out, for it could not be put down who has asked for it";
    match error {
        StoreError::Fenced { .. } => ApiError::unavailable(
            "node",
            RETRY_AFTER,
            format!("{told}: the tenant has passed to another node; try again"),
        ),
        error => {
            ApiError::unavailable("postgres", RETRY_AFTER, format!("{told}: {}; try again", causes(&error)))
        }
    }
}

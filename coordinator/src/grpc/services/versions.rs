//! VersionService.

use roost_proto::v1::{self, version_service_server::VersionService};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    app::App,
    grpc::{request, wire},
};

pub struct Versions {
    pub app: App,
}

#[async_trait]
impl VersionService for Versions {
    async fn create_version(
        &self,
        request: Request<v1::CreateVersionRequest>,
    ) -> Result<Response<v1::Version>, Status> {
        let (new, by) = request::new_version(request.into_inner())?;
        Ok(Response::new(wire::version(self.app.create_version(&new, &by).await?)))
    }

    async fn list_versions(
        &self,
        _request: Request<v1::ListVersionsRequest>,
    ) -> Result<Response<v1::ListVersionsResponse>, Status> {
        let versions = self.app.list_versions().await?.into_iter().map(wire::version).collect();
        Ok(Response::new(v1::ListVersionsResponse { versions }))
    }

    async fn delete_version(
        &self,
        request: Request<v1::DeleteVersionRequest>,
    ) -> Result<Response<v1::DeleteVersionResponse>, Status> {
        let name = request::version_name(&request.get_ref().name)?;
        self.app.delete_version(name).await?;
        Ok(Response::new(v1::DeleteVersionResponse {}))
    }

    async fn pin_version(
        &self,
        request: Request<v1::PinVersionRequest>,
    ) -> Result<Response<v1::PinVersionResponse>, Status> {
        let (kind, name, by) = request::pin(request.into_inner())?;
        let changed = self.app.pin_version(kind, name.as_deref(), &by).await?;
        Ok(Response::new(v1::PinVersionResponse { changed }))
    }

    async fn plan_rollout(
        &self,
        request: Request<v1::PlanRolloutRequest>,
    ) -> Result<Response<v1::RolloutPlan>, Status> {
        let rollout = request::planned_rollout(request.into_inner())?;
        Ok(Response::new(wire::rollout_plan(self.app.plan_rollout(&rollout).await?)))
    }

    async fn start_rollout(
        &self,
        request: Request<v1::StartRolloutRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let (rollout, limits, by) = request::started_rollout(request.into_inner())?;
        Ok(Response::new(wire::operation(self.app.start_rollout(rollout, limits, &by).await?)))
    }
}

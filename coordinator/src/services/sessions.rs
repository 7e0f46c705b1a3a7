//! SessionService.

use roost_cluster::ids::TenantId;
use roost_proto::v1::{self, session_service_server::SessionService};
use tonic::{Request, Response, Status, async_trait};

use super::watch_session::WatchSession;
use crate::{
    backend::Backend,
    fault::from_store,
    request::Checks,
    stream::{Answers, Streams},
    wire,
};

pub struct Sessions {
    pub backend: Backend,
    pub streams: Streams,
}

fn tenant_id(given: &str) -> Result<TenantId, Status> {
    let mut checks = Checks::default();
    checks.tenant_id("tenant_id", given).ok_or_else(|| checks.refusal().into())
}

#[async_trait]
impl SessionService for Sessions {
    async fn get_session(
        &self,
        request: Request<v1::GetSessionRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        let id = tenant_id(&request.get_ref().tenant_id)?;
        let session = self.backend.store()?.get_session(&id).await.map_err(from_store)?;
        Ok(Response::new(wire::session(session)))
    }

    type WatchSessionStream = Answers<v1::Session>;

    async fn watch_session(
        &self,
        request: Request<v1::WatchSessionRequest>,
    ) -> Result<Response<Self::WatchSessionStream>, Status> {
        let id = tenant_id(&request.get_ref().tenant_id)?;
        let watch = WatchSession::begin(self.backend.store()?.clone(), id).await.map_err(from_store)?;
        Ok(Response::new(self.streams.open(|outlet| watch.run(outlet))?))
    }

    async fn logout(&self, request: Request<v1::LogoutRequest>) -> Result<Response<v1::Session>, Status> {
        let id = tenant_id(&request.get_ref().tenant_id)?;
        let session = self.backend.store()?.request_logout(&id).await.map_err(from_store)?;
        tracing::info!(tenant = %id, "session asked to log out");
        Ok(Response::new(wire::session(session)))
    }
}

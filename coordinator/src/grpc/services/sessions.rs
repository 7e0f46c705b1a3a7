//! SessionService.

use roost_proto::v1::{self, session_service_server::SessionService};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    app::App,
    grpc::{
        answers::{Answers, answers},
        request::tenant_id,
        wire,
    },
};

pub struct Sessions {
    pub app: App,
}

#[async_trait]
impl SessionService for Sessions {
    async fn get_session(
        &self,
        request: Request<v1::GetSessionRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        let session = self.app.get_session(&id).await?;
        Ok(Response::new(wire::session(session)))
    }

    type WatchSessionStream = Answers<v1::Session>;

    async fn watch_session(
        &self,
        request: Request<v1::WatchSessionRequest>,
    ) -> Result<Response<Self::WatchSessionStream>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        Ok(Response::new(answers(self.app.watch_session(id).await?, wire::session)))
    }

    async fn logout(&self, request: Request<v1::LogoutRequest>) -> Result<Response<v1::Session>, Status> {
        let id = tenant_id("tenant_id", &request.get_ref().tenant_id)?;
        let (session, problem) = self.app.logout(&id).await?;
        Ok(Response::new(v1::Session {
            logout_problem: problem.unwrap_or_default(),
            ..wire::session(session)
        }))
    }
}

//! SetupService.

use roost_proto::v1::{self, setup_service_server::SetupService};
use roost_store::SetupVerdict;
use tonic::{Request, Response, Status, async_trait};

use super::{access::caller, members::portal_of};
use crate::{
    app::{App, people::PortalAddress},
    grpc::{
        answers::fill_page,
        request::{Checks, List, page, rejected, setup_state},
        wire,
    },
};

pub struct Setups {
    pub app: App,
    pub portal: Option<PortalAddress>,
}

fn id(given: i64) -> Result<i64, Status> {
    let mut checks = Checks::default();
    checks.setup_request_id(given).ok_or_else(|| checks.refusal().into())
}

#[async_trait]
impl SetupService for Setups {
    async fn invite_applicant(
        &self,
        request: Request<v1::InviteApplicantRequest>,
    ) -> Result<Response<v1::InviteApplicantResponse>, Status> {
        let by = caller(&request)?;
        let mut checks = Checks::default();
        let Some(email) = checks.email("email", &request.get_ref().email) else {
            return Err(checks.refusal().into());
        };
        let portal = portal_of(self.portal.as_ref())?;
        let url = portal.link(&self.app.invite_applicant(&email, &by).await?);
        Ok(Response::new(v1::InviteApplicantResponse { url }))
    }

    async fn list_setup_requests(
        &self,
        request: Request<v1::ListSetupRequestsRequest>,
    ) -> Result<Response<v1::ListSetupRequestsResponse>, Status> {
        let v1::ListSetupRequestsRequest { page_size, page_token, state } = request.into_inner();
        let mut checks = Checks::default();
        let chosen = [state.to_string()];
        let chosen = [chosen[0].as_str()];
        let size = checks.page_size(page_size);
        let before =
            checks.page_token(List::SetupRequests, &chosen, &page_token, |key| key.parse::<i64>().ok());
        let state = checks.optional_enum("state", state);
        let (Some(size), Some(before), Some(state)) = (size, before, state) else {
            return Err(checks.refusal().into());
        };
        let state = state.and_then(setup_state);
        let fetch = |before, limit| self.app.list_setup_requests(state, before, limit);
        let page = fill_page(size, before, fetch, |row| (row.id, wire::setup_request(row))).await?;
        let next = page.last.map(|last| page::encode(List::SetupRequests, &chosen, &last.to_string()));
        Ok(Response::new(v1::ListSetupRequestsResponse {
            setup_requests: page.items,
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn get_setup_request(
        &self,
        request: Request<v1::GetSetupRequestRequest>,
    ) -> Result<Response<v1::SetupRequest>, Status> {
        let id = id(request.get_ref().id)?;
        Ok(Response::new(wire::setup_request(self.app.get_setup_request(id).await?)))
    }

    async fn review_setup_request(
        &self,
        request: Request<v1::ReviewSetupRequestRequest>,
    ) -> Result<Response<v1::SetupRequest>, Status> {
        let by = caller(&request)?;
        let id = id(request.get_ref().id)?;
        let request = self.app.judge_setup_request(id, &SetupVerdict::Reviewing, &by).await?;
        Ok(Response::new(wire::setup_request(request)))
    }

    async fn approve_setup_request(
        &self,
        request: Request<v1::ApproveSetupRequestRequest>,
    ) -> Result<Response<v1::SetupRequest>, Status> {
        let by = caller(&request)?;
        let v1::ApproveSetupRequestRequest { id, tenant_id } = request.into_inner();
        let mut checks = Checks::default();
        let id = checks.setup_request_id(id);
        let tenant = checks.optional_tenant_id("tenant_id", &tenant_id);
        let (Some(id), Some(tenant)) = (id, tenant) else { return Err(checks.refusal().into()) };
        let request = self.app.approve_setup_request(id, tenant, &by).await?;
        Ok(Response::new(wire::setup_request(request)))
    }

    async fn reject_setup_request(
        &self,
        request: Request<v1::RejectSetupRequestRequest>,
    ) -> Result<Response<v1::SetupRequest>, Status> {
        let by = caller(&request)?;
        let (id, verdict) = rejected(request.into_inner())?;
        let request = self.app.judge_setup_request(id, &verdict, &by).await?;
        Ok(Response::new(wire::setup_request(request)))
    }
}

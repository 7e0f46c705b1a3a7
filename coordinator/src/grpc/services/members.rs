//! MemberService.

use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::{self, member_service_server::MemberService},
};
use roost_store::Standing;
use tonic::{Request, Response, Status, async_trait};

use super::access::caller;
use crate::{
    app::{App, people::PortalAddress},
    grpc::{
        answers::fill_page,
        request::{Checks, List, invited, member_key, page},
        wire,
    },
};

pub struct Members {
    pub app: App,
    pub portal: Option<PortalAddress>,
}

impl Members {
    fn portal(&self) -> Result<&PortalAddress, ApiError> {
        portal_of(self.portal.as_ref())
    }
}

/// Where links lead to.
pub fn portal_of(portal: Option<&PortalAddress>) -> Result<&PortalAddress, ApiError> {
    let why = "this coordinator serves no portal that a link could lead to: start it with --http-listen and --public-url";
    portal.ok_or_else(|| ApiError::new(ErrorCode::FailedPrecondition, why))
}

#[async_trait]
impl MemberService for Members {
    async fn invite_member(
        &self,
        request: Request<v1::InviteMemberRequest>,
    ) -> Result<Response<v1::InviteMemberResponse>, Status> {
        let by = caller(&request)?;
        let invitation = invited(request.into_inner())?;
        let portal = self.portal()?;
        let (member, secret) = self.app.invite_member(invitation, &by).await?;
        let url = portal.link(&secret);
        Ok(Response::new(v1::InviteMemberResponse { member: Some(wire::member(member)), url }))
    }

    async fn list_members(
        &self,
        request: Request<v1::ListMembersRequest>,
    ) -> Result<Response<v1::ListMembersResponse>, Status> {
        let v1::ListMembersRequest { tenant_id, page_size, page_token } = request.into_inner();
        let mut checks = Checks::default();
        let chosen = [tenant_id.as_str()];
        let tenant = checks.tenant_id("tenant_id", &tenant_id);
        let size = checks.page_size(page_size);
        let after = checks.page_token(List::Members, &chosen, &page_token, member_key);
        let (Some(tenant), Some(size), Some(after)) = (tenant, size, after) else {
            return Err(checks.refusal().into());
        };
        let tenant = &tenant;
        let fetch = |after: Option<(String, bool)>, limit| async move {
            self.app.list_members(tenant, after.as_ref(), limit).await
        };
        let page = fill_page(size, after, fetch, |row| {
            let is_invited = matches!(row.standing, Standing::Invited { .. });
            ((row.email.clone(), is_invited), wire::member(row))
        })
        .await?;
        let next = page.last.map(|(email, is_invited)| {
            page::encode(List::Members, &chosen, &format!("{email} {is_invited}"))
        });
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListMembersResponse { members: page.items, next_page_token }))
    }

    async fn remove_member(
        &self,
        request: Request<v1::RemoveMemberRequest>,
    ) -> Result<Response<v1::RemoveMemberResponse>, Status> {
        let v1::RemoveMemberRequest { tenant_id, email } = request.into_inner();
        let mut checks = Checks::default();
        let tenant = checks.tenant_id("tenant_id", &tenant_id);
        let email = checks.email("email", &email);
        let (Some(tenant), Some(email)) = (tenant, email) else { return Err(checks.refusal().into()) };
        self.app.remove_member(&tenant, &email).await?;
        Ok(Response::new(v1::RemoveMemberResponse {}))
    }

    async fn create_password_reset(
        &self,
        request: Request<v1::CreatePasswordResetRequest>,
    ) -> Result<Response<v1::CreatePasswordResetResponse>, Status> {
        let mut checks = Checks::default();
        let Some(email) = checks.email("email", &request.get_ref().email) else {
            return Err(checks.refusal().into());
        };
        let portal = self.portal()?;
        let url = portal.link(&self.app.create_password_reset(&email).await?);
        Ok(Response::new(v1::CreatePasswordResetResponse { url }))
    }
}

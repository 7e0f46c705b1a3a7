//! UserService.

use roost_proto::v1::{self, user_service_server::UserService};
use tonic::{Request, Response, Status, async_trait};

use super::{access::caller, members::portal_of};
use crate::{
    app::{App, people::PortalAddress},
    grpc::{
        answers::fill_page,
        request::{Checks, List, new_user, page, user_role},
        wire,
    },
};

pub struct Users {
    pub app: App,
    pub portal: Option<PortalAddress>,
    /// There is a key under which the secrets of phones are kept.
    pub keeps_secrets: bool,
}

#[async_trait]
impl UserService for Users {
    async fn create_user(
        &self,
        request: Request<v1::CreateUserRequest>,
    ) -> Result<Response<v1::CreateUserResponse>, Status> {
        let by = caller(&request)?;
        let (email, role) = new_user(request.into_inner())?;
        let portal = portal_of(self.portal.as_ref())?;
        let (user, secret) = self.app.create_user(email, role, self.keeps_secrets, &by).await?;
        let url = portal.console_link(&secret);
        Ok(Response::new(v1::CreateUserResponse { user: Some(wire::user(user)), url }))
    }

    async fn list_users(
        &self,
        request: Request<v1::ListUsersRequest>,
    ) -> Result<Response<v1::ListUsersResponse>, Status> {
        let v1::ListUsersRequest { page_size, page_token } = request.into_inner();
        let mut checks = Checks::default();
        let size = checks.page_size(page_size);
        let after = checks.page_token(List::Users, &[], &page_token, |key| Some(key.to_owned()));
        let (Some(size), Some(after)) = (size, after) else { return Err(checks.refusal().into()) };
        let fetch = |after: Option<String>, limit| async move {
            self.app.list_users(after.as_deref().unwrap_or_default(), limit).await
        };
        let page = fill_page(size, after, fetch, |row| (row.email.clone(), wire::user(row))).await?;
        let next = page.last.map(|email| page::encode(List::Users, &[], &email));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListUsersResponse { users: page.items, next_page_token }))
    }

    async fn set_user_role(
        &self,
        request: Request<v1::SetUserRoleRequest>,
    ) -> Result<Response<v1::SetUserRoleResponse>, Status> {
        let by = caller(&request)?;
        let (email, role) = user_role(request.into_inner())?;
        self.app.set_user_role(&email, role, &by).await?;
        Ok(Response::new(v1::SetUserRoleResponse {}))
    }

    async fn remove_user(
        &self,
        request: Request<v1::RemoveUserRequest>,
    ) -> Result<Response<v1::RemoveUserResponse>, Status> {
        let mut checks = Checks::default();
        let Some(email) = checks.email("email", &request.get_ref().email) else {
            return Err(checks.refusal().into());
        };
        self.app.remove_user(&email).await?;
        Ok(Response::new(v1::RemoveUserResponse {}))
    }

    async fn reset_user(
        &self,
        request: Request<v1::ResetUserRequest>,
    ) -> Result<Response<v1::ResetUserResponse>, Status> {
        let by = caller(&request)?;
        let mut checks = Checks::default();
        let Some(email) = checks.email("email", &request.get_ref().email) else {
            return Err(checks.refusal().into());
        };
        let portal = portal_of(self.portal.as_ref())?;
        let secret = self.app.reset_user(&email, self.keeps_secrets, &by).await?;
        Ok(Response::new(v1::ResetUserResponse { url: portal.console_link(&secret) }))
    }
}

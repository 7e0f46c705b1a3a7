//! The scripted coordinator's users.

use roost_proto::v1::{user_service_server::UserService, *};
use tonic::{Request, Response, async_trait};

use super::{Answer, Script, at, unknown};

const LINK: &str =
    "http://127.0.0.1:7118/console/welcome/roost_bm90IGEgcmVhbCBsaW5rLCBvbmx5IG9uZSBvZiB0aGUgdGVzdHM";

fn admin() -> User {
    User {
        email: "neema@roost.example".into(),
        role: Role::Admin.into(),
        role_given_by: "token file f297de13".into(),
        role_time: at(60),
        link_expire_time: None,
        has_second_factor: true,
    }
}

fn invited(email: String, role: i32) -> User {
    let (role_time, link_expire_time) = (None, at(86_400));
    User { email, role, role_time, link_expire_time, has_second_factor: false, ..admin() }
}

fn known(email: &str) -> Result<(), tonic::Status> {
    if email == admin().email { Ok(()) } else { Err(unknown("user", email)) }
}

#[async_trait]
impl UserService for Script {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Answer<CreateUserResponse> {
        let CreateUserRequest { email, role } = request.into_inner();
        Ok(Response::new(CreateUserResponse { user: Some(invited(email, role)), url: LINK.into() }))
    }

    async fn list_users(&self, _: Request<ListUsersRequest>) -> Answer<ListUsersResponse> {
        let users = vec![admin(), invited("zuri@roost.example".into(), Role::Viewer.into())];
        Ok(Response::new(ListUsersResponse { users, next_page_token: String::new() }))
    }

    async fn set_user_role(&self, request: Request<SetUserRoleRequest>) -> Answer<SetUserRoleResponse> {
        known(&request.into_inner().email).map(|()| Response::new(SetUserRoleResponse {}))
    }

    async fn remove_user(&self, request: Request<RemoveUserRequest>) -> Answer<RemoveUserResponse> {
        known(&request.into_inner().email).map(|()| Response::new(RemoveUserResponse {}))
    }

    async fn reset_user(&self, request: Request<ResetUserRequest>) -> Answer<ResetUserResponse> {
        known(&request.into_inner().email).map(|()| Response::new(ResetUserResponse { url: LINK.into() }))
    }
}

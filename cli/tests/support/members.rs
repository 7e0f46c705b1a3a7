//! The scripted coordinator's people.

use roost_proto::v1::{member_service_server::MemberService, *};
use tonic::{Request, Response, async_trait};

use super::{Answer, Script, at, unknown};

const LINK: &str = "http://127.0.0.1:7118/welcome/roost_bm90IGEgcmVhbCBsaW5rLCBvbmx5IG9uZSBvZiB0aGUgdGVzdHM";

fn owner() -> Member {
    Member {
        tenant_id: "duka".into(),
        email: "asha@duka.example".into(),
        role: Role::Owner.into(),
        invited_by: "token ci".into(),
        join_time: at(60),
        invitation_expire_time: None,
    }
}

#[async_trait]
impl MemberService for Script {
    async fn invite_member(&self, request: Request<InviteMemberRequest>) -> Answer<InviteMemberResponse> {
        let InviteMemberRequest { tenant_id, email, role } = request.into_inner();
        if tenant_id != "duka" {
            return Err(unknown("tenant", &tenant_id));
        }
        let member = Member { email, role, join_time: None, invitation_expire_time: at(86_400), ..owner() };
        Ok(Response::new(InviteMemberResponse { member: Some(member), url: LINK.into() }))
    }

    async fn list_members(&self, request: Request<ListMembersRequest>) -> Answer<ListMembersResponse> {
        let invited = Member {
            email: "juma@duka.example".into(),
            role: Role::Staff.into(),
            invited_by: "user asha@duka.example".into(),
            join_time: None,
            invitation_expire_time: at(86_400),
            ..owner()
        };
        match request.into_inner().tenant_id.as_str() {
            "duka" => {
                let members = vec![owner(), invited];
                Ok(Response::new(ListMembersResponse { members, next_page_token: String::new() }))
            }
            other => Err(unknown("tenant", other)),
        }
    }

    async fn remove_member(&self, request: Request<RemoveMemberRequest>) -> Answer<RemoveMemberResponse> {
        match request.into_inner().email.as_str() {
            "juma@duka.example" => Ok(Response::new(RemoveMemberResponse {})),
            other => Err(unknown("member", other)),
        }
    }

    async fn create_password_reset(
        &self,
        _: Request<CreatePasswordResetRequest>,
    ) -> Answer<CreatePasswordResetResponse> {
        Ok(Response::new(CreatePasswordResetResponse { url: LINK.into() }))
    }
}

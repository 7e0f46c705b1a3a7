//! The people of a tenant.

use roost_proto::v1::{CreatePasswordResetResponse, InviteMemberResponse, Member};
use serde::Serialize;

use super::{ago, rfc3339, token::role};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct MemberView {
    tenant_id: String,
    email: String,
    role: String,
    invited_by: String,
    join_time: Option<String>,
    invitation_expire_time: Option<String>,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            tenant_id: member.tenant_id,
            email: member.email,
            role: role(member.role),
            invited_by: member.invited_by,
            join_time: rfc3339(&member.join_time),
            invitation_expire_time: rfc3339(&member.invitation_expire_time),
        }
    }
}

impl Row for MemberView {
    const HEADER: &'static [&'static str] = &["email", "role", "joined", "invited until", "by"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.email.clone(),
            self.role.clone(),
            ago(self.join_time.as_deref()),
            self.invitation_expire_time.clone().unwrap_or_default(),
            self.invited_by.clone(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

/// With its link.
#[derive(Debug, Serialize)]
pub struct InvitationView {
    member: MemberView,
    url: String,
}

impl From<InviteMemberResponse> for InvitationView {
    fn from(made: InviteMemberResponse) -> Self {
        Self { member: made.member.unwrap_or_default().into(), url: made.url }
    }
}

impl Row for InvitationView {
    const HEADER: &'static [&'static str] = &["tenant", "email", "role", "until", "link"];

    fn cells(&self) -> Vec<String> {
        let MemberView { tenant_id, email, role, invitation_expire_time, .. } = &self.member;
        let until = invitation_expire_time.clone().unwrap_or_default();
        vec![tenant_id.clone(), email.clone(), role.clone(), until, self.url.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

#[derive(Debug, Serialize)]
pub struct LinkView {
    url: String,
}

impl LinkView {
    pub fn to(url: String) -> Self {
        Self { url }
    }
}

impl From<CreatePasswordResetResponse> for LinkView {
    fn from(made: CreatePasswordResetResponse) -> Self {
        Self::to(made.url)
    }
}

impl Row for LinkView {
    const HEADER: &'static [&'static str] = &["link"];

    fn cells(&self) -> Vec<String> {
        vec![self.url.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

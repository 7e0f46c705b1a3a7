//! Users of the cluster.

use roost_proto::v1::{CreateUserResponse, ResetUserResponse, User};
use serde::Serialize;

use super::{LinkView, ago, rfc3339, token::role};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct UserView {
    email: String,
    role: String,
    role_given_by: String,
    role_time: Option<String>,
    link_expire_time: Option<String>,
    has_second_factor: bool,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            email: user.email,
            role: role(user.role),
            role_given_by: user.role_given_by,
            role_time: rfc3339(&user.role_time),
            link_expire_time: rfc3339(&user.link_expire_time),
            has_second_factor: user.has_second_factor,
        }
    }
}

impl Row for UserView {
    const HEADER: &'static [&'static str] = &["email", "role", "since", "by", "codes", "link until"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.email.clone(),
            self.role.clone(),
            ago(self.role_time.as_deref()),
            self.role_given_by.clone(),
            if self.has_second_factor { "yes" } else { "no" }.to_owned(),
            self.link_expire_time.clone().unwrap_or_default(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

/// With its link.
#[derive(Debug, Serialize)]
pub struct NewUserView {
    user: UserView,
    url: String,
}

impl From<CreateUserResponse> for NewUserView {
    fn from(made: CreateUserResponse) -> Self {
        Self { user: made.user.unwrap_or_default().into(), url: made.url }
    }
}

impl Row for NewUserView {
    const HEADER: &'static [&'static str] = &["email", "role", "until", "link"];

    fn cells(&self) -> Vec<String> {
        let UserView { email, role, link_expire_time, .. } = &self.user;
        vec![email.clone(), role.clone(), link_expire_time.clone().unwrap_or_default(), self.url.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

impl From<ResetUserResponse> for LinkView {
    fn from(made: ResetUserResponse) -> Self {
        Self::to(made.url)
    }
}

//! Tokens, and who a caller is.

use roost_proto::v1::{Caller, CreateTokenResponse, Role, Token};
use serde::Serialize;

use super::{ago, enum_name, rfc3339};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct TokenView {
    id: i64,
    name: String,
    role: String,
    tenant_id: String,
    create_time: Option<String>,
    created_by: String,
    expire_time: Option<String>,
    revoke_time: Option<String>,
    revoked_by: String,
    last_use_time: Option<String>,
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            name: token.name,
            role: role(token.role),
            tenant_id: token.tenant_id,
            create_time: rfc3339(&token.create_time),
            created_by: token.created_by,
            expire_time: rfc3339(&token.expire_time),
            revoke_time: rfc3339(&token.revoke_time),
            revoked_by: token.revoked_by,
            last_use_time: rfc3339(&token.last_use_time),
        }
    }
}

impl Row for TokenView {
    const HEADER: &'static [&'static str] =
        &["id", "name", "role", "tenant", "expires", "used", "created", "by", "revoked"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.name.clone(),
            self.role.clone(),
            self.tenant_id.clone(),
            self.expire_time.clone().unwrap_or_default(),
            ago(self.last_use_time.as_deref()),
            ago(self.create_time.as_deref()),
            self.created_by.clone(),
            match &self.revoke_time {
                Some(at) => format!("{} by {}", ago(Some(at)), self.revoked_by),
                None => String::new(),
            },
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

/// With the token itself.
#[derive(Debug, Serialize)]
pub struct NewTokenView {
    token: TokenView,
    secret: String,
}

impl NewTokenView {
    pub fn new(made: CreateTokenResponse) -> Self {
        Self { token: made.token.unwrap_or_default().into(), secret: made.secret }
    }
}

impl Row for NewTokenView {
    const HEADER: &'static [&'static str] = &["id", "name", "role", "tenant", "expires", "token"];

    fn cells(&self) -> Vec<String> {
        let TokenView { id, name, role, tenant_id, expire_time, .. } = &self.token;
        let expires = expire_time.clone().unwrap_or_default();
        vec![id.to_string(), name.clone(), role.clone(), tenant_id.clone(), expires, self.secret.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

#[derive(Debug, Serialize)]
pub struct CallerView {
    name: String,
    role: String,
    tenant_id: String,
}

impl From<Caller> for CallerView {
    fn from(caller: Caller) -> Self {
        Self { role: role(caller.role), name: caller.name, tenant_id: caller.tenant_id }
    }
}

impl Row for CallerView {
    const HEADER: &'static [&'static str] = &["name", "role", "tenant"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.role.clone(), self.tenant_id.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

pub(super) fn role(role: i32) -> String {
    enum_name(role, "ROLE_", Role::as_str_name)
}

//! Chats as they are named, and what is to be said in them.

use roost_model::ids::TenantId;
use roost_proto::{error::ApiError, v1};
use uuid::Uuid;

use super::{Checks, Text};

const CHAT: Text = Text::line(1, 100);
const BODY: Text = Text::lines(1, 4_096);
const KEY: Text = Text::line(0, 64);

/// Of which tenant which chat.
pub fn chat(tenant_id: &str, chat_id: String) -> Result<(TenantId, String), ApiError> {
    let mut checks = Checks::default();
    let tenant = checks.tenant_id("tenant_id", tenant_id);
    let chat = checks.text("chat_id", &CHAT, chat_id);
    tenant.zip(chat).ok_or_else(|| checks.refusal())
}

/// What is to be said where.
pub struct Said {
    pub tenant: TenantId,
    pub chat: String,
    pub body: String,
    pub key: String,
}

pub fn said(request: v1::SendChatMessageRequest) -> Result<Said, ApiError> {
    let v1::SendChatMessageRequest { tenant_id, chat_id, body, idempotency_key } = request;
    let mut checks = Checks::default();
    let tenant = checks.tenant_id("tenant_id", &tenant_id);
    let chat = checks.text("chat_id", &CHAT, chat_id);
    let body = checks.text("body", &BODY, body);
    let key = checks.text("idempotency_key", &KEY, idempotency_key);
    let (Some(tenant), Some(chat), Some(body), Some(key)) = (tenant, chat, body, key) else {
        return Err(checks.refusal());
    };
    let key = if key.is_empty() { Uuid::now_v7().to_string() } else { key };
    Ok(Said { tenant, chat, body, key })
}

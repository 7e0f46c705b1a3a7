//! Who answers in a chat.

use roost_proto::v1::Chat;
use serde::Serialize;

use super::{ago, rfc3339};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct ChatView {
    tenant_id: String,
    chat_id: String,
    held_by: String,
    hold_time: Option<String>,
    version: i64,
}

impl From<Chat> for ChatView {
    fn from(chat: Chat) -> Self {
        Self {
            tenant_id: chat.tenant_id,
            chat_id: chat.chat_id,
            held_by: chat.held_by,
            hold_time: rfc3339(&chat.hold_time),
            version: chat.version,
        }
    }
}

impl Row for ChatView {
    const HEADER: &'static [&'static str] = &["tenant", "chat", "answered by", "since"];

    fn cells(&self) -> Vec<String> {
        let by = if self.held_by.is_empty() { "itself" } else { &self.held_by };
        vec![self.tenant_id.clone(), self.chat_id.clone(), by.to_owned(), ago(self.hold_time.as_deref())]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

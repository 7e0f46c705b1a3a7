//! One message to or from a customer, and what the erasure of a chat removed.

use roost_proto::v1::{Direction, EraseChatResponse, Message, MessageState};
use serde::Serialize;

use super::{ago, enum_name, rfc3339};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct MessageView {
    id: i64,
    tenant_id: String,
    direction: String,
    chat_id: String,
    body: String,
    whatsapp_id: String,
    state: Option<String>,
    state_reason: String,
    create_time: Option<String>,
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        Self {
            direction: enum_name(message.direction, "DIRECTION_", Direction::as_str_name),
            create_time: rfc3339(&message.create_time),
            state: state_name(message.state),
            state_reason: message.state_reason,
            id: message.id,
            tenant_id: message.tenant_id,
            chat_id: message.chat_id,
            body: message.body,
            whatsapp_id: message.whatsapp_id,
        }
    }
}

/// Of one that has a state.
fn state_name(state: i32) -> Option<String> {
    (state != 0).then(|| enum_name(state, "MESSAGE_STATE_", MessageState::as_str_name))
}

impl Row for MessageView {
    const HEADER: &'static [&'static str] = &["time", "tenant", "direction", "chat", "state", "body"];
    const CELL_CHARS: usize = 80;

    fn cells(&self) -> Vec<String> {
        vec![
            ago(self.create_time.as_deref()),
            self.tenant_id.clone(),
            self.direction.clone(),
            self.chat_id.clone(),
            self.state.as_ref().map(|state| format!("{state}: {}", self.state_reason)).unwrap_or_default(),
            self.body.clone(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

#[derive(Debug, Serialize)]
pub struct ErasureView {
    erased_rows: i64,
}

impl From<EraseChatResponse> for ErasureView {
    fn from(EraseChatResponse { erased_rows }: EraseChatResponse) -> Self {
        Self { erased_rows }
    }
}

impl Row for ErasureView {
    const HEADER: &'static [&'static str] = &["erased rows"];

    fn cells(&self) -> Vec<String> {
        vec![self.erased_rows.to_string()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

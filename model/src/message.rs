//! Chats and what is said in them.

use serde::{Deserialize, Serialize};

/// What kind of chat a message came from; only direct ones are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    Direct,
    Group,
    Status,
    Broadcast,
    Other,
}

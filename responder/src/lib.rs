//! What turns a message into replies. The pipeline knows only this trait; it keeps the order, the limit and the
//! durability, so a responder is free to be slow, to fail and to be called again for the same message.
//!
//! Of ours it imports model alone: who runs a responder, and where its answers are kept, is not its business. Start
//! reading at [`Responder`]; [`template`] is the one that there is.

pub mod template;

use std::sync::Arc;

use async_trait::async_trait;
use roost_model::TenantSettings;

pub use template::TemplateResponder;

/// Answers messages. Called for one message of a chat at a time, in order; again for the same one after a failure, and
/// after a crash for those whose answers were not durable yet, from the first of them on.
#[async_trait]
pub trait Responder: Send + Sync {
    /// The replies in order; none leaves the message unanswered. An error is tried again later.
    async fn respond(&self, question: &Question) -> Result<Vec<String>, ResponderError>;
}

/// A message to answer, with what there is to know for it.
#[derive(Debug, Clone)]
pub struct Question {
    /// The business that is asked: its name, texts, template and language as they are now.
    pub tenant: Arc<TenantSettings>,
    pub chat: String,
    pub sender: String,
    /// What was written; empty for media without a caption.
    pub body: String,
    /// Nothing was received in this chat before this message.
    pub first_in_chat: bool,
}

/// No replies could be had.
#[derive(Debug, thiserror::Error)]
#[error("the responder failed: {reason}")]
pub struct ResponderError {
    pub reason: String,
}

//! What would be answered to a message.

use roost_proto::v1::PreviewedMessage;
use serde::Serialize;

use crate::{output::Row, text::visible_lines};

#[derive(Debug, Serialize)]
pub struct PreviewedMessageView {
    message: String,
    replies: Vec<String>,
}

impl From<PreviewedMessage> for PreviewedMessageView {
    fn from(PreviewedMessage { message, replies }: PreviewedMessage) -> Self {
        Self { message, replies }
    }
}

impl PreviewedMessageView {
    /// As people read it, with the lines of each text below one another.
    pub fn as_conversation(&self) -> String {
        let said = |who: &str, text: &str| {
            visible_lines(text).lines().map(|line| format!("{who} {line}")).collect::<Vec<_>>().join("\n")
        };
        let replies = self.replies.iter().map(|reply| said("<", reply));
        std::iter::once(said(">", &self.message)).chain(replies).collect::<Vec<_>>().join("\n")
    }
}

impl Row for PreviewedMessageView {
    const HEADER: &'static [&'static str] = &["message", "is answered"];

    fn cells(&self) -> Vec<String> {
        vec![self.message.clone(), self.replies.join(" | ")]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
